"""Processes of one node share their reads, and nothing that befalls one of them stops another."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from controller import shared_reads as module
from controller.shared_reads import (
    BLOCK_BYTES,
    FOLDER_VARIABLE,
    IDLE_S_MIN,
    SIZE_VARIABLE,
    ReadName,
    SharedReads,
    share,
    shared_reads,
)

SPAWN = multiprocessing.get_context("spawn")
ROOM_BYTES = 64 * BLOCK_BYTES
WAIT_S_MAX = 30.0
ONE_BLOCK = b"x" * (BLOCK_BYTES - 100)
"""What takes one block when it is pickled."""


def name(key: str, number: int = 1, source: str = "/gdac", shelf: str = "content") -> ReadName:
    return ReadName(source=source, number=number, shelf=shelf, key=(key, "20240101000000"))


@pytest.fixture
def shared(tmp_path: Path) -> SharedReads:
    return SharedReads(tmp_path / "reads", ROOM_BYTES)


def never() -> bytes:
    raise AssertionError("it was read already")


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def noted_read(source: Path, key: str) -> bytes:
    """Read a file and note who did."""
    with (source / "reads.log").open("a") as log:
        log.write(f"{key} {os.getpid()}\n")
    return (source / key).read_bytes()


def read_all(folder: Path, source: Path, keys: list[str], start: Path) -> None:
    """Be a worker that reads files in turn."""
    shared = SharedReads(folder, ROOM_BYTES)
    until(start.exists)
    for key in keys:
        assert shared.get(name(key), partial(noted_read, source, key)) == key.encode() * 9


def read_and_stall(folder: Path, begun: Path) -> None:
    """Be a worker whose read never ends."""

    def stall() -> bytes:
        begun.touch()
        signal.pause()
        return b""

    SharedReads(folder, ROOM_BYTES).get(name("a"), stall)


def write_and_stall(folder: Path, begun: Path) -> None:
    """Be a worker that is stopped when half of what it read is written."""
    writing = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        writing(path, content[: len(content) // 2])
        begun.touch()
        signal.pause()
        return 0

    Path.write_bytes = half  # type: ignore[method-assign, assignment]
    SharedReads(folder, ROOM_BYTES).get(name("a"), lambda: b"torn" * 100)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SpawnProcess]]:
    """Start processes; none is left in the end."""
    processes = []

    def start(target: Callable[..., None], *arguments: object) -> SpawnProcess:
        process = SPAWN.Process(target=target, args=(tmp_path / "reads", *arguments))
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


class TestReading:
    def test_what_was_read_is_not_read_again(self, shared: SharedReads, tmp_path: Path) -> None:
        assert shared.get(name("a"), lambda: b"bytes") == b"bytes"
        assert shared.get(name("a"), never) == b"bytes"
        assert shared.get(name("b"), lambda: {"any": "thing"}) == {"any": "thing"}

    @pytest.mark.parametrize(
        "other",
        [
            name("a", number=2),
            name("a", source="/other"),
            name("a", shelf="profiles"),
            ReadName(source="/gdac", number=1, shelf="content", key=("a", "20250101000000")),
        ],
        ids=["a later update", "another archive", "another shelf", "rewritten since"],
    )
    def test_what_is_not_the_same_is_read_anew(self, shared: SharedReads, other: ReadName) -> None:
        shared.get(name("a"), lambda: b"old")
        assert shared.get(other, lambda: b"new") == b"new"
        assert shared.get(name("a"), never) == b"old"

    def test_a_read_that_fails_is_raised_and_not_kept(self, shared: SharedReads) -> None:
        def fail() -> bytes:
            raise FileNotFoundError(errno.ENOENT, "gone")

        with pytest.raises(FileNotFoundError):
            shared.get(name("a"), fail)
        assert shared.get(name("a"), lambda: b"there now") == b"there now"

    def test_what_is_forgotten_is_read_anew(self, shared: SharedReads) -> None:
        shared.forget(name("a"))
        shared.get(name("a"), lambda: b"torn")
        shared.forget(name("a"))
        assert shared.get(name("a"), lambda: b"whole") == b"whole"

    def test_one_read_may_be_made_of_another(self, shared: SharedReads) -> None:
        def opened() -> bytes:
            return shared.get(name("a"), lambda: b"content")[:3]

        assert shared.get(name("a", shelf="profiles"), opened) == b"con"
        assert shared.get(name("a"), never) == b"content"

    def test_processes_at_the_same_time_read_each_file_once(
        self, tmp_path: Path, start: Callable[..., SpawnProcess]
    ) -> None:
        source = tmp_path / "source"
        source.mkdir()
        keys = [f"f{number}" for number in range(40)]
        for key in keys:
            (source / key).write_bytes(key.encode() * 9)
        workers = [
            start(read_all, source, order, tmp_path / "go") for order in (keys, keys, keys[::-1])
        ]
        (tmp_path / "go").touch()
        for worker in workers:
            worker.join(WAIT_S_MAX)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        reads = [line.split()[0] for line in (source / "reads.log").read_text().splitlines()]
        assert sorted(reads) == sorted(keys)


class TestDeaths:
    def test_who_waits_for_a_worker_that_is_killed_reads_instead(
        self, tmp_path: Path, start: Callable[..., SpawnProcess]
    ) -> None:
        source = tmp_path / "source"
        source.mkdir()
        (source / "a").write_bytes(b"a" * 9)
        victim = start(read_and_stall, tmp_path / "begun")
        until((tmp_path / "begun").exists)
        heir = start(read_all, source, ["a"], tmp_path / "begun")
        victim.kill()
        heir.join(WAIT_S_MAX)
        assert heir.exitcode == 0
        assert (source / "reads.log").read_text().split() == ["a", str(heir.pid)]

    def test_a_worker_killed_while_it_writes_leaves_nothing_torn(
        self, shared: SharedReads, tmp_path: Path, start: Callable[..., SpawnProcess]
    ) -> None:
        victim = start(write_and_stall, tmp_path / "begun")
        until((tmp_path / "begun").exists)
        (draft,) = (tmp_path / "reads").glob("*/*")
        assert 0 < draft.stat().st_size < 400
        victim.kill()
        victim.join()
        assert shared.get(name("a"), lambda: b"whole") == b"whole"
        assert shared.get(name("a"), never) == b"whole"

    def test_one_that_is_stuck_holds_nobody_up_for_long(
        self,
        shared: SharedReads,
        tmp_path: Path,
        start: Callable[..., SpawnProcess],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        start(read_and_stall, tmp_path / "begun")
        until((tmp_path / "begun").exists)
        monkeypatch.setattr(module, "TURN_S_MAX", 0.1)
        assert shared.get(name("a"), lambda: b"by myself") == b"by myself"
        assert shared.get(name("b"), lambda: b"another") == b"another"


class TestRoom:
    def held(self, tmp_path: Path) -> list[str]:
        return sorted(path.parent.name[-1] for path in (tmp_path / "reads").glob("*/*"))

    def fill(self, shared: SharedReads, number: int, count: int, source: str = "/gdac") -> None:
        for key in range(count):
            shared.get(name(f"{key}", number, source), lambda: ONE_BLOCK)

    def test_a_batch_that_is_too_large_keeps_what_fits(
        self, shared: SharedReads, tmp_path: Path
    ) -> None:
        self.fill(shared, 1, 80)
        assert self.held(tmp_path) == ["1"] * 64
        for key in range(64):
            shared.get(name(f"{key}"), never)
        assert shared.get(name("79"), lambda: b"read again") == b"read again"

    def test_superseded_batches_give_way_oldest_first(
        self, shared: SharedReads, tmp_path: Path
    ) -> None:
        self.fill(shared, 1, 30)
        self.fill(shared, 2, 30)
        self.fill(shared, 3, 30)
        assert self.held(tmp_path) == ["2"] * 30 + ["3"] * 30
        self.fill(shared, 1, 10)
        assert self.held(tmp_path).count("3") == 30, "an old one took a newer one's room"

    def test_another_archive_gives_way_when_it_rests(
        self, shared: SharedReads, tmp_path: Path
    ) -> None:
        self.fill(shared, 9, 60)
        self.fill(shared, 2, 10, source="/other")
        assert self.held(tmp_path) == ["2"] * 4 + ["9"] * 60
        (batch,) = (tmp_path / "reads").glob("*-9")
        before = time.time() - IDLE_S_MIN - 1
        os.utime(batch, (before, before))
        self.fill(SharedReads(tmp_path / "reads", ROOM_BYTES), 2, 10, source="/other")
        assert self.held(tmp_path) == ["2"] * 10

    def test_a_large_read_passes_through(self, shared: SharedReads, tmp_path: Path) -> None:
        large = b"x" * (ROOM_BYTES // 8 + 1)
        assert shared.get(name("a"), lambda: large) == large
        assert self.held(tmp_path) == []
        assert shared.get(name("a"), lambda: b"again") == b"again"

    def test_what_other_processes_keep_is_counted(self, tmp_path: Path) -> None:
        self.fill(SharedReads(tmp_path / "reads", ROOM_BYTES), 1, 60)
        self.fill(SharedReads(tmp_path / "reads", ROOM_BYTES), 1, 80)
        assert self.held(tmp_path) == ["1"] * 64

    def test_what_a_killed_worker_had_booked_is_found_again(
        self, shared: SharedReads, tmp_path: Path
    ) -> None:
        self.fill(shared, 1, 60)
        for path in (tmp_path / "reads").glob("*/*"):
            path.unlink()
        self.fill(shared, 1, 64)
        assert self.held(tmp_path) == ["1"] * 64


class TestFaults:
    def test_a_full_disc_is_told_once_and_reads_go_on(
        self, small_disk: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        block = os.urandom(100_000)
        with closing(SharedReads(small_disk / "reads", 10_000_000)) as shared:
            for key in range(20):
                assert shared.get(name(f"{key}"), lambda: block) == block
            assert shared.get(name("0"), never) == block
        (told,) = caplog.records
        assert told.levelno == logging.WARNING
        assert "No space left on device" in told.getMessage()
        assert [path for path in (small_disk / "reads").glob("*/*") if path.suffix] == []

    def test_a_folder_that_cannot_be_made_is_told_once_and_reads_go_on(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        shared = SharedReads(tmp_path / "file" / "reads", ROOM_BYTES)
        assert shared.get(name("a"), lambda: b"once") == b"once"
        assert shared.get(name("a"), lambda: b"again") == b"again"
        assert [record.levelno for record in caplog.records] == [logging.WARNING]

    def test_a_batch_that_is_removed_meanwhile_is_no_fault(
        self, shared: SharedReads, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        shared.get(name("a"), lambda: b"one")
        for path in (tmp_path / "reads").glob("*/*"):
            path.unlink()
            path.parent.rmdir()
        assert shared.get(name("b"), lambda: b"two") == b"two"
        assert shared.get(name("c"), lambda: b"three") == b"three"
        assert shared.get(name("c"), never) == b"three"
        assert caplog.records == []


class TestSettings:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in (FOLDER_VARIABLE, SIZE_VARIABLE):
            monkeypatch.setenv(variable, "")
            monkeypatch.delenv(variable)

    def test_nothing_is_shared_unless_told(self, tmp_path: Path) -> None:
        assert shared_reads() is None
        share(tmp_path / "reads", 0)
        assert shared_reads() is None
        assert list(tmp_path.iterdir()) == []

    def test_a_process_shares_in_the_folder_of_its_node(self, tmp_path: Path) -> None:
        share(tmp_path / "reads", 1.5)
        shared = shared_reads()
        assert shared is not None
        assert shared_reads() is shared
        shared.get(name("a"), lambda: b"bytes")
        assert (tmp_path / "reads").stat().st_mode & 0o777 == 0o700
        assert len(list((tmp_path / "reads").glob("*/*"))) == 1
