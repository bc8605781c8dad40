"""Reports on loads that can be worked out by hand, and what would save what is in trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.course import Course, Step
from planner.report import (
    MOMENTS_MAX,
    Moment,
    Report,
    State,
    late_chance,
    moments_of,
    report_of,
    workers_needed,
)
from planner.savings import Savings, Variant, one_worker_is_enough, savings_of
from planner.scaling.policy import BUILT_IN
from sim.stage import Stage
from tests.sim.staging import NODE, SETTLE_S, cut_into, load_of, slow_s, stage_of, wish

POWER = {"vm": 180.0}


def report_on(stage: Stage) -> Report:
    return report_of(
        stage.course(), stage.course(quantile=0.9), believed=stage.believed, power_w=POWER
    )


def savings_on(stage: Stage, report: Report) -> Savings:
    return savings_of(report, stage.course, believed=stage.believed, partitioners=("linear",))


class TestNumbers:
    def test_a_task_is_told_in_numbers_that_can_be_checked(self) -> None:
        stage = stage_of({"med": (100,) * 4}, wish("med", 60.0))
        (task,) = report_on(stage).tasks
        assert (task.parts, task.files) == (4, 400)
        assert task.work_s == pytest.approx(4.0)
        assert task.work_90_s == pytest.approx(slow_s(4.0, 4))
        assert task.longest_s == pytest.approx(slow_s(4.0, 4) / 4)
        assert task.waits_s == pytest.approx(2.0)
        assert task.finish_s == pytest.approx(4.0 + SETTLE_S)
        assert task.slack_s == pytest.approx(60.0 - 4.0 - SETTLE_S)
        assert (task.state, task.workers) == (State.ON_TIME, 1)
        # Two parameters, a minute to go, no known time range, 6.6 million km2.
        assert task.importance == pytest.approx(2 - 1 + 6.604, abs=0.001)

    def test_the_bill_is_that_of_the_nodes_held(self) -> None:
        usual = report_on(stage_of({"med": (100,) * 4}, wish("med", 60.0))).median
        held_h = 4.0 / 3600.0  # It goes when nothing is left to read.
        assert usual.worker_h * 3600.0 == pytest.approx(4.0)
        assert usual.node_h == pytest.approx(held_h)
        assert usual.cost == pytest.approx(0.36 * held_h)
        assert usual.energy_kwh == pytest.approx(0.18 * held_h)
        assert (usual.nodes, usual.workers) == (1, 2)
        assert usual.span_s == pytest.approx(4.0 + SETTLE_S)

    def test_a_quantum_is_billed_whole(self) -> None:
        hourly = replace(NODE, quantum_s=3600.0)
        stage = stage_of({"med": (100,) * 4}, wish("med", 60.0), node=hourly)
        assert report_on(stage).median.cost == pytest.approx(0.36)

    def test_workers_over_time_are_told(self) -> None:
        stage = stage_of({"med": (100,) * 3}, wish("med", 60.0))
        moments = report_on(stage).median.moments
        assert [(round(m.at_s, 3), m.busy, m.standing) for m in moments] == [
            (2.0, 2, 2),
            (3.0, 1, 2),
            (4.0, 0, 0),
        ]


class TestStates:
    def test_each_state_is_told_with_its_reason(self) -> None:
        files: dict[str, Sequence[int]] = {
            "early": (100,) * 2,
            "tight": (100,) * 4,
            "late": (100,) * 8,
            "whenever": (100,),
        }
        wishes = [
            wish("early", 60.0),
            wish("tight", 6.2),
            wish("late", 7.0),
            wish("whenever", None),
        ]
        report = report_on(stage_of(files, *wishes))
        told = {task.subscription_id: task for task in report.tasks}
        assert {name: task.state for name, task in told.items()} == {
            "early": State.ON_TIME,
            "tight": State.AT_RISK,
            "late": State.LATE,
            "whenever": State.BEST_EFFORT,
        }
        chance = told["tight"].late_chance
        assert chance is not None
        assert 0.1 < chance < 0.5
        assert f"P(late) {chance:.2f}" in told["tight"].why
        assert "needs " in told["late"].why
        assert told["whenever"].late_chance is None
        assert report.counted(State.LATE) == 1
        assert [task.subscription_id for task in report.troubled] == ["tight", "late"]

    def test_what_no_number_of_workers_can_do_is_said(self) -> None:
        report = report_on(stage_of({"med": (100,) * 4}, wish("med", 2.5)))
        (task,) = report.tasks
        assert (task.state, task.workers) == (State.LATE, None)
        assert "no number of workers is enough" in task.why

    def test_a_firm_task_that_expires_is_late(self) -> None:
        report = report_on(stage_of({"med": (100,) * 40}, wish("med", 10.0, firm=True)))
        (task,) = report.tasks
        assert (task.state, task.finish_s, task.late_chance) == (State.LATE, None, 1.0)
        assert task.why.startswith("expires")


class TestSavings:
    def test_more_nodes_are_as_many_as_a_rehearsal_needs(self) -> None:
        stage = stage_of({"med": (100,) * 40}, wish("med", 12.0), policy="prefix", nodes_max=1)
        report = report_on(stage)
        (saving,) = savings_on(stage, report).tasks
        assert saving.nodes is not None
        wider = stage_of(
            {"med": (100,) * 40}, wish("med", 12.0), policy="prefix", nodes_max=saving.nodes
        )
        narrower = stage_of(
            {"med": (100,) * 40}, wish("med", 12.0), policy="prefix", nodes_max=saving.nodes - 1
        )
        assert not report_on(wider).troubled
        assert report_on(narrower).troubled
        assert saving.hopeless == ""

    def test_a_later_deadline_is_one_that_is_met(self) -> None:
        files = {"med": (100,) * 40, "sea": (100,) * 10}
        stage = stage_of(files, wish("med", 12.0), wish("sea", 3.0))
        savings = savings_on(stage, report_on(stage))
        later = {saving.subscription_id: saving.deadline_s for saving in savings.tasks}
        assert set(later) == {"med", "sea"}
        again = stage_of(files, *(wish(name, due_s) for name, due_s in later.items()))
        assert not report_on(again).troubled

    def test_another_cut_is_named_where_it_helps(self) -> None:
        def cut_by(stage_parts: int) -> tuple[int, ...]:
            return (800 // stage_parts,) * stage_parts

        base = stage_of({"med": (800,)}, wish("med", 10.0))
        stage = Stage(
            base.settings,
            BUILT_IN,
            load_of(wish("med", 10.0)),
            # One part, unless more parts a worker are asked for than usual.
            lambda command, at: cut_into(
                {"med": cut_by(8 if command.parts_wanted > 64 else 1)}, command, at
            ),
        )
        (saving,) = savings_on(stage, report_on(stage)).tasks
        assert saving.cuts == ("8 parts a worker", "16 parts a worker")

    def test_what_nothing_can_save_is_said(self) -> None:
        stage = stage_of({"med": (100,) * 4}, wish("med", 1.0), policy="prefix")
        (saving,) = savings_on(stage, report_on(stage)).tasks
        assert (saving.nodes, saving.cuts) == (None, ())
        assert saving.hopeless.startswith("no fleet can: ")
        assert saving.deadline_s is not None

    def test_nothing_is_sought_where_nothing_is_in_trouble(self) -> None:
        stage = stage_of({"med": (100,)}, wish("med", 60.0))
        assert savings_on(stage, report_on(stage)) == Savings()

    def test_too_large_a_load_is_not_searched_and_it_says_so(self) -> None:
        report = report_on(stage_of({"med": (100,) * 40}, wish("med", 5.0)))
        (task,) = report.tasks
        large = replace(report, tasks=(replace(task, parts=50_000),))
        stage = stage_of({"med": (100,)}, wish("med", 5.0))
        savings = savings_of(
            large, never_rehearsed, believed=stage.believed, partitioners=("linear",)
        )
        assert savings.tasks == ()
        assert "50,000 parts are too many" in savings.note


def never_rehearsed(variant: Variant, quantile: float) -> Course:
    raise AssertionError(f"{variant} was rehearsed")


class TestOneWorker:
    def test_it_is_said_where_one_worker_meets_all(self) -> None:
        stage = stage_of({"med": (100,) * 4, "sea": (100,)}, wish("med", 60.0), wish("sea", 90.0))
        said = one_worker_is_enough(report_on(stage), stage.course, stage.believed)
        course = stage.course(Variant(one_worker=True), 0.9)
        med = next(task for task in course.tasks.values() if task.subscription_id == "med")
        assert med.delivered_at is not None
        spare_s = 60.0 - med.delivered_at
        assert said == (
            f"One worker is enough: 5.0 s of work, all 2 deadlines met with {spare_s:.1f} s to"
            " spare in the 90 % case. A second node would only cost."
        )

    def test_it_is_not_said_where_two_are_needed(self) -> None:
        stage = stage_of({"med": (100,) * 20}, wish("med", 25.0))
        report = report_on(stage)
        assert not report.troubled
        assert one_worker_is_enough(report, stage.course, stage.believed) == ""


@given(st.floats(1.0, 100.0), st.floats(1.0, 3.0), st.floats(1.0, 300.0))
def test_at_risk_is_late_in_the_90_percent_case(
    finish_s: float, ratio: float, deadline_s: float
) -> None:
    chance = late_chance(deadline_s, finish_s, finish_s * ratio)
    assert 0.0 <= chance <= 1.0
    if finish_s > deadline_s + 0.01:
        assert chance >= 0.5
    if finish_s * ratio < deadline_s - 0.01:
        assert chance < 0.1 + 1e-9
    elif finish_s * ratio > deadline_s + 0.01:
        assert chance > 0.1 - 1e-9
    assert chance >= late_chance(deadline_s + 1.0, finish_s, finish_s * ratio)


@given(
    st.lists(st.floats(0.1, 20.0), min_size=1, max_size=30),
    st.floats(0.0, 5.0),
    st.floats(1.0, 100.0),
)
def test_workers_needed_are_the_fewest(
    lengths_s: list[float], free_s: float, within_s: float
) -> None:
    needed = workers_needed(lengths_s, free_s, within_s)

    def ends(workers: int) -> float:
        slots = [free_s] * workers
        for length_s in sorted(lengths_s, reverse=True):
            slots.sort()
            slots[0] += length_s
        return max(slots)

    if needed is None:
        assert free_s + max(lengths_s) > within_s
    else:
        assert ends(needed) <= within_s + 0.002
        assert needed == 1 or ends(needed - 1) > within_s


@given(
    st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 9)), min_size=1, max_size=900),
)
def test_moments_keep_the_most_of_what_they_stand_for(raw: list[tuple[float, int]]) -> None:
    steps = [Step(at, busy, busy + 1) for at, busy in sorted(dict(raw).items())]
    moments = moments_of(steps, 0.0, 100.0)
    assert len(moments) <= MOMENTS_MAX
    assert max(m.busy for m in moments) == max(s.busy for s in steps)
    assert all(a.at_s < b.at_s for a, b in pairwise(moments))
    assert moments_of([Step(5.0, 1, 2)], 2.0, 9.0) == (Moment(at_s=3.0, busy=1, standing=2),)
