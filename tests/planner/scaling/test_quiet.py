"""What may be left for later: the search would leave it too, and it costs little to tell."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from planner.forecast import FORECAST_PARTS_MAX
from planner.prefixes import Outline
from planner.scaling.need import START_S_MIN, need_of
from planner.scaling.prefix import PrefixPolicy
from planner.scaling.quiet import is_quiet
from planner.scaling.view import NodePhase, ScalingView
from planner.settings import ScalingSettings
from tests.planner.scaling.world import VM, node, view_of, waiting

MANY = 300


def slack(count: int) -> ScalingView:
    """Return many small tasks, all but the last in time on one busy node."""
    tasks = [waiting(f"t-{i}", 500.0 + 3.0 * i, [10.0]) for i in range(count)]
    return view_of(*tasks, nodes=[node("n", 4.0, 8.0)])


@st.composite
def busy_fleets(draw: st.DrawFn) -> ScalingView:
    """Return views in which every slot is busy and a launch may mostly wait."""
    length_s = draw(st.floats(1.0, 60.0))
    tasks = [
        waiting(
            f"t-{number}",
            draw(st.floats(100.0, 4000.0)),
            [length_s * draw(st.floats(0.2, 1.0))] * draw(st.integers(1, 6)),
            variance_s2=draw(st.floats(0.0, 100.0)),
        )
        for number in range(draw(st.integers(1, 40)))
    ]
    nodes = [
        node(f"n-{number}", draw(st.floats(0.5, 60.0)), draw(st.floats(0.5, 60.0)))
        for number in range(draw(st.integers(0, 3)))
    ]
    young = [
        node(f"b-{number}", phase=NodePhase.BOOTING, requested_at=-draw(st.floats(0.0, 110.0)))
        for number in range(draw(st.integers(0, 1)))
    ]
    return view_of(
        *tasks,
        nodes=nodes + young,
        boot_s=draw(st.sampled_from([10.0, 120.0])),
        common_error=draw(st.sampled_from([0.0, 0.1])),
    )


@given(busy_fleets(), st.floats(0.1, 200.0))
def test_the_search_would_leave_it_too(view: ScalingView, until: float) -> None:
    quiet = is_quiet(view, until)
    event(f"quiet: {quiet}")
    if quiet:
        need = need_of(view)
        assert len(need.additions) <= 1
        assert not need.additions or need.last_start_at >= max(until, view.now + START_S_MIN)


def test_it_holds_where_work_waits_that_is_not_due_for_long() -> None:
    view = slack(50)
    assert is_quiet(view, 8.0)
    assert not is_quiet(view, view.now)


def test_it_ends_when_the_launch_is_due() -> None:
    view = slack(MANY)
    start_at = need_of(view).last_start_at
    assert start_at > view.now + 60.0
    assert is_quiet(view, start_at - 1.0)
    assert not is_quiet(view, start_at + 1.0)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"nodes": (node("n", 4.0, 8.0), node("idle"))},
        {"nodes": (node("n", 4.0, 8.0), node("d", 4.0, phase=NodePhase.DRAINING))},
        {"offers": ()},
        {"offers": (VM, replace(VM, node_type="other"))},
        {"offers": (replace(VM, price_per_h=0.0),)},
        {"nodes_allowed": 0},
        {"settings": ScalingSettings(put_off_launches=False)},
        {"settings": ScalingSettings(launch_quantile=0.97, removal_quantile=0.9)},
    ],
)
def test_what_it_says_nothing_about(otherwise: dict[str, Any]) -> None:
    assert not is_quiet(replace(slack(50), **otherwise), 8.0)


def test_nor_about_work_that_no_deadline_drives() -> None:
    assert not is_quiet(view_of(nodes=[node("n", 4.0, 8.0)]), 8.0)
    patient = view_of(waiting("t"), nodes=[node("n", 4.0, 8.0)])
    assert not is_quiet(patient, 8.0)


def test_what_lies_behind_the_forecast_counts_too() -> None:
    """The last of more parts than a forecast places is due too soon for one node, or is not."""
    crowd = [waiting(f"t-{i}", 1e5 + 3.0 * i, [10.0] * 100) for i in range(50)]
    for due_at, quiet in ((1.2e5, True), (1e4, False)):
        last = waiting("last", due_at, [10.0], key=(1e9,))
        view = view_of(*crowd, last, nodes=[node("n", 4.0, 8.0)])
        assert Outline(view.queue).parts > FORECAST_PARTS_MAX
        assert is_quiet(view, 8.0) == quiet
        assert (len(need_of(view).additions) <= 1) == quiet


def test_it_asks_for_a_few_calls_and_not_for_some_for_every_task() -> None:
    """The search takes some 40 calls for each task that waits."""
    policy, view = PrefixPolicy(), slack(MANY)
    need_of(view)  # The sums over chunks are kept with the queue.
    calls = 0

    def count(frame: object, what: str, argument: object) -> None:
        nonlocal calls
        calls += what == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        policy.step(policy.start(), view)
    finally:
        sys.setprofile(before)
    assert calls < 3 * MANY
