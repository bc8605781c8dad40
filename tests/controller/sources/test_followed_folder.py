"""A folder that is followed for months: numbers come back, and a file that grows is not taken."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from controller.config.commands import CommandSettings
from controller.errors import ArchiveError, StorageError
from controller.sources.folder import FolderSource, open_command
from controller.sources.keeping import Memory
from controller.sources.settling import Settling
from controller.sources.unlisted import UnlistedSource
from planner.extent import Extent
from planner.model import UpdateSpan
from tests.controller.test_folder_source import COLUMNS, DATASET, write

ROW = "{},2020-01-01,10,20\n"


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    write(place, "a.nc", "b.nc")
    return place


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def source(
    folder: Path,
    kept: Path,
    known: int | None = None,
    *,
    settle_s: float = 0.0,
    clock: Clock | None = None,
    index: str | None = None,
) -> FolderSource:
    return FolderSource(
        str(folder),
        DATASET,
        parameters=("sst",),
        files="*.nc",
        index=index,
        memory=Memory(folder=kept, known=known),
        settle_s=settle_s,
        clock=clock or Clock(),
    )


def number(told: FolderSource | UnlistedSource) -> int | None:
    update = told.look()
    return None if update is None else update.number


def files(told: FolderSource, after: int | None, upto: int) -> list[str]:
    found = told.listing.select(Extent(), UpdateSpan(after=after, upto=upto))
    return [file.path for file in found]


class TestComingBack:
    def test_it_goes_on_where_it_was(self, folder: Path, kept: Path) -> None:
        told = source(folder, kept)
        write(folder, "c.nc")
        assert number(told) == 1
        again = source(folder, kept, 1)
        assert again.look() is None
        assert (files(again, 0, 1), files(again, None, 0)) == (["c.nc"], ["a.nc", "b.nc"])
        write(folder, "a.nc", text="longer")
        assert number(again) == 2
        assert sorted(path.name for path in kept.iterdir()) == ["state-1.json", "state-2.json"]

    def test_what_was_kept_but_never_journaled_is_found_anew(
        self, folder: Path, kept: Path
    ) -> None:
        told = source(folder, kept)
        write(folder, "c.nc")
        assert number(told) == 1
        write(folder, "d.nc")
        again = source(folder, kept, 0)
        assert number(again) == 1
        assert files(again, 0, 1) == ["c.nc", "d.nc"]
        assert source(folder, kept, 1).look() is None

    def test_a_journal_far_behind_finds_all_anew(self, folder: Path, kept: Path) -> None:
        told = source(folder, kept)
        for name in ("c.nc", "d.nc", "e.nc"):
            write(folder, name)
            told.look()
        again = source(folder, kept, 1)
        assert files(again, None, 1) == ["a.nc", "b.nc", "c.nc"]
        assert number(again) == 2
        assert files(again, 1, 2) == ["d.nc", "e.nc"]

    def test_a_state_far_behind_stands_in(self, folder: Path, kept: Path) -> None:
        source(folder, kept)
        write(folder, "c.nc")
        again = source(folder, kept, 6)
        assert "the state at update 6 is lost" in again.faults()[0]
        assert number(again) == 7
        assert source(folder, kept, 7).look() is None

    def test_files_that_have_gone_stay_gone(self, folder: Path, kept: Path) -> None:
        told = source(folder, kept)
        (folder / "b.nc").unlink()
        assert told.look() is None
        again = source(folder, kept, 0)
        assert files(again, None, 0) == ["a.nc"]
        write(folder, "b.nc")
        assert number(again) == 1

    def test_places_come_back(self, folder: Path, kept: Path) -> None:
        write(folder, "index.csv", text=COLUMNS + ROW.format("a.nc"))
        told = source(folder, kept, index="index.csv")
        again = source(folder, kept, 0, index="index.csv")
        assert again.faults() == told.faults() != ()
        assert files(again, None, 0) == ["a.nc"]
        assert again.look() is None
        write(folder, "index.csv", text=COLUMNS + ROW.format("a.nc") + ROW.format("b.nc"))
        assert number(again) == 1
        assert files(source(folder, kept, 1, index="index.csv"), 0, 1) == ["b.nc"]

    @pytest.mark.parametrize("content", [b"", b"{", msgspec.json.encode({"newest": 0})])
    def test_a_damaged_state_is_refused(self, content: bytes, folder: Path, kept: Path) -> None:
        source(folder, kept)
        (kept / "state-0.json").write_bytes(content)
        with pytest.raises(StorageError, match=r"state-0\.json is damaged"):
            source(folder, kept, 0)

    def test_a_newer_format_and_a_lost_state_are_refused(self, folder: Path, kept: Path) -> None:
        with pytest.raises(StorageError, match="no state of it"):
            source(folder, kept, 3)
        source(folder, kept)
        state = msgspec.json.decode((kept / "state-0.json").read_bytes())
        (kept / "state-0.json").write_bytes(msgspec.json.encode({**state, "format": 2}))
        with pytest.raises(StorageError, match="newer than this version"):
            source(folder, kept, 0)

    def test_what_cannot_be_kept_is_not_told(
        self, folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = source(folder, kept)
        write(folder, "c.nc")

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            with pytest.raises(StorageError, match="No space left"):
                told.look()
        assert files(told, None, 0) == ["a.nc", "b.nc"]
        assert number(told) == 1


class TestSettling:
    def test_a_file_that_grows_is_not_taken(self, folder: Path, kept: Path, clock: Clock) -> None:
        told = source(folder, kept, settle_s=5.0, clock=clock)
        write(folder, "c.nc")
        for text in ("x", "xx", "xxx"):
            write(folder, "c.nc", text=text)
            assert told.look() is None
            assert told.again_s == 5.0
            clock.now_s += 4.0
        clock.now_s += 1.0
        assert number(told) == 1
        assert told.again_s is None

    def test_others_are_taken_meanwhile(self, folder: Path, kept: Path, clock: Clock) -> None:
        told = source(folder, kept, settle_s=5.0, clock=clock)
        write(folder, "c.nc")
        write(folder, "a.nc", text="grows")
        told.look()
        clock.now_s += 5.0
        write(folder, "a.nc", text="grows on")
        assert number(told) == 1
        assert (files(told, 0, 1), files(told, None, 0)) == (["c.nc"], ["a.nc", "b.nc"])
        told.look()
        clock.now_s += 5.0
        assert number(told) == 2
        assert files(told, 1, 2) == ["a.nc"]

    def test_a_file_that_comes_and_goes_leaves_nothing(
        self, folder: Path, kept: Path, clock: Clock
    ) -> None:
        told = source(folder, kept, settle_s=5.0, clock=clock)
        write(folder, "c.nc")
        told.look()
        (folder / "c.nc").unlink()
        assert told.look() is None
        assert told.again_s is None

    def test_half_an_index_is_not_read(self, folder: Path, kept: Path, clock: Clock) -> None:
        both = COLUMNS + ROW.format("a.nc") + ROW.format("b.nc")
        write(folder, "index.csv", text=both)
        told = source(folder, kept, settle_s=5.0, clock=clock, index="index.csv")
        told.look()
        clock.now_s += 5.0
        assert told.look() is None
        write(folder, "index.csv", text=COLUMNS)
        assert told.look() is None
        assert files(told, None, 0) == ["a.nc", "b.nc"]
        clock.now_s += 4.0
        write(folder, "index.csv", text=both + " ")
        assert told.look() is None
        clock.now_s += 5.0
        assert told.look() is None
        assert files(told, None, 0) == ["a.nc", "b.nc"]

    def test_nothing_waits_without_a_time_to_rest(self) -> None:
        settling = Settling(0.0)
        assert settling.rested({}, {}) == {}
        assert not settling.waits


class TestLinks:
    def test_links_are_followed_by_no_source_that_others_write_to(
        self, folder: Path, kept: Path, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.nc"
        secret.write_text("x")
        outside = tmp_path / "outside"
        outside.mkdir()
        write(outside, "z.nc")
        told = source(folder, kept)
        (folder / "c.nc").symlink_to(secret)
        (folder / "d.nc").symlink_to(folder / "a.nc")
        (folder / "sub").symlink_to(outside)
        os.mkfifo(folder / "e.nc")
        assert told.look() is None
        (folder / "f.nc").write_text("x")
        assert number(told) == 1
        assert files(told, None, 1) == ["a.nc", "b.nc", "f.nc"]

    def test_the_folder_itself_may_be_one(self, folder: Path, kept: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        assert files(source(tmp_path / "link", kept), None, 0) == ["a.nc", "b.nc"]


class TestAnnounced:
    def test_announcements_become_updates_once_each(self, kept: Path) -> None:
        told = UnlistedSource(DATASET, Memory(folder=kept))
        assert told.look() is None
        assert told.announce("a")
        assert told.announce("b")
        assert not told.announce("a")
        update = told.look()
        assert update is not None
        assert (update.number, update.observations, update.dataset) == (1, None, DATASET)
        assert told.look() is None
        assert not told.announce("b")
        assert told.look() is None

    def test_what_was_announced_is_told_after_a_restart(self, kept: Path) -> None:
        told = UnlistedSource(DATASET, Memory(folder=kept))
        told.announce("a")
        assert number(UnlistedSource(DATASET, Memory(folder=kept, known=0))) == 1
        told.look()
        again = UnlistedSource(DATASET, Memory(folder=kept, known=0))  # told, but not journaled
        assert number(again) == 1
        later = UnlistedSource(DATASET, Memory(folder=kept, known=1))
        assert later.look() is None
        assert not later.announce("a")
        assert later.announce("b")
        assert number(later) == 2

    def test_what_cannot_be_kept_is_not_taken(
        self, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = UnlistedSource(DATASET, Memory(folder=kept))
        kept.mkdir()
        (kept / ".announced.json.partial").mkdir()
        with pytest.raises(StorageError):
            told.announce("a")
        assert told.look() is None
        (kept / ".announced.json.partial").rmdir()
        assert told.announce("a")

    def test_old_ones_are_forgotten(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("controller.sources.unlisted.IDS_MAX", 2)
        told = UnlistedSource(DATASET, Memory(folder=kept))
        assert [told.announce(each) for each in ("a", "b", "c", "b", "a")] == [
            True, True, True, False, True,
        ]  # fmt: skip

    def test_a_damaged_file_is_named(self, kept: Path) -> None:
        UnlistedSource(DATASET, Memory(folder=kept)).announce("a")
        (kept / "announced.json").write_text("{")
        with pytest.raises(StorageError, match=r"announced\.json is damaged"):
            UnlistedSource(DATASET, Memory(folder=kept, known=0))

    def test_a_dataset_of_a_command_remembers(self, kept: Path) -> None:
        dataset = open_command(
            alias="sst",
            identifier=DATASET,
            archive="https://example.org/erddap",
            settings=CommandSettings(run=("true",), ending=".nc"),
            fragments_url="fragments",
            staging_url="staging",
            memory=Memory(folder=kept, known=4),
        )
        assert isinstance(dataset.source, UnlistedSource)
        dataset.source.announce("a")
        assert number(dataset.source) == 5


def test_a_folder_that_is_away_is_told(folder: Path, kept: Path, tmp_path: Path) -> None:
    told = source(folder, kept)
    folder.rename(tmp_path / "away")
    with pytest.raises(ArchiveError, match="is not there"):
        told.look()
    (tmp_path / "away").rename(folder)
    assert told.look() is None
