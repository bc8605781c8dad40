"""No destination keeps others waiting, however many hang; what is cancelled never runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.delivery.lanes import Lanes

S_MAX = 10.0


class Hanging:
    """Acts that begin and go on until they are let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def act(self, fails: bool) -> str:
        self.begun.release()
        assert self.go.wait(S_MAX)
        if fails:
            raise TimeoutError
        return "done"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.go.set()


def test_one_destination_that_hangs_takes_its_own_lanes_only(hanging: Hanging) -> None:
    lanes = Lanes(lanes_max=4, of_one_max=2, of_failing_max=2)
    stuck = [lanes.submit("dead", hanging.act, False) for _ in range(10)]
    for _ in range(2):
        assert hanging.begun.acquire(timeout=S_MAX)
    for number in range(10):
        assert lanes.submit("alive", str, number).result(S_MAX) == str(number)
    assert not hanging.begun.acquire(blocking=False)
    assert sum(each.running() for each in stuck) == 2
    hanging.go.set()
    assert {each.result(S_MAX) for each in stuck} == {"done"}
    lanes.shutdown(wait=True)


def test_many_that_failed_leave_lanes_to_those_that_live(hanging: Hanging) -> None:
    lanes = Lanes(lanes_max=4, of_one_max=2, of_failing_max=2)
    dead = [f"dead-{number}" for number in range(8)]
    hanging.go.set()
    wait([lanes.submit(each, hanging.act, True) for each in dead], S_MAX)
    hanging.go.clear()
    for _ in dead:
        assert hanging.begun.acquire(timeout=S_MAX)
    again = [lanes.submit(each, hanging.act, False) for each in dead for _ in range(3)]
    for _ in range(2):
        assert hanging.begun.acquire(timeout=S_MAX)
    assert lanes.submit("alive", str, 1).result(S_MAX) == "1"
    assert not hanging.begun.acquire(blocking=False)
    hanging.go.set()
    assert {each.result(S_MAX) for each in again} == {"done"}
    # They live again: their lanes are as many as before.
    hanging.go.clear()
    last = [lanes.submit(each, hanging.act, False) for each in dead[:4]]
    for _ in range(len(again) - 2 + 4):
        assert hanging.begun.acquire(timeout=S_MAX)
    hanging.go.set()
    wait(last, S_MAX)
    lanes.shutdown(wait=True)


def test_destinations_take_turns(hanging: Hanging) -> None:
    lanes = Lanes(lanes_max=1, of_one_max=1, of_failing_max=1)
    order: list[str] = []
    first = lanes.submit("held", hanging.act, False)
    assert hanging.begun.acquire(timeout=S_MAX)
    waiting = [lanes.submit(name[0], order.append, name) for name in ("a1", "a2", "a3", "b1", "c1")]
    hanging.go.set()
    wait([first, *waiting], S_MAX)
    assert order == ["a1", "b1", "c1", "a2", "a3"]
    lanes.shutdown(wait=True)


def test_closing_cancels_what_waits_and_waits_for_what_runs(hanging: Hanging) -> None:
    lanes = Lanes(lanes_max=1, of_one_max=1, of_failing_max=1)
    running = lanes.submit("a", hanging.act, False)
    assert hanging.begun.acquire(timeout=S_MAX)
    waiting = lanes.submit("a", str, 1)
    lanes.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        lanes.submit("a", str, 1)
    hanging.go.set()
    lanes.shutdown(wait=True)
    assert running.result(0) == "done"


def test_what_was_cancelled_takes_no_lane(hanging: Hanging) -> None:
    lanes = Lanes(lanes_max=1, of_one_max=1, of_failing_max=1)
    lanes.submit("a", hanging.act, False)
    cancelled = lanes.submit("a", str, 1)
    assert cancelled.cancel()
    after = lanes.submit("a", str, 2)
    hanging.go.set()
    assert after.result(S_MAX) == "2"
    lanes.shutdown(wait=True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_each_is_done_once_and_no_limit_is_passed(works: list[tuple[str, bool]]) -> None:
    lanes = Lanes(lanes_max=3, of_one_max=2, of_failing_max=1)
    lock, busy, most = threading.Lock(), dict.fromkeys("abc", 0), [0, 0]

    def act(work: tuple[str, bool]) -> str:
        name, fails = work
        with lock:
            busy[name] += 1
            most[0], most[1] = max(most[0], sum(busy.values())), max(most[1], *busy.values())
        with lock:
            busy[name] -= 1
        if fails:
            raise TimeoutError(name)
        return name

    futures: list[Future[str]] = [lanes.submit(work[0], act, work) for work in works]
    done = wait(futures, S_MAX)
    lanes.shutdown(wait=True)
    assert not done.not_done
    assert [each.exception() is not None for each in futures] == [fails for _, fails in works]
    assert most[0] <= 3
    assert most[1] <= 2
