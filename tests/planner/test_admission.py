import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import admission
from planner.admission import Assessment, assess, yielding
from planner.ranking import Waiting
from planner.scaling.view import NodePhase, ScalingView
from planner.supply import Slot
from tests.planner.scaling.world import node, view_of, waiting


def one_slot(*tasks: Waiting, now: float = 0.0) -> ScalingView:
    return view_of(*tasks, nodes=[node("n-1", slots=1)], now=now, nodes_allowed=0)


def single(task_id: str, due_at: float, length: float, priority: float = 1.0) -> Waiting:
    return waiting(task_id, due_at, [length], priority=priority)


class TestAssess:
    def test_nothing_is_at_risk_where_all_fits(self) -> None:
        assert assess(one_slot(single("a", 10, 10), single("b", 20, 10)), 0) == Assessment()
        assert assess(one_slot(), 0) == Assessment()

    def test_the_largest_of_the_prefix_gives_way(self) -> None:
        view = one_slot(single("a", 10, 4), single("big", 12, 8), single("c", 14, 5))
        assert assess(view, 0) == Assessment(at_risk=(("big", 5.0),), yielding=("big",))

    def test_no_priority_no_domino(self) -> None:
        """First come the two small tasks that can be met: one large one must not make all late."""
        tasks = [single("big", 100, 99), single("a", 101, 5), single("b", 106, 5)]
        assert assess(one_slot(*tasks), 0).yielding == ("big",)

    def test_priority_protects(self) -> None:
        view = one_slot(single("a", 10, 4), single("big", 12, 8, priority=3), single("c", 14, 5))
        assert assess(view, 0).yielding == ("c",)

    def test_who_could_not_be_met_even_alone_goes_first(self) -> None:
        view = one_slot(single("doomed", 9, 10), single("a", 10, 5), single("b", 10, 5))
        assert assess(view, 0) == Assessment(at_risk=(("doomed", 11.0),), yielding=("doomed",))

    def test_who_could_not_be_met_even_alone_takes_nothing_from_others(self) -> None:
        doomed, other = single("doomed", 50, 60), waiting("a", 50, [45.0] * 2)
        view = view_of(doomed, other, nodes=[node("n-1")], nodes_allowed=0)
        assert assess(view, 0).yielding == ("doomed",)

    def test_whole_parts_count(self) -> None:
        """By work alone sixteen slots could do it, but not in parts of 100 s."""
        view = view_of(
            waiting("t", 160, [100.0] * 17),
            nodes=[node(f"n-{i}") for i in range(8)],
            nodes_allowed=0,
        )
        assert assess(view, 0).at_risk == (("t", 40.0),)

    def test_nodes_within_reach_count_once_they_have_booted(self) -> None:
        tasks = [waiting("t", 500, [100.0] * 8)]
        assert assess(view_of(*tasks), 1).at_risk == (("t", 20.0),)
        assert assess(view_of(*tasks), 2) == Assessment()

    def test_a_draining_node_within_reach_needs_no_boot(self) -> None:
        view = view_of(
            waiting("t", 100, [100.0]),
            nodes=[node("n-1", phase=NodePhase.DRAINING)],
            nodes_allowed=0,
        )
        assert assess(view, 1) == Assessment()

    def test_a_provider_that_refuses_for_a_while_dooms_nobody(self) -> None:
        assert assess(view_of(waiting("t", 500, [100.0]), nodes_allowed=0), 0) == Assessment()
        told = assess(view_of(waiting("t", 200, [100.0]), nodes_allowed=0), 0)
        assert told.at_risk == (("t", 20.0),)

    def test_without_any_offer_lateness_stays_a_number(self) -> None:
        verdict = assess(view_of(waiting("t", 50, [100.0]), offers=(), nodes_allowed=0), 0)
        assert verdict.at_risk == (("t", 50.0),)

    def test_best_effort_is_never_at_risk(self) -> None:
        assert (
            assess(one_slot(single("a", math.inf, 1e6), single("b", math.inf, 1)), 0)
            == Assessment()
        )

    def test_what_runs_before_counts_in_any_order(self) -> None:
        first = waiting("idle", math.inf, [100.0], key=(0.0,))
        second = waiting("t", 90, [10.0], key=(1.0,))
        assert assess(one_slot(first, second), 0).at_risk == (("t", 20.0),)

    def test_a_task_recovers_only_with_a_tenth_to_spare(self) -> None:
        told = frozenset({"t"})
        for due_at, at_risk in ((9.9, ("t",)), (10.5, ("t",)), (11.5, ())):
            task = single("t", due_at, 10)
            task.admitted = False
            assert assess(one_slot(task), 0, told).yielding == at_risk
        assert assess(one_slot(single("t", 10.5, 10)), 0) == Assessment()

    def test_who_gave_way_is_judged_where_its_deadline_puts_it(self) -> None:
        """Back among the others "big" would make "c" late: it must go on giving way."""
        big = waiting("big", 12, [8.0], admitted=False)
        view = one_slot(single("a", 10, 4), big, single("c", 14, 5))
        assert assess(view, 0, frozenset({"big"})).yielding == ("big",)

    def test_who_is_gone_is_forgotten(self) -> None:
        assert assess(one_slot(single("a", 20, 10)), 0, frozenset({"gone"})) == Assessment()

    def test_what_stands_far_back_stays_as_it_was_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admission, "TASKS_JUDGED_MAX", 2)
        late = waiting("late", 30, [100.0], admitted=False)
        view = one_slot(single("a", 10, 9), single("b", 20, 9), late)
        assert assess(view, 0, frozenset({"late"})) == Assessment(
            at_risk=(("late", 0.0),), yielding=("late",)
        )


def most_on_time(tasks: list[Waiting]) -> int:
    """Return how many tasks one slot can do in time, by trying every choice of them."""
    best = 0
    for choice in range(1 << len(tasks)):
        end_at, chosen = 0.0, [task for i, task in enumerate(tasks) if choice >> i & 1]
        for task in chosen:
            end_at += task.mean_s
            if end_at > task.due_at:
                break
        else:
            best = max(best, len(chosen))
    return best


def met(tasks: Iterable[Waiting], giving_way: set[str]) -> bool:
    end_at = 0.0
    for task in tasks:
        if task.task_id not in giving_way:
            end_at += task.mean_s
            if end_at > task.due_at + 1e-3:
                return False
    return True


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), max_size=9))
def test_on_one_slot_no_other_choice_meets_more_deadlines(drawn: list[tuple[int, int]]) -> None:
    tasks = [
        single(f"t-{number}", float(due), float(length))
        for number, (due, length) in enumerate(sorted(drawn))
    ]
    giving_way = yielding(tasks, [Slot(0.0)])
    assert met(tasks, giving_way)
    assert len(tasks) - len(giving_way) == most_on_time(tasks)


def test_under_overload_it_meets_far_more_than_earliest_deadline_first() -> None:
    draw = random.Random(2)
    tasks = sorted(
        (single(f"t-{i}", draw.uniform(100, 3000), draw.uniform(20, 400)) for i in range(60)),
        key=lambda task: task.due_at,
    )
    end_at, on_time = 0.0, 0
    for task in tasks:
        end_at += task.mean_s
        on_time += end_at <= task.due_at
    kept = len(tasks) - len(yielding(tasks, [Slot(0.0)]))
    assert kept > 2 * on_time
