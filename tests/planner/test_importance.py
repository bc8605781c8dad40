"""Eq. 1 and the dispatch orders."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.importance import Claim, importance, order_key
from planner.settings import ImportanceWeights

CLAIM = Claim(
    parameters=3,
    time_range_s=10 * 86400.0,
    area_km2=2.5e6,
    deadline_at=1000.0,
    due_at=990.0,
    work_s=40.0,
    ordinal=7,
)
WEIGHTS = ImportanceWeights(parameters=2.0, ttd=-0.01, time_range=0.5, area=4.0)


def test_importance_is_the_weighted_sum_of_equation_1() -> None:
    assert importance(CLAIM, WEIGHTS, at=400.0) == pytest.approx(
        3 * 2.0 + 600 * -0.01 + 10 * 0.5 + 2.5 * 4.0
    )


def test_by_default_the_more_urgent_is_the_more_important() -> None:
    later = replace(CLAIM, deadline_at=2000.0)
    assert importance(CLAIM, ImportanceWeights()) > importance(later, ImportanceWeights())


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(-1e5, 1e5))
def test_no_rank_ever_changes_with_time(deadline_at: float, other_at: float, at: float) -> None:
    one, other = replace(CLAIM, deadline_at=deadline_at), replace(CLAIM, deadline_at=other_at)
    now = importance(one, WEIGHTS, at) - importance(other, WEIGHTS, at)
    ever = importance(one, WEIGHTS) - importance(other, WEIGHTS)
    assert now == pytest.approx(ever, abs=1e-6)


def ranked(order: str, *claims: Claim) -> list[int]:
    """Return the ordinals of the claims in dispatch order."""
    return [c.ordinal for c in sorted(claims, key=lambda c: order_key(c, order, WEIGHTS))]


def test_the_order_deadline_runs_the_earliest_due_first_and_breaks_ties_by_importance() -> None:
    large = replace(CLAIM, ordinal=1, due_at=500.0, area_km2=9e6)
    small = replace(CLAIM, ordinal=2, due_at=500.0, area_km2=1e6)
    early = replace(CLAIM, ordinal=3, due_at=400.0)
    assert ranked("deadline", small, large, early) == [3, 1, 2]


def test_the_order_importance_runs_the_most_important_first() -> None:
    large = replace(CLAIM, ordinal=1, area_km2=9e6)
    urgent = replace(CLAIM, ordinal=2, deadline_at=100.0, due_at=90.0)
    assert ranked("importance", urgent, large, CLAIM) == [1, 2, 7]


def test_the_order_laxity_runs_the_least_time_left_over_first() -> None:
    long = replace(CLAIM, ordinal=1, work_s=500.0)
    soon = replace(CLAIM, ordinal=2, due_at=800.0)
    assert ranked("laxity", CLAIM, soon, long) == [1, 2, 7]


@pytest.mark.parametrize("order", ["deadline", "importance", "laxity"])
def test_tasks_that_yield_and_tasks_without_a_deadline_come_last(order: str) -> None:
    yielding = replace(CLAIM, ordinal=1, yielding=True, due_at=1.0)
    best_effort = replace(CLAIM, ordinal=2, deadline_at=None, due_at=math.inf, area_km2=9e6)
    assert ranked(order, best_effort, yielding, CLAIM) == [7, 1, 2]
