"""An archive as a source of updates: each change is told once, and half an index is no change."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from controller.apps.argo.archive import open_archive
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind
from controller.config.settings import ARGO_DOI
from controller.demo.archive import DemoArchive, make_archive, reprocess
from controller.errors import ArchiveError
from controller.sources.argo import ArgoSource, read_index_file
from planner.events import UpdateArrived

WAVE = 20


@pytest.fixture
def archive(tmp_path: Path) -> DemoArchive:
    return make_archive(tmp_path / "archive", profiles=150, seed=11)


def source_of(archive: DemoArchive, since: Path | None = None) -> ArgoSource:
    return ArgoSource(open_archive(ArchiveAddress(url=str(archive.folder))), ARGO_DOI, since)


def news(source: ArgoSource) -> UpdateArrived:
    """Look, and return the update that must be there."""
    update = source.look()
    assert update is not None
    assert update.dataset == ARGO_DOI
    return update


def rows(archive: DemoArchive) -> list[str]:
    """Return the lines of the core index that follow its column names."""
    lines = archive.index.read_text().splitlines(keepends=True)
    return lines[titles_end(lines) :]


def titles_end(lines: list[str]) -> int:
    return next(n for n, line in enumerate(lines) if not line.startswith("#")) + 1


def rewrite(archive: DemoArchive, kept: list[str]) -> None:
    """Write the core index with these rows only."""
    lines = archive.index.read_text().splitlines(keepends=True)
    archive.index.write_text("".join([*lines[: titles_end(lines)], *kept]))


def count(update: UpdateArrived) -> int:
    """Return how many profiles an update tells of."""
    assert update.observations is not None
    return len(update.observations)


def test_the_base_state_holds_no_news(archive: DemoArchive) -> None:
    source = source_of(archive)
    base = source.base()
    assert (base.number, count(base)) == (0, 0)
    assert source.look() is None
    assert len(source.catalogue.current(Kind.CORE)) == len(rows(archive))


def test_each_wave_is_told_once(archive: DemoArchive) -> None:
    source = source_of(archive)
    archive = reprocess(archive, profiles=WAVE)
    first = news(source)
    assert first.number == 1
    assert count(first) >= WAVE - 5  # but for those of no date or no position
    assert source.look() is None
    reprocess(archive, profiles=WAVE, at=2e9)
    assert news(source).number == 2
    assert source.look() is None
    assert source.catalogue.newest == 2


def test_since_an_older_index_all_that_changed_is_one_update(
    archive: DemoArchive, tmp_path: Path
) -> None:
    older = Path(shutil.copy(archive.index, tmp_path / "older.txt"))
    for at in (1.8e9, 1.9e9):
        archive = reprocess(archive, profiles=WAVE, at=at)
    source = source_of(archive, since=older)
    update = news(source)
    assert update.number == 1
    assert count(update) > WAVE
    assert source.look() is None


def test_an_older_index_of_one_kind_says_nothing_of_the_others(
    archive: DemoArchive, tmp_path: Path
) -> None:
    older = Path(shutil.copy(archive.index, tmp_path / "older.txt"))
    source = source_of(archive, since=older)
    assert len(source.catalogue.current(Kind.SYNTHETIC)) > 0
    assert source.look() is None


def test_a_few_profiles_less_are_an_update_without_observations(archive: DemoArchive) -> None:
    source = source_of(archive)
    rewrite(archive, rows(archive)[3:])
    update = news(source)
    assert (update.number, count(update)) == (1, 0)
    assert len(source.catalogue.current(Kind.CORE)) == len(rows(archive))


def test_an_index_that_lost_much_is_taken_for_half_written(
    archive: DemoArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(archive)
    whole = rows(archive)
    monkeypatch.setattr("controller.sources.argo.REMOVED_MAX", 10)
    rewrite(archive, whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match=r"the index lost \d+ of \d+ profiles at once\. It may"):
        source.look()
    rewrite(archive, whole)
    assert source.look() is None
    assert source.catalogue.newest == 0


def test_an_index_that_is_gone_or_torn_changes_nothing(archive: DemoArchive) -> None:
    source = source_of(archive)
    whole = archive.index.read_bytes()
    archive.index.write_bytes(whole[:10])
    with pytest.raises(ArchiveError, match="is no profile index"):
        source.look()
    archive.index.unlink()
    packed = archive.index.with_name(f"{archive.index.name}.gz")
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArchiveError, match="cannot be read"):
        source.look()
    packed.write_bytes(content)
    assert source.look() is None


def test_an_index_that_was_kept_is_read_packed_or_not(archive: DemoArchive, tmp_path: Path) -> None:
    count = len(read_index_file(archive.index).rows)
    packed = tmp_path / "kept-without-ending"
    packed.write_bytes(gzip.compress(archive.index.read_bytes()))
    assert len(read_index_file(packed).rows) == count
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(ArchiveError, match="kept-without-ending cannot be read"):
        read_index_file(packed)
    packed.write_bytes(b"\x1f\x8bnothing of gzip's")
    with pytest.raises(ArchiveError, match="kept-without-ending cannot be read"):
        read_index_file(packed)
