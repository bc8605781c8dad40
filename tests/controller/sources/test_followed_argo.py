"""An archive that is followed for months: every number comes back, and each change is told once."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from controller.apps.argo.archive import open_archive
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind
from controller.config.settings import ARGO_DOI
from controller.demo.archive import DemoArchive, make_archive, reprocess
from controller.errors import ArchiveError, StorageError
from controller.sources import argo_state
from controller.sources.argo import FollowedArgo
from controller.sources.keeping import Memory
from controller.sources.reaching import Limits
from planner.events import UpdateArrived
from planner.extent import Extent
from planner.model import UpdateSpan

WAVE = 20
AT_ONCE = Limits(settle_s=0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return make_archive(tmp_path_factory.mktemp("made") / "archive", profiles=150, seed=11)


@pytest.fixture
def archive(made: DemoArchive, tmp_path: Path) -> DemoArchive:
    folder = Path(shutil.copytree(made.folder, tmp_path / "archive"))
    return replace(made, folder=folder)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sources" / "argo"


def opened(
    where: DemoArchive | str, kept: Path, known: int | None, limits: Limits = AT_ONCE
) -> FollowedArgo:
    url = where if isinstance(where, str) else str(where.folder)
    return FollowedArgo(
        open_archive(ArchiveAddress(url=url)),
        ARGO_DOI,
        Memory(folder=kept, known=known),
        limits=limits,
    )


def news(source: FollowedArgo) -> UpdateArrived:
    update = source.look()
    assert update is not None
    return update


def waits(source: FollowedArgo) -> bool:
    """Tell whether the last look found something that is being written."""
    return source.again_s is not None


def increment(source: FollowedArgo, number: int) -> list[str]:
    """Return the paths that an update brought."""
    span = UpdateSpan(after=number - 1, upto=number)
    files = source.catalogue.files(source.catalogue.select(Extent(), span))
    return [file.path for file in files]


def changed(archive: DemoArchive, wave: int) -> DemoArchive:
    return reprocess(archive, profiles=WAVE, at=1.8e9 + wave * 1e6)


class TestComingBack:
    def test_it_goes_on_where_it_was(self, archive: DemoArchive, kept: Path) -> None:
        source = opened(archive, kept, None)
        assert source.base().number == 0
        for wave in (1, 2):
            archive = changed(archive, wave)
            assert news(source).number == wave
        brought = [increment(source, number) for number in (1, 2)]
        again = opened(archive, kept, 2)
        assert again.look() is None
        assert again.catalogue.newest == 2
        assert [increment(again, number) for number in (1, 2)] == brought
        assert again.faults() == source.faults()
        changed(archive, 3)
        assert news(again).number == 3

    def test_what_was_kept_but_never_journaled_is_found_anew(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        lost = news(source)
        again = opened(archive, kept, 0)
        assert again.catalogue.newest == 0
        assert news(again).observations == lost.observations
        assert increment(again, 1) == increment(source, 1)
        assert again.look() is None

    def test_more_may_have_changed_when_it_is_found_anew(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        news(source)
        archive = changed(archive, 2)
        again = opened(archive, kept, 0)
        assert set(increment(again, 1)) == set()
        assert news(again).number == 1
        assert len(increment(again, 1)) > len(increment(source, 1))
        once_more = opened(archive, kept, 1)
        assert increment(once_more, 1) == increment(again, 1)
        assert once_more.look() is None

    @pytest.mark.parametrize("known", [0, 1, 2, 3])
    def test_a_state_that_was_written_anew_answers_for_every_number_before(
        self, known: int, archive: DemoArchive, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(argo_state, "UPDATES_MAX", 2)
        source = opened(archive, kept, None)
        for wave in (1, 2, 3):
            archive = changed(archive, wave)
            news(source)
        # Before the third was kept the first two were put into one state.
        names = sorted(path.name for path in kept.iterdir())
        assert names == ["seen.json", "state-2.npz", "update-3.npz"]
        again = opened(archive, kept, known)
        assert again.catalogue.newest == known
        for number in range(1, known + 1):
            assert increment(again, number) == increment(source, number)
        assert (again.look() is None) == (known == 3)
        assert opened(archive, kept, again.catalogue.newest).look() is None

    def test_a_stale_state_beyond_the_journal_is_never_met_again(
        self, archive: DemoArchive, kept: Path, tmp_path: Path
    ) -> None:
        opened(archive, kept, None)
        older = Path(shutil.copytree(kept, tmp_path / "older"))
        archive = changed(archive, 1)
        source = opened(archive, kept, 0)
        news(source)
        argo_state.ArgoState(Memory(folder=kept, known=1), ARGO_DOI).begin(source.catalogue)
        # The machine stopped before the older state was removed, and before the update was told.
        shutil.copy(older / "state-0.npz", kept)
        archive = changed(archive, 2)
        again = opened(archive, kept, 0)
        news(again)
        assert increment(opened(archive, kept, 1), 1) == increment(again, 1)

    def test_an_archive_that_is_away_does_not_keep_it_from_coming_back(
        self, archive: DemoArchive, kept: Path, tmp_path: Path
    ) -> None:
        opened(archive, kept, None)
        archive.folder.rename(tmp_path / "away")
        again = opened(archive, kept, 0)
        assert again.look() is None
        with pytest.raises(ArchiveError, match="is not there"):
            again.look()
        (tmp_path / "away").rename(archive.folder)
        assert again.look() is None

    def test_a_journal_that_knows_nothing_begins_anew(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        news(source)
        again = opened(archive, kept, None)
        assert again.catalogue.newest == 0
        assert again.look() is None
        assert not list(kept.glob("update-*"))

    def test_a_lost_state_is_refused_or_begun_from_an_older_index(
        self, archive: DemoArchive, kept: Path, tmp_path: Path
    ) -> None:
        older = Path(shutil.copy(archive.index, tmp_path / "older.txt"))
        with pytest.raises(StorageError, match=r"the journal knows update 7, but .* no state"):
            opened(archive, kept, 7)
        archive = changed(archive, 1)
        source = FollowedArgo(
            open_archive(ArchiveAddress(url=str(archive.folder))),
            ARGO_DOI,
            Memory(folder=kept, known=7),
            since=older,
            limits=AT_ONCE,
        )
        assert news(source).number == 8
        assert opened(archive, kept, 8).look() is None

    def test_an_older_state_stands_in_and_nothing_is_lost(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        news(source)
        again = opened(archive, kept, 5)  # as when an older backup was restored
        (warning, *_) = again.faults()
        assert "the state at update 5 is lost: what changed after update 1 is told again" in warning
        archive = changed(archive, 2)
        assert news(again).number == 6
        assert opened(archive, kept, 6).look() is None

    def test_a_damaged_state_is_refused_and_left_as_it_is(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        opened(archive, kept, None)
        state = kept / "state-0.npz"
        state.write_bytes(state.read_bytes()[:-100])
        before = state.read_bytes()
        with pytest.raises(StorageError, match=r"state-0\.npz is damaged"):
            opened(archive, kept, 0)
        assert state.read_bytes() == before

    @pytest.mark.parametrize("nth", [1, 2])
    def test_what_cannot_be_kept_is_not_told(
        self, nth: int, archive: DemoArchive, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        writes = 0
        sync = os.fsync

        def full(descriptor: int) -> None:
            nonlocal writes
            writes += 1
            if writes >= 2 * nth - 1:  # a file, then its folder
                raise OSError(28, "No space left on device")
            sync(descriptor)

        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            with pytest.raises(StorageError, match="No space left"):
                source.look()
        assert source.catalogue.newest == 0
        assert not [path for path in kept.iterdir() if path.name.endswith(".partial")]
        assert news(source).number == 1
        assert opened(archive, kept, 1).look() is None


class TestLookingCheaply:
    def test_an_unchanged_index_is_not_read(
        self, archive: DemoArchive, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = opened(archive, kept, None)
        monkeypatch.setattr("controller.sources.indexes.read_index", unreadable)
        assert source.look() is None
        assert opened(archive, kept, 0).look() is None

    def test_an_index_written_again_with_the_same_rows_is_no_update(
        self, archive: DemoArchive, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = opened(archive, kept, None)
        content = archive.index.read_text().replace("# Title", "# title")
        archive.index.write_text(content)
        assert source.look() is None
        monkeypatch.setattr("controller.sources.indexes.read_index", unreadable)
        assert opened(archive, kept, 0).look() is None

    def test_an_index_that_was_written_just_now_is_left_to_rest(
        self, archive: DemoArchive, kept: Path
    ) -> None:
        archive.index.touch()
        source = opened(archive, kept, None, Limits(settle_s=60.0))
        changed(archive, 1)
        assert source.look() is None
        assert source.again_s == 60.0
        for path in archive.folder.glob("*index*"):
            os.utime(path, (1e9, 1e9))
        assert news(source).number == 1
        assert source.again_s is None

    def test_faults_of_rows_are_those_of_now(self, archive: DemoArchive, kept: Path) -> None:
        source = opened(archive, kept, None)
        with archive.index.open("a") as file:
            file.write("not,a,row\n")
        assert source.look() is None
        assert any("wrong number of fields in 1 row" in fault for fault in source.faults())


def unreadable(*_: object) -> None:
    pytest.fail("an index was read")


def cut_in_a_row(content: bytes) -> bytes:
    return content[:-4]


def cut_in_half(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2])


class TestTornIndexes:
    @pytest.mark.parametrize(
        ("tear", "told"),
        [
            (cut_in_a_row, "breaks off within a line"),
            (cut_in_half, r"lost \d+ of \d+ profiles"),
            (lambda content: b"", "is no profile index"),
            (lambda content: b"\0" * len(content), "is no profile index"),
        ],
        ids=["in a row", "in half", "empty", "zeros"],
    )
    def test_half_an_index_changes_nothing(
        self,
        tear: Callable[[bytes], bytes],
        told: str,
        archive: DemoArchive,
        kept: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("controller.sources.argo.REMOVED_MAX", 10)
        source = opened(archive, kept, None)
        archive = changed(archive, 1)
        whole = archive.index.read_bytes()
        archive.index.write_bytes(tear(whole))
        with pytest.raises(ArchiveError, match=told):
            source.look()
        assert source.catalogue.newest == 0
        archive.index.write_bytes(whole)
        assert news(source).number == 1

    def test_a_packed_index_that_is_torn(self, archive: DemoArchive, kept: Path) -> None:
        archive.index.unlink()
        packed = archive.index.with_name(f"{archive.index.name}.gz")
        source = opened(archive, kept, None)
        whole = packed.read_bytes()
        packed.write_bytes(whole[:-5])
        with pytest.raises(ArchiveError, match="cannot be read"):
            source.look()
        packed.write_bytes(whole)
        assert source.look() is None

    def test_an_index_that_is_gone_is_being_replaced(
        self, archive: DemoArchive, kept: Path, tmp_path: Path
    ) -> None:
        source = opened(archive, kept, None)
        assert len(source.catalogue.current(Kind.SYNTHETIC)) > 0
        gone = list(archive.folder.glob("argo_synthetic*"))
        for path in gone:
            path.rename(tmp_path / path.name)
        assert source.look() is None
        with pytest.raises(ArchiveError, match="lists no synthetic profiles any more"):
            source.look()
        for path in gone:
            (tmp_path / path.name).rename(path)
        assert source.look() is None

    def test_an_older_index_beside_one_that_is_being_replaced_is_not_read(
        self, archive: DemoArchive, kept: Path, tmp_path: Path
    ) -> None:
        packed = archive.index.with_name(f"{archive.index.name}.gz")
        older = packed.read_bytes()
        archive = changed(archive, 1)
        source = opened(archive, kept, None)
        packed.write_bytes(older)
        archive.index.rename(tmp_path / "away")
        for _ in range(2):
            assert source.look() is None
            assert waits(source)
            (tmp_path / "away").rename(archive.index)
            assert source.look() is None
            assert not waits(source)
            archive.index.rename(tmp_path / "away")
        source.look()
        assert news(source).number == 1  # it is gone for good

    @pytest.mark.parametrize("limits", [Limits(bytes_max=1000, settle_s=0.0)])
    def test_an_index_beyond_the_limits_is_refused(
        self, limits: Limits, archive: DemoArchive, kept: Path
    ) -> None:
        with pytest.raises(ArchiveError, match="has more than 1,000 bytes"):
            opened(archive, kept, None, limits)

    def test_what_unpacks_to_very_much_is_refused(
        self, archive: DemoArchive, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("controller.sources.indexes.UNPACKED_BYTES_MAX", 10_000)
        archive.index.unlink()
        packed = archive.index.with_name(f"{archive.index.name}.gz")
        packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()) + b"\n" * 100_000))
        with pytest.raises(ArchiveError, match="more than 10,000 bytes unpacked"):
            opened(archive, kept, None)


class Stopped(BaseException):
    """The machine stops: nobody handles that."""


class Machine:
    """Stops at the n-th thing that is done to the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stops_at: int) -> None:
        self.done = 0
        self._stops_at = stops_at
        for where, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
            monkeypatch.setattr(where, name, self._counting(getattr(where, name)))

    def _counting(self, act: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **more: object) -> object:
            self.done += 1
            if self.done == self._stops_at:
                raise Stopped
            return act(*arguments, **more)

        return counted


def steps_until_told(
    archive: DemoArchive, kept: Path, stops_at: int, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Look until the machine stops at a step, or the update is told; return the steps done."""
    source = opened(archive, kept, 2)
    with monkeypatch.context() as disk:
        machine = Machine(disk, stops_at)
        with suppress(Stopped):
            news(source)
        return machine.done


@pytest.mark.parametrize("updates_max", [2, 100], ids=["state written anew", "one update more"])
def test_wherever_the_machine_stops_the_source_comes_back(
    updates_max: int,
    archive: DemoArchive,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = opened(archive, kept, None)
    for wave in (1, 2):
        archive = changed(archive, wave)
        news(source)
    before = [increment(source, number) for number in (1, 2)]
    changed(archive, 3)
    monkeypatch.setattr(argo_state, "UPDATES_MAX", updates_max)
    whole = Path(shutil.copytree(kept, tmp_path / "whole"))
    steps = steps_until_told(archive, whole, 0, monkeypatch)
    expected = increment(opened(archive, whole, 3), 3)
    assert steps >= 4
    for stops_at in range(1, steps + 2):
        trial = Path(shutil.copytree(kept, tmp_path / f"trial-{stops_at}"))
        done = steps_until_told(archive, trial, stops_at, monkeypatch)
        told = 3 if done == steps and stops_at > steps else 2
        again = opened(archive, trial, told)
        assert [increment(again, number) for number in (1, 2)] == before
        if told == 2:
            assert news(again).number == 3
        assert increment(again, 3) == expected
        assert opened(archive, trial, 3).look() is None


@pytest.mark.parametrize("known", [1, 2, 5])
def test_wherever_the_machine_stops_while_it_comes_back(
    known: int,
    archive: DemoArchive,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(argo_state, "UPDATES_MAX", 2)
    source = opened(archive, kept, None)
    for wave in (1, 2, 3):
        archive = changed(archive, wave)
        news(source)
    expected = [increment(source, number) for number in range(1, min(known, 3) + 1)]
    for stops_at in range(1, 20):
        trial = Path(shutil.copytree(kept, tmp_path / f"trial-{stops_at}"))
        with monkeypatch.context() as disk:
            machine = Machine(disk, stops_at)
            with suppress(Stopped):
                opened(archive, trial, known)
        again = opened(archive, trial, known)
        assert [increment(again, number) for number in range(1, len(expected) + 1)] == expected
        assert again.catalogue.newest == known
        assert not list(trial.glob(".*.partial"))
        if machine.done < stops_at:
            return
    pytest.fail("it did not come to an end")
