"""A load on the stage goes as it can be worked out by hand, and variants change what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from planner.course import Step
from planner.durations import BOOT_SIGMA_PRIOR, SETTLE_SIGMA_PRIOR
from planner.savings import Variant
from sim.stage import Stage
from tests.sim.staging import SETTLE_S, slow_s, stage_of, wish

Z = 1.2815515655446004


def test_the_median_case_takes_as_long_as_predicted() -> None:
    stage = stage_of({"med": (100,) * 4}, wish("med", 60.0))
    course = stage.course()
    (task,) = course.tasks.values()
    assert task.started_at == pytest.approx(2.0)
    assert task.worked_until == pytest.approx(4.0)
    assert task.worked_s == pytest.approx(4.0)
    assert task.delivered_at == pytest.approx(4.0 + SETTLE_S)
    assert [Step(round(at, 6), busy, standing) for at, busy, standing in course.steps()] == [
        Step(2.0, 2, 2),
        Step(3.0, 2, 2),
        Step(4.0, 0, 0),
    ]


def test_the_90_percent_case_takes_the_quantile_of_each() -> None:
    stage = stage_of({"med": (100,) * 4}, wish("med", 60.0))
    (task,) = stage.course(quantile=0.9).tasks.values()
    boot_s = 2.0 * math.exp(Z * BOOT_SIGMA_PRIOR)
    settle_s = SETTLE_S * math.exp(Z * SETTLE_SIGMA_PRIOR)
    assert task.worked_s == pytest.approx(slow_s(4.0, 4))
    expected = boot_s + slow_s(4.0, 4) / 2 + settle_s
    assert task.delivered_at == pytest.approx(expected, rel=1e-6)


def peak(stage: Stage, variant: Variant) -> int:
    return stage.course(variant).fleet.peak()


def test_variants_change_the_fleet() -> None:
    files: dict[str, Sequence[int]] = {"med": (100,) * 40}
    stage = stage_of(files, wish("med", 8.0), policy="prefix", nodes_max=1)
    assert peak(stage, Variant()) == 1
    assert 4 <= peak(stage, Variant(nodes_max=16)) <= 16
    course = stage.course(Variant(one_worker=True))
    assert course.fleet.peak() == 1
    assert max(step.standing for step in course.steps()) == 1


def test_a_policy_that_never_adds_nodes_gives_way_where_more_are_tried() -> None:
    stage = stage_of({"med": (100,) * 40}, wish("med", 8.0), policy="none")
    assert peak(stage, Variant()) == 1
    assert peak(stage, Variant(nodes_max=8)) > 1


def test_variants_change_deadlines() -> None:
    stage = stage_of({"med": (100,), "sea": (100,)}, wish("med", 60.0), wish("sea", 60.0))
    course = stage.course(Variant(deadlines_s={"sea": 90.0}))
    assert {t.subscription_id: t.deadline_at for t in course.tasks.values()} == {
        "med": 60.0,
        "sea": 90.0,
    }


def test_the_tasks_of_a_load_are_told_without_playing_it() -> None:
    stage = stage_of({"med": (1,), "sea": (1,)}, wish("med", 1.0), wish("sea", None))
    assert [command.subscription_id for command in stage.tasks()] == ["med", "sea"]
