import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from planner import ranking
from planner.ranking import CHUNK_MAX, RankedQueue, Totals, Waiting


def entry(number: int, rank: float = 0.0, *, due_at: float = math.inf, s: float = 1.0) -> Waiting:
    return Waiting(
        key=(rank, float(number)),
        task_id=f"t-{number}",
        due_at=due_at,
        parts=1,
        mean_s=s,
        variance_s2=s / 10,
        longest_s=s / (1 + number % 3),
    )


def drained(queue: RankedQueue) -> list[str]:
    order = []
    while (first := queue.first()) is not None:
        order.append(queue.remove(first.task_id).task_id)
    return order


def test_the_smallest_key_comes_first_whenever_it_was_added() -> None:
    queue = RankedQueue()
    queue.add(entry(1, 5.0))
    queue.add(entry(2, 7.0))
    assert queue.first() is queue.get("t-1")
    queue.add(entry(3, 6.0))
    queue.add(entry(4, 1.0))
    assert len(queue) == 4
    assert [waiting.task_id for waiting in queue] == ["t-4", "t-1", "t-3", "t-2"]
    assert drained(queue) == ["t-4", "t-1", "t-3", "t-2"]
    assert queue.first() is None
    assert queue.get("t-1") is None


def test_a_task_waits_only_once() -> None:
    queue = RankedQueue()
    queue.add(entry(1))
    with pytest.raises(AssertionError, match="t-1"):
        queue.add(entry(1))


def test_a_key_that_two_tasks_share_is_found_out() -> None:
    queue = RankedQueue()
    queue.add(entry(1))
    twin = entry(1)
    twin.task_id = "twin"
    queue.add(twin)
    queue.add(entry(2))
    with pytest.raises(AssertionError, match="two tasks have the key"):
        queue.remove("twin")


def test_many_arrivals_in_batches_come_out_in_order() -> None:
    draw = random.Random(1)
    entries = [entry(number, draw.random()) for number in range(5 * CHUNK_MAX)]
    queue = RankedQueue()
    for start in range(0, len(entries), 100):
        for waiting in entries[start : start + 100]:
            queue.add(waiting)
        assert all(0 < len(chunk.entries) <= CHUNK_MAX for chunk in queue.chunks())
    assert len(queue.chunks()) < 2 * 5 + 1
    assert drained(queue) == [waiting.task_id for waiting in sorted(entries, key=lambda w: w.key)]


def test_removals_do_not_leave_many_chunks_behind() -> None:
    queue = RankedQueue()
    for number in range(40 * CHUNK_MAX):
        queue.add(entry(number, float(number)))
    before = len(queue.chunks())
    for number in range(40 * CHUNK_MAX):
        if number % 64:
            queue.remove(f"t-{number}")
    queue.add(entry(-1))
    assert len(queue.chunks()) < before / 8
    assert drained(queue)[:3] == ["t--1", "t-0", "t-64"]


def test_an_update_changes_the_sums_and_not_the_place() -> None:
    queue = RankedQueue()
    queue.add(entry(1, 1.0, s=10.0))
    queue.add(entry(2, 2.0, s=20.0))
    assert queue.chunks()[0].summed().longest_s == pytest.approx(20.0 / 3)
    queue.update("t-2", parts=3, mean_s=5.0, variance_s2=2.0, longest_s=2.5)
    totals = queue.chunks()[0].summed()
    assert (totals.parts, totals.mean_us, totals.variance_us2) == (4, 15_000_000, 3 * 10**12)
    assert (totals.longest_s, totals.most_s) == (5.0, 10.0)
    assert drained(queue) == ["t-1", "t-2"]


def test_who_is_not_admitted_has_no_target() -> None:
    waiting = entry(1, due_at=50.0)
    assert Totals.of([waiting]).earliest_at == 50.0
    waiting.admitted = False
    assert Totals.of([waiting]).earliest_at == math.inf


@given(st.lists(st.floats(0.0, 1e5), max_size=60), st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_order_or_grouping(lengths: list[float], draw: random.Random) -> None:
    entries = [entry(number, s=s) for number, s in enumerate(lengths)]
    straight = Totals.of(entries)
    draw.shuffle(entries)
    cut = draw.randint(0, len(entries))
    joined, rest = Totals.of(entries[:cut]), Totals.of(entries[cut:])
    assert joined.mean_us + rest.mean_us == straight.mean_us
    assert joined.variance_us2 + rest.variance_us2 == straight.variance_us2


class QueueAgainstList(RuleBasedStateMachine):
    """Whatever is done to it, the queue equals a sorted list, and its sums those of its entries."""

    def __init__(self) -> None:
        super().__init__()
        self.queue, self.model, self.number = RankedQueue(), list[Waiting](), 0

    @rule(count=st.integers(1, 12), seed=st.integers(0, 99))
    def add(self, count: int, seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(count):
            due_at = draw.choice([draw.uniform(0, 9), math.inf])
            waiting = entry(self.number, draw.random(), due_at=due_at, s=draw.random())
            self.number += 1
            self.queue.add(waiting)
            self.model.append(waiting)

    @rule(pick=st.integers(0, 10**6))
    def remove(self, pick: int) -> None:
        if self.model:
            waiting = self.model.pop(pick % len(self.model))
            assert self.queue.remove(waiting.task_id) is waiting

    @rule(pick=st.integers(0, 10**6), s=st.floats(0, 9))
    def update(self, pick: int, s: float) -> None:
        if self.model:
            waiting = self.model[pick % len(self.model)]
            self.queue.update(waiting.task_id, parts=2, mean_s=s, variance_s2=s, longest_s=s / 2)

    @invariant()
    def agrees(self) -> None:
        assert list(self.queue) == sorted(self.model, key=lambda waiting: waiting.key)
        assert self.queue.first() is (min(self.model, key=lambda w: w.key, default=None))

    @invariant()
    def sums_agree(self) -> None:
        for chunk in self.queue.chunks():
            assert chunk.summed() == Totals.of(chunk.ordered())
            pieces = chunk.pieces()
            assert not pieces or [w for p in pieces for w in p.ordered()] == chunk.ordered()
            assert all(piece.summed() == Totals.of(piece.entries) for piece in pieces)


TestQueueAgainstList = QueueAgainstList.TestCase


@pytest.fixture(autouse=True)
def small_chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the state machine meet many chunks without many entries."""
    if request.cls is TestQueueAgainstList:
        monkeypatch.setattr(ranking, "CHUNK_MAX", 8)
        monkeypatch.setattr(ranking, "_CHUNK_START", 6)
        monkeypatch.setattr(ranking, "PIECE_MAX", 3)
