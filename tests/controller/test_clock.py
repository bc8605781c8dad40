"""The service's clock: it never goes back, whatever the machine's does."""

from __future__ import annotations

import ast
import logging
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import controller
from controller.clock import BEHIND_RATE, Clock
from controller.snapshotting import drop_lines
from controller.store.schema import upgrade
from controller.store.store import Store
from planner.commands import RunPart
from planner.events import PartFailed
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]

HOUR_S = 3600.0

REST_S_MAX = 300.0
"""What failed once rests for less [s]."""

BY_THE_MACHINES_CLOCK = {
    "api/keys.py": "another process makes keys and revokes them",
    "authority.py": "whoever checks a certificate goes by the clock of its machine",
    "clock.py": "it is the one",
    "cli": "a command that ends soon, or looks at the clock itself",
    "engines/scheduler.py": "Dask dates heartbeats by it",
    "nodes/process.py": "files are dated by it",
    "nodes/slurm_folders.py": "files are dated by it",
    "notify/mail.py": "a letter is dated for its reader",
    "notify/webhooks.py": "receivers refuse what is not signed now",
    "retaining.py": "manifests are dated by it",
    "shared_reads.py": "files are dated by it",
    "sources/fetching.py": "files are dated by it",
    "sweeping.py": "files are dated by it",
}
"""Who may ask for the machine's time, and why."""


class Machine:
    """A machine whose clock somebody sets."""

    def __init__(self) -> None:
        self.wall, self.ticks = NOW, 50.0
        self.start_again()

    def start_again(self) -> None:
        self.clock = Clock(lambda: self.wall, lambda: self.ticks)

    def go(self, passed_s: float, stepped_s: float = 0.0) -> float:
        self.wall += passed_s + stepped_s
        self.ticks += passed_s
        return self.clock()


def test_a_clock_in_health_is_the_machines() -> None:
    machine = Machine()
    assert [machine.go(passed_s=7.0) for _ in range(3)] == [NOW + 7.0, NOW + 14.0, NOW + 21.0]
    assert machine.clock.ahead_s == 0.0


def test_a_step_forward_is_taken_and_told(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    assert machine.go(passed_s=1.0, stepped_s=HOUR_S) == NOW + HOUR_S + 1.0
    assert [each.getMessage() for each in caplog.records] == [
        "the clock of this machine was set forward by 3600.0 s"
    ]


def test_a_step_back_is_made_up_for_slowly_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    assert machine.go(passed_s=0.0, stepped_s=-HOUR_S) == NOW
    for _ in range(9):
        machine.go(passed_s=HOUR_S)
    assert machine.clock() == pytest.approx(NOW + 9 * HOUR_S * BEHIND_RATE)
    assert machine.clock.ahead_s == pytest.approx(0.1 * HOUR_S)
    assert machine.go(passed_s=2 * HOUR_S) == machine.wall
    assert machine.clock.ahead_s == 0.0
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "set back by 3600.0 s; the service's is 3600.0 s ahead" in record.getMessage()


def test_what_was_written_last_is_where_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.clock.not_before(NOW - HOUR_S)
    assert machine.clock() == NOW
    assert not caplog.records
    machine.clock.not_before(NOW + HOUR_S)
    assert machine.clock() == NOW + HOUR_S
    assert machine.go(passed_s=10.0) == pytest.approx(NOW + HOUR_S + 9.0)
    assert "3600.0 s behind what was written last" in caplog.text


STEPS = st.tuples(st.floats(0.0, 1e5), st.sampled_from([0.0, -1.0, 1.0, -HOUR_S, HOUR_S, -1e7]))


@given(st.lists(STEPS, max_size=50))
def test_it_never_goes_back_nor_falls_behind(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    logging.disable()
    try:
        told = [machine.clock()]
        for passed_s, stepped_s in steps:
            told.append(machine.go(passed_s, stepped_s))
            assert told[-1] >= machine.wall
            assert told[-1] - told[-2] <= max(passed_s, machine.wall - told[-2]) + 1e-6
    finally:
        logging.disable(logging.NOTSET)
    assert all(before <= after for before, after in pairwise(told))


def test_all_threads_are_told_the_same_time() -> None:
    clock, told = Clock(), []
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(2000):
            with lock:
                told.append(clock())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == sorted(told)


def test_nobody_else_asks_the_machine() -> None:
    package = Path(controller.__file__).parent
    found = set()
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time":
                found.add(str(path.relative_to(package)))
    allowed = {name for name in found if name.split("/")[0] in BY_THE_MACHINES_CLOCK}
    assert found - allowed <= BY_THE_MACHINES_CLOCK.keys()
    assert BY_THE_MACHINES_CLOCK.keys() <= found | {name.split("/")[0] for name in found}


# --- what rests


@pytest.mark.parametrize("then", ["it lives on", "it was killed", "it was stopped"])
def test_what_rests_waits_no_longer_when_the_clock_is_set_back(place: Place, then: str) -> None:
    machine = Machine()
    with life(place, stalls=(RunPart,), clock=machine.clock) as one:
        one.begin()
        for command in one.hands.obeyed:
            if isinstance(command, RunPart):
                one.inbox.put(failed(command, machine.clock()))
        one.play()
        if then == "it was stopped":
            one.recorder.keep_snapshot(one.service.planner.snapshot(), one.recorder.seq)
            drop_lines(one.store, one.recorder.seq)
        machine.go(passed_s=1.0, stepped_s=-HOUR_S)
        if then == "it lives on":
            runs_again(one, machine)
            return
    machine.start_again()
    with life(place, stalls=(RunPart,), clock=machine.clock) as two:
        machine.clock.not_before(two.store.last_at())
        runs_again(two, machine)


def failed(command: RunPart, now: float) -> PartFailed:
    return PartFailed(
        at=now, part_id=command.part_id, attempt=command.attempt, reason="away", retry=True
    )


def runs_again(one: Life, machine: Machine) -> None:
    """Let the time of rest pass, by the ticks, and see that what rested is tried again."""
    before = len(one.hands.obeyed)
    one.service.handle([], machine.go(passed_s=REST_S_MAX))
    again = [each for each in one.hands.obeyed[before:] if isinstance(each, RunPart)]
    assert [each.attempt for each in again] == [2, 2]


def test_a_new_store_holds_no_time(place: Place) -> None:
    with closing(place()) as database:
        upgrade(database, "test")
        assert Store(database, "test").last_at() == 0.0
