"""What goes wrong around a service for months: full discs, stepping clocks, torn files."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from controller.errors import StorageError
from controller.service import Letter
from controller.store.opening import Address
from controller.store.sqlite import SqliteDatabase
from controller.upkeep import check
from planner.commands import AnyCommand, DeliverProduct, ProvisionNode, RunPart
from planner.errors import SlackwaterError
from planner.events import AnyEvent, NodeRefused, SubscriptionAdded
from planner.journal import decode_step, replay
from planner.scaling.policy import BUILT_IN
from tests.controller.conftest import Command, mounted
from tests.controller.recorded import NOW, Hands, Life, answers, life
from tests.planner.building import subscription, update

DAY_S = 86400.0


class Clock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def told_by(one: Life, name: str, told: list[SlackwaterError | None]) -> None:
    """Send a subscription from outside."""
    event = SubscriptionAdded(at=NOW, subscription=subscription(name))
    one.inbox.post(Letter(event=event, message_id=name, settled=told.append))
    one.play()


def all_is_well(path: Path, archive: Path) -> None:
    found = check(Address(path=str(path)), archive)
    assert all(each.ok for each in found), found


# --- the disc of the store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a store and its log, and not for much more."""
    yield from mounted(tmp_path / "disk", mb=4)


def fill(disk: Path) -> Path:
    """Leave no room on a disc; return what takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size_bytes in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size_bytes))
            except OSError:
                pass
    return filler


def test_a_full_disk_refuses_new_work_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    told: list[SlackwaterError | None] = []
    path = small_disk / "db"
    with life(partial(SqliteDatabase, path), stalls=(RunPart,)) as one:
        one.begin()
        lost = [each for each in one.hands.obeyed if isinstance(each, RunPart)]
        filler = fill(small_disk)
        for number in range(200):
            told_by(one, f"s{number}", told)
        # What an earlier transaction left room for is taken; from then on nothing is.
        fault = told[-1]
        assert isinstance(fault, StorageError)
        assert fault.retry
        assert "is full" in str(fault)
        taken = [f"s{number}" for number, fault in enumerate(told) if fault is None]
        assert str(one.service.fault) == str(fault)
        for command in lost:
            for event in answers(command):
                one.inbox.put(event)
        one.play()
        assert one.tasks()[0].state == "running"
        filler.unlink()
        one.hands.stalls = ()
        one.service.run(lambda planner: one.service.fault is None)
        one.play()
        assert one.tasks()[0].state == "delivered"
        told_by(one, "later", told)
        assert told[-1] is None
        standing = {"med", "later", *taken}
        assert {s.id for s in one.service.planner.books.registry.subscriptions()} == standing
    with life(partial(SqliteDatabase, path)) as two:
        assert {s.id for s in two.service.planner.books.registry.subscriptions()} == standing


def test_a_disk_that_may_only_be_read_is_told_and_left_alone(small_disk: Path) -> None:
    path = small_disk / "db"
    with life(partial(SqliteDatabase, path)) as one:
        one.begin()
    content = path.read_bytes()
    remount(small_disk, "ro")
    try:
        with (
            pytest.raises(StorageError, match=r"may not be written to|cannot be opened"),
            life(partial(SqliteDatabase, path)),
        ):
            pass
        assert path.read_bytes() == content
    finally:
        remount(small_disk, "rw")
    with life(partial(SqliteDatabase, path)) as two:
        assert two.tasks()[0].state == "delivered"


def remount(disk: Path, mode: str) -> None:
    command = ["mount", "-o", f"remount,{mode}", str(disk)]
    subprocess.run(command, check=True, capture_output=True, timeout=10)


def test_a_data_folder_that_cannot_be_made_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ended = command("serve", "--data", tmp_path / "file" / "data", "--archive", tmp_path)
    assert ended.code == 1
    assert "data folder" in ended.err
    assert "service.data_dir" in ended.err


def test_a_database_that_is_away_altogether_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SlackwaterError | None] = []
    with life(partial(SqliteDatabase, tmp_path / "db")) as one:
        one.begin()
        node = NodeRefused(at=NOW, node_id=launched(one), reason="no capacity")
        one.inbox.put(node)
        one.play()
        woken_for = one.service.planner.books.desk.woken_for
        away = StorageError("store is away", retry=True)

        def raise_it(*_: object, **__: object) -> None:
            raise away

        with monkeypatch.context() as gone:
            for method in ("transaction", "reading"):
                gone.setattr(type(one.database), method, raise_it)
            for number in range(3):
                told_by(one, f"s{number}", told)
        assert told == [away] * 3
        told_by(one, "s3", told)
        assert told[-1] is None
        assert one.service.fault is None
        assert "s0" not in one.service.planner.books.registry
        assert "s3" in one.service.planner.books.registry
        assert one.service.planner.books.desk.woken_for == woken_for
        assert one.service._wake_at == woken_for
    all_is_well(tmp_path / "db", tmp_path / "journal")


def launched(one: Life) -> str:
    """Have a node asked for that does not come up, and return its id."""
    one.hands.stalls = (ProvisionNode,)
    one.inbox.put(update(NOW, 1))
    one.play()
    return next(c.node_id for c in reversed(one.hands.obeyed) if isinstance(c, ProvisionNode))


# --- a log that was torn


@pytest.mark.parametrize("seed", range(8))
def test_a_torn_log_costs_its_last_transactions_only(tmp_path: Path, seed: int) -> None:
    luck = random.Random(seed)
    path, torn = tmp_path / "db", tmp_path / "torn" / "db"
    torn.parent.mkdir()
    with life(partial(SqliteDatabase, path), stalls=(RunPart,)) as one:
        one.begin()
        for number in range(10):
            told_by(one, f"s{number}", [])
        before = dict(one.store.lines(0))
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", f"{torn}{ending}")
    spoil(Path(f"{torn}-wal"), luck)
    with life(partial(SqliteDatabase, torn), stalls=(RunPart,)) as two:
        kept = dict(two.store.lines(0))
        assert list(kept.items()) == list(before.items())[: len(kept)]
        two.begin()
        all_is_well(torn, tmp_path / "journal")


def spoil(log: Path, luck: random.Random) -> None:
    """Cut a log off, or let some of its bytes be others."""
    content = bytearray(log.read_bytes())
    at = luck.randrange(len(content))
    if luck.random() < 0.5:
        log.write_bytes(content[:at])
        return
    for place in range(at, min(len(content), at + 512)):
        content[place] = luck.randrange(256)
    log.write_bytes(content)


# --- clocks


@pytest.mark.parametrize("seed", range(6))
def test_a_clock_that_steps_loses_nothing(tmp_path: Path, seed: int) -> None:
    luck, clock = random.Random(seed), Clock()
    steps = (-DAY_S, -3600.0, -1.0, 0.0, 1.0, 3600.0, DAY_S)
    place = partial(SqliteDatabase, tmp_path / "db")
    with life(place, clock=clock) as one:
        one.hands = Stepping(one, clock, lambda: luck.choice(steps))
        one.service._outbox = one.hands
        one.begin()
        for number in range(1, 6):
            one.inbox.put(update(clock(), number))
            one.play()
        until_nothing_waits(one, clock)
        tasks = one.tasks()
        assert len(tasks) == 6
        for task in tasks:
            # A step beyond its deadline makes a task late, as far as anyone can tell.
            assert task.state in {"delivered", "late"}
            assert task.manifest_url
            assert task.deadline_at is not None
            assert task.deadline_at > task.arrived_at
        seq = one.recorder.seq
        for _ in range(50):
            one.service.handle([], clock())
        assert one.recorder.seq <= seq + 1
        header, lines = one.store.header(0), dict(one.store.lines(0))
    assert header is not None
    read = [decode_step(line, number) for number, line in lines.items()]
    assert replay(header, read, BUILT_IN) == (len(read), None)
    with life(place, clock=clock) as two:
        assert two.recovered.commands == ()
    all_is_well(tmp_path / "db", tmp_path / "journal")


class Stepping(Hands):
    """Answers at once; before each answer the clock may step."""

    def __init__(self, one: Life, clock: Clock, step: Callable[[], float]) -> None:
        super().__init__(one.inbox, clock)
        self._clock, self._step = clock, step

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        for command in commands:
            self._clock.now += self._step()
            super().carry_out([command])


def until_nothing_waits(one: Life, clock: Clock) -> None:
    """Let time pass until all is delivered: what was put off comes at its instant."""
    for _ in range(100):
        one.play()
        woken_for = one.service.planner.books.desk.woken_for
        if not one.service.planner.books.backlog.tasks:
            return
        clock.now = max(clock.now + 1.0, woken_for or 0.0)
        one.service.handle([], clock())
    raise AssertionError("something waits for ever")


# --- messages in no order


@pytest.mark.parametrize("seed", range(6))
def test_outcomes_that_come_twice_and_in_no_order_change_nothing(tmp_path: Path, seed: int) -> None:
    luck = random.Random(seed)
    with life(partial(SqliteDatabase, tmp_path / "db")) as one:
        one.hands = Rumours(one.inbox, luck)
        one.service._outbox = one.hands
        one.begin()
        for number in range(1, 6):
            one.inbox.put(update(NOW, number))
        one.play()
        while one.hands.untold():
            one.play()
        tasks = one.tasks()
        assert [task.state for task in tasks] == ["delivered"] * 6
        assert [(task.parts, task.parts_done) for task in tasks] == [(2, 2)] * 6
        delivered = [c.task_id for c in one.hands.obeyed if isinstance(c, DeliverProduct)]
        assert sorted(delivered) == sorted({*delivered})
        assert one.service.planner.books.desk.late_messages
    all_is_well(tmp_path / "db", tmp_path / "journal")


class Rumours(Hands):
    """Tells each outcome up to three times, some at once and some much later."""

    def __init__(self, inbox: object, luck: random.Random) -> None:
        super().__init__(inbox)  # type: ignore[arg-type]
        self._luck = luck
        self._told: list[AnyEvent] = []

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        for command in commands:
            self.obeyed.append(command)
            for event in answers(command):
                self._told += [event] * self._luck.choice((1, 2, 3))

    def untold(self) -> bool:
        """Tell some of what is left in any order; return whether there was any."""
        self._luck.shuffle(self._told)
        some = self._luck.randrange(1, len(self._told) + 1) if self._told else 0
        for event in self._told[:some]:
            self.inbox.put(event)
        del self._told[:some]
        return some > 0


def test_nothing_comes_of_what_was_never_commanded(tmp_path: Path) -> None:
    with life(partial(SqliteDatabase, tmp_path / "db"), stalls=(RunPart,)) as one:
        one.begin()
        run = next(each for each in one.hands.obeyed if isinstance(each, RunPart))
        for wrong in (replace(run, part_id="t99/0"), replace(run, attempt=7)):
            for event in answers(wrong):
                one.inbox.put(event)
        one.play()
        (task,) = one.tasks()
        assert task.state == "running"
        assert len(one.service.planner.books.backlog.tasks) == 1
    all_is_well(tmp_path / "db", tmp_path / "journal")
