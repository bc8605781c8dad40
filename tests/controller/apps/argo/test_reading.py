"""Files opened once for several parts hold for each what it would have found by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.apps.argo.archive import Archive, open_archive
from controller.apps.argo.orders import ArchiveAddress, SourceFile
from controller.apps.argo.profile import UnreadableProfile
from controller.apps.argo.reading import OpenedFile, Reader
from controller.demo.archive import DemoArchive
from controller.demo.profiles import Measured, profile_file
from controller.errors import ArchiveError
from controller.shared_reads import SharedReads
from tests.argo_files import (
    PRESSURE,
    a_cast,
    archive_of,
    archive_with,
    in_delayed_mode,
    listed,
    measuring,
    path_of,
)

ROOM_BYTES = 100_000_000


@pytest.fixture
def shared(tmp_path: Path) -> SharedReads:
    return SharedReads(tmp_path / "reads", ROOM_BYTES)


def reader_of(
    address: ArchiveAddress, shared: SharedReads | None = None, update: int | None = 1
) -> Reader:
    return Reader(archive=open_archive(address), update=update, shared=shared)


def assert_equal(found: OpenedFile, expected: OpenedFile) -> None:
    assert replace(found, profiles=[]) == replace(expected, profiles=[])
    for one, other in zip(found.profiles, expected.profiles, strict=True):
        assert repr(replace(one, columns={})) == repr(replace(other, columns={}))
        assert one.columns.keys() == other.columns.keys()
        for name, column in one.columns.items():
            np.testing.assert_array_equal(column, other.columns[name])
            assert column.dtype == other.columns[name].dtype


@pytest.mark.parametrize("both_versions", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [("TEMP",), ("PSAL", "TEMP"), ("PRES",), ("TEMP", "PRES"), (), ("DOXY", "TEMP"), ("NITRATE",)],
    ids=" ".join,
)
def test_what_is_shared_is_what_one_would_have_found_by_itself(
    small_archive: DemoArchive,
    shared: SharedReads,
    parameters: tuple[str, ...],
    both_versions: bool,
) -> None:
    address = ArchiveAddress(url=str(small_archive.folder))
    alone, first, second = (reader_of(address, each) for each in (None, shared, shared))
    paths = [one.path(kind) for one in small_archive.listed[::5] for kind in one.kinds]
    opened = 0
    for file in listed(paths):
        try:
            expected = alone.opened(file, parameters, both_versions=both_versions)
        except (ArchiveError, UnreadableProfile) as error:
            for each in (first, second):
                with pytest.raises(type(error)):
                    each.opened(file, parameters, both_versions=both_versions)
            continue
        opened += 1
        for each in (first, second):
            assert_equal(each.opened(file, parameters, both_versions=both_versions), expected)
    assert (alone.spared, first.spared, second.spared) == (0, 0, opened)
    assert opened > 30


def counted(archive: Archive, reads: list[str]) -> Archive:
    """Return the archive, its file system noting what is read."""

    class Noting(type(archive.filesystem)):  # type: ignore[misc]
        cachable = False

        def cat_file(self, path: str, *given: object, **named: object) -> bytes:
            reads.append(Path(path).name)
            content: bytes = super().cat_file(path, *given, **named)
            return content

    return replace(archive, filesystem=Noting())


def test_views_of_other_parameters_share_the_bytes(tmp_path: Path, shared: SharedReads) -> None:
    address, (file,) = archive_of(tmp_path / "archive", [a_cast()])
    reads: list[str] = []
    reader = replace(reader_of(address, shared), archive=counted(open_archive(address), reads))
    reader.opened(file, ("TEMP",), both_versions=False)
    reader.opened(file, ("PSAL",), both_versions=False)
    assert reader.spared == 1
    reader.opened(file, ("TEMP",), both_versions=True)
    reader.opened(file, ("DOXY",), both_versions=False)
    assert (len(reads), reader.spared) == (1, 1)


def test_the_declared_latency_is_paid_by_who_reads(tmp_path: Path, shared: SharedReads) -> None:
    address, (file,) = archive_of(tmp_path / "archive", [a_cast()])
    pauses: list[float] = []
    reader = reader_of(replace(address, read_latency_s=0.05), shared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("controller.apps.argo.archive.time.sleep", pauses.append)
        for _ in range(3):
            reader.opened(file, ("TEMP",), both_versions=False)
    assert pauses == [0.05]


def test_content_that_a_later_update_rewrote_is_read_anew(
    tmp_path: Path, shared: SharedReads
) -> None:
    address, (file,) = archive_of(tmp_path / "archive", [a_cast()])
    before = reader_of(address, shared).opened(file, ("TEMP",), both_versions=False)
    archive_of(tmp_path / "archive", [a_cast(latitude=36.0)])
    same = reader_of(address, shared).opened(file, ("TEMP",), both_versions=False)
    later = reader_of(address, shared, update=2).opened(file, ("TEMP",), both_versions=False)
    dated = SourceFile(path=file.path, date_update="20240202000000")
    redated = reader_of(address, shared).opened(dated, ("TEMP",), both_versions=False)
    assert_equal(same, before)
    assert [found.profiles[0].latitude for found in (later, redated)] == [36.0, 36.0]


def test_a_part_of_no_known_update_shares_nothing(tmp_path: Path, shared: SharedReads) -> None:
    address, (file,) = archive_of(tmp_path / "archive", [a_cast()])
    reader = reader_of(address, shared, update=None)
    for _ in range(2):
        reader.opened(file, ("TEMP",), both_versions=False)
    assert reader.spared == 0
    assert list((tmp_path / "reads").glob("*/*")) == []


def test_a_file_that_was_torn_just_then_is_read_again(tmp_path: Path, shared: SharedReads) -> None:
    whole = profile_file([a_cast()])
    address = archive_with(tmp_path / "archive", {"x.nc": whole[:-500]})
    (file,) = listed(["x.nc"])
    with pytest.raises(UnreadableProfile):
        reader_of(address, shared).opened(file, ("TEMP",), both_versions=False)
    archive_with(tmp_path / "archive", {"x.nc": whole})
    found = reader_of(address, shared).opened(file, ("TEMP",), both_versions=False)
    assert len(found.profiles) == 1


def test_damage_where_a_view_does_not_look_does_not_matter_to_it(
    tmp_path: Path, shared: SharedReads
) -> None:
    cast = measuring(a_cast(), PSAL=Measured(values=PRESSURE))
    damaged = profile_file([cast]).replace(b"PSAL_QC\0", b"PSAL_QX\0", 1)
    address = archive_with(tmp_path / "archive", {"x.nc": damaged})
    (file,) = listed(["x.nc"])
    alone = reader_of(address).opened(file, ("TEMP",), both_versions=False)
    for _ in range(2):
        found = reader_of(address, shared).opened(file, ("TEMP",), both_versions=False)
        assert_equal(found, alone)


def test_a_renamed_file_is_told_to_all_who_share_it(tmp_path: Path, shared: SharedReads) -> None:
    cast = in_delayed_mode(a_cast())
    address, _ = archive_of(tmp_path / "archive", [cast])
    (asked,) = listed([path_of(cast, mode="R")])
    for _ in range(2):
        found = reader_of(address, shared).opened(asked, ("TEMP",), both_versions=False)
        assert found.path == path_of(cast)
