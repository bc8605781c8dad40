"""From files to a fragment: what is kept, what is left out and why."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from fsspec import register_implementation
from fsspec.implementations.local import LocalFileSystem

from controller.apps.argo.extract import extract
from controller.apps.argo.fragment import Harvest, read_fragment
from controller.apps.argo.orders import ArchiveAddress, ExtractOrder
from controller.demo.profiles import Cast, Measured, profile_file
from controller.errors import ArchiveError, StorageError
from planner.extent import Box, Extent, Period
from tests.argo_files import (
    LEVELS,
    PRESSURE,
    TEMPERATURE,
    WANTED,
    a_cast,
    archive_of,
    archive_with,
    extracted,
    in_delayed_mode,
    listed,
    measuring,
    path_of,
)
from tests.controller.sources.servers import web_server

DAY_S = (25000.5 - 7305) * 86400
"""When `a_cast` was taken [POSIX s]."""


def harvest_of(folder: Path, *casts: Cast, extent: Extent = WANTED, **options: str) -> Harvest:
    address, files = archive_of(folder / "archive", casts)
    return read_fragment(extracted(address, files, folder / "f.npz", extent, **options))


def test_a_fragment_holds_the_wanted_levels_and_where_they_come_from(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast(), a_cast(cycle=2)])
    fragment = extracted(address, files, tmp_path / "parts" / "p1.npz")
    assert (fragment.rows, fragment.left_out) == (2 * LEVELS, 0)
    assert fragment.size_bytes == (tmp_path / "parts" / "p1.npz").stat().st_size
    harvest = read_fragment(fragment)
    assert harvest.profiles["cycle"].tolist() == [1, 2]
    np.testing.assert_allclose(harvest.columns["TEMP"], [*TEMPERATURE, *TEMPERATURE])
    assert [source.rows for source in harvest.sources] == [LEVELS, LEVELS]
    assert [source.path for source in harvest.sources] == [file.path for file in files]
    assert {source.date_update for source in harvest.sources} == {"20240101000000"}


def test_the_same_order_makes_the_same_bytes(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast(), in_delayed_mode(a_cast(cycle=2))])
    first = extracted(address, files, tmp_path / "p1-a1.npz")
    again = extracted(address, files, tmp_path / "p1-a2.npz")
    assert first.sha256 == again.sha256


def test_nothing_but_the_fragment_is_left_behind(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    extracted(address, files, tmp_path / "parts" / "p1.npz")
    extracted(address, files, tmp_path / "parts" / "p1.npz")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["p1.npz"]


def test_flags_that_are_not_kept_drop_the_level(tmp_path: Path) -> None:
    cast = measuring(a_cast(), PSAL=Measured(values=PRESSURE, flags="1234111111"))
    harvest = harvest_of(tmp_path, cast)
    assert harvest.columns["PRES"].tolist() == [0, 10, 40, 50, 60, 70, 80, 90]
    lenient = harvest_of(tmp_path, cast, qc_PSAL="1,2,3")
    assert lenient.columns["PRES"].tolist() == [0, 10, 20, 40, 50, 60, 70, 80, 90]


def test_a_float_without_salinity_has_a_blank_column_beside_one_that_has_it(tmp_path: Path) -> None:
    harvest = harvest_of(tmp_path, measuring(a_cast(), PSAL=None), a_cast(cycle=2))
    assert harvest.profiles["rows"].tolist() == [LEVELS, LEVELS]
    assert np.isnan(harvest.columns["PSAL"][:LEVELS]).all()
    assert (harvest.columns["PSAL_QC"][:LEVELS] == 9).all()
    assert harvest.modes["PSAL"].tolist() == [b"", b"R"]


def test_a_profile_with_nothing_wanted_but_pressure_is_listed_without_rows(tmp_path: Path) -> None:
    harvest = harvest_of(
        tmp_path, measuring(a_cast(), PSAL=None), extent=Extent(parameters=("PSAL",))
    )
    assert harvest.profiles["rows"].tolist() == [0]
    assert [source.rows for source in harvest.sources] == [0]
    assert harvest.left_out == ()
    pressure = harvest_of(tmp_path, a_cast(), extent=Extent(parameters=("PRES",)))
    assert pressure.rows == LEVELS


def test_all_parameters_of_a_core_file_are_the_core_ones(tmp_path: Path) -> None:
    harvest = harvest_of(tmp_path, a_cast(), extent=Extent())
    assert sorted(harvest.modes) == ["PRES", "PSAL", "TEMP"]


def test_several_profiles_of_a_file_are_told_apart_by_their_place(tmp_path: Path) -> None:
    address = archive_with(
        tmp_path / "archive", {"x.nc": profile_file([a_cast(), a_cast(latitude=36.0)])}
    )
    harvest = read_fragment(extracted(address, listed(["x.nc"]), tmp_path / "f.npz"))
    assert harvest.profiles["place"].tolist() == [0, 1]
    assert harvest.profiles["source"].tolist() == [0, 0]
    assert harvest.sources[0].rows == 2 * LEVELS


def test_of_several_profiles_of_a_file_those_inside_are_kept(tmp_path: Path) -> None:
    content = profile_file([a_cast(), a_cast(latitude=60.0)])
    address = archive_with(tmp_path / "archive", {"x.nc": content})
    south = Extent(box=Box(west=0, south=30, east=30, north=46), parameters=("TEMP",))
    harvest = read_fragment(extracted(address, listed(["x.nc"]), tmp_path / "f.npz", south))
    assert harvest.profiles["latitude"].tolist() == [35.0]


@pytest.mark.parametrize(
    ("extent", "inside"),
    [
        (Extent(box=Box(west=19, south=34, east=21, north=36)), True),
        (Extent(box=Box(west=21, south=34, east=22, north=36)), False),
        (Extent(box=Box(west=170, south=34, east=-170, north=36)), False),
        (Extent(box=Box(west=10, south=34, east=-170, north=36)), True),
        (Extent(period=Period(start_at=DAY_S)), True),
        (Extent(period=Period(end_at=DAY_S - 60)), False),
        (Extent(period=Period(start_at=DAY_S + 60)), False),
    ],
)
def test_what_lies_elsewhere_than_the_index_says_is_left_out(
    tmp_path: Path, extent: Extent, inside: bool
) -> None:
    harvest = harvest_of(tmp_path, a_cast(), extent=extent)
    assert (harvest.rows > 0) is inside
    if not inside:
        (left,) = harvest.left_out
        assert "20.000 E 35.000 N, 2018-06-13T12:00:00Z" in left.reason


def test_a_place_that_the_index_rounded_over_the_edge_is_not_lost(tmp_path: Path) -> None:
    edge = Extent(box=Box(west=20, south=35, east=21, north=36), period=Period(start_at=DAY_S))
    just_outside = a_cast(latitude=34.9996, longitude=19.9996, time_d=25000.5 - 0.4 / 86400)
    assert harvest_of(tmp_path, just_outside, extent=edge).rows == LEVELS


def test_a_file_that_does_not_say_where_it_was_taken_is_left_out(tmp_path: Path) -> None:
    harvest = harvest_of(tmp_path, a_cast(latitude=-99.999, longitude=-999.999), mode="expert")
    assert harvest.left_out[0].reason == "it does not say when or where it was taken"


def test_files_that_cannot_be_read_are_left_out_each_with_its_reason(tmp_path: Path) -> None:
    good = profile_file([a_cast()])
    bad = {
        "x/empty.nc": (b"", "no whole NetCDF file"),
        "x/torn.nc": (good[:-500], "no whole NetCDF file"),
        "x/page.nc": (b"<html>not found</html>" * 99, "no whole NetCDF file"),
        "x/other.nc": (good.replace(b"Argo profile", b"Argo traject"), "no Argo profile"),
    }
    contents = {path: content for path, (content, _) in bad.items()}
    address = archive_with(tmp_path / "archive", {**contents, "x/good.nc": good})
    files = listed([*bad, "x/missing.nc", "../outside.nc", "x/good.nc"], "20230101000000")
    fragment = extracted(address, files, tmp_path / "f.npz")
    assert (fragment.rows, fragment.left_out) == (LEVELS, 6)
    harvest = read_fragment(fragment)
    reasons = {file.path: file.reason for file in harvest.left_out}
    for path, (_, reason) in bad.items():
        assert reason in reasons[path]
    assert "has no x/missing.nc" in reasons["x/missing.nc"]
    assert "no path" in reasons["../outside.nc"]
    assert {file.date_update for file in harvest.left_out} == {"20230101000000"}


def test_a_file_renamed_in_delayed_mode_is_found_and_says_so(tmp_path: Path) -> None:
    cast = in_delayed_mode(a_cast())
    address, _ = archive_of(tmp_path / "archive", [cast])
    asked = path_of(cast, mode="R")
    harvest = read_fragment(extracted(address, listed([asked]), tmp_path / "f.npz"))
    (source,) = harvest.sources
    assert (source.path, source.read_path) == (asked, path_of(cast))
    assert harvest.modes["TEMP"].tolist() == [b"D"]


def test_an_archive_that_has_gone_away_is_no_empty_product(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="gone") as told:
        extracted(ArchiveAddress(url=str(tmp_path / "gone")), listed(["a.nc"]), tmp_path / "f.npz")
    assert told.value.retry
    assert not (tmp_path / "f.npz").exists()


def test_an_archive_whose_disk_is_not_mounted_any_more_is_no_empty_product(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    with pytest.raises(ArchiveError, match="no index files any more") as told:
        extracted(ArchiveAddress(url=str(tmp_path / "mount")), listed(["a.nc"]), tmp_path / "f.npz")
    assert told.value.retry
    assert not (tmp_path / "f.npz").exists()


def test_a_part_of_no_files_is_an_empty_fragment(tmp_path: Path) -> None:
    address = archive_with(tmp_path / "archive", {})
    fragment = extracted(address, [], tmp_path / "f.npz")
    assert read_fragment(fragment).rows == fragment.rows == 0


def test_expert_mode_keeps_every_level_in_both_versions(tmp_path: Path) -> None:
    cast = in_delayed_mode(
        measuring(a_cast(position_flag="4"), TEMP=Measured(values=TEMPERATURE, flags="4"))
    )
    harvest = harvest_of(tmp_path, cast, mode="expert")
    np.testing.assert_allclose(harvest.columns["TEMP"], TEMPERATURE)
    np.testing.assert_allclose(harvest.columns["TEMP_ADJUSTED"], TEMPERATURE + 0.5)
    assert "TEMP_ERROR" not in harvest.columns


def test_a_fragment_can_go_to_any_file_system(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    order = ExtractOrder(
        archive=address,
        files=tuple(files),
        extent=WANTED,
        options=(),
        fragment_url="memory://fragments/p1-a1.npz",
    )
    sent = pickle.loads(pickle.dumps(order))
    assert read_fragment(extract(sent)).rows == LEVELS


def test_a_place_that_takes_no_fragment_is_a_typed_error(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        extracted(address, files, tmp_path / "file" / "p1.npz")
    assert caught.value.retry


@pytest.mark.parametrize("change", ["missing", "changed", "of another make"])
def test_a_fragment_that_is_not_what_was_reported_is_refused(tmp_path: Path, change: str) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    place = tmp_path / "f.npz"
    fragment = extracted(address, files, place)
    if change == "missing":
        place.unlink()
    elif change == "changed":
        place.write_bytes(place.read_bytes()[:-1] + b"X")
    else:
        np.savez(place, profiles=np.zeros(3))
        fragment = replace(fragment, sha256=hashlib.sha256(place.read_bytes()).hexdigest())
    with pytest.raises(StorageError) as caught:
        read_fragment(fragment)
    assert not caught.value.retry
    assert str(place) in str(caught.value)


class AwayAtFirst(LocalFileSystem):  # type: ignore[misc]
    """A folder whose first read breaks, as on a host whose link is down for a moment."""

    protocol = "away-at-first"
    faults: ClassVar[list[OSError]] = []

    def cat_file(self, path: str, *given: object, **options: object) -> bytes:
        if self.faults:
            raise self.faults.pop()
        return bytes(super().cat_file(path, *given, **options))


def test_a_file_that_could_not_be_read_for_a_moment_is_no_hole(tmp_path: Path) -> None:
    register_implementation("away-at-first", AwayAtFirst, clobber=True)
    address, files = archive_of(tmp_path / "archive", [a_cast(), a_cast(cycle=2)])
    in_peace = extracted(address, files, tmp_path / "peace.npz")
    AwayAtFirst.faults.append(OSError("no route to host"))
    disturbed = extracted(
        ArchiveAddress(url=f"away-at-first://{address.url}"), files, tmp_path / "f.npz"
    )
    assert AwayAtFirst.faults == []
    assert disturbed.sha256 == in_peace.sha256


def test_a_missing_file_of_a_server_that_lists_none_is_left_out(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    missing = listed(["x/missing.nc"])
    with web_server(Path(address.url)) as (url, _):
        fragment = extracted(ArchiveAddress(url=url), [*files, *missing], tmp_path / "f.npz")
        assert fragment.left_out == 1
        for index in Path(address.url).glob("*index*"):
            index.unlink()
        with pytest.raises(ArchiveError, match="is not there, or not to be seen") as told:
            extracted(ArchiveAddress(url=url), missing, tmp_path / "f.npz")
    assert told.value.retry
