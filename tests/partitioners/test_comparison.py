"""What a cut is worth: max/mean, and the makespan of workers that take parts in turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioners.comparison import Times, dispatched, makespan_s, tried
from partitioners.cutter import Cut
from planner.extent import Extent
from planner.model import Features, PartSpec, UnitCosts

lengths = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("parts_s", "workers", "ends_at", "why"),
    [
        ((3.0, 1.0, 2.0), 1, 6.0, "one worker does all"),
        ((3.0, 1.0, 2.0), 2, 3.0, "the second worker takes the third part"),
        ((1.0, 1.0, 4.0), 2, 5.0, "a long part that comes last is waited for"),
        ((4.0, 1.0, 1.0), 2, 4.0, "and does no harm when it comes first"),
        ((2.0, 2.0), 5, 2.0, "idle workers do not help"),
        ((), 2, 0.0, "nothing to do"),
    ],
)
def test_free_workers_take_the_next_part(
    parts_s: tuple[float, ...], workers: int, ends_at: float, why: str
) -> None:
    assert makespan_s(parts_s, workers) == ends_at, why


@given(parts_s=lengths, workers=st.integers(1, 8))
def test_a_makespan_is_bounded_by_grahams_rule(parts_s: list[float], workers: int) -> None:
    ends_at = makespan_s(parts_s, workers)
    total_s, longest_s = sum(parts_s), max(parts_s)
    assert ends_at >= max(total_s / workers, longest_s) * (1 - 1e-9)
    assert ends_at <= (total_s / workers + longest_s) * (1 + 1e-9)


def test_imbalance_is_over_the_parts_that_were_wanted() -> None:
    assert Times(parts_s=(2.0, 2.0, 2.0), wanted=3).imbalance == 1.0
    assert Times(parts_s=(2.0, 2.0, 2.0), wanted=6).imbalance == 2.0
    assert Times(parts_s=(0.0,), wanted=1).imbalance == 0.0
    assert Times(parts_s=(1.0, 5.0), wanted=2).ideal_s(4) == 1.5


def test_parts_go_out_longest_first_and_the_later_among_equals() -> None:
    assert dispatched((1.0, 4.0, 1.0, 2.0)) == (1, 3, 2, 0)
    late = Times(parts_s=(1.0, 1.0, 4.0), order=(2, 1, 0), wanted=3)
    assert late.makespan_s(2) == 4.0 < Times(parts_s=(1.0, 1.0, 4.0), wanted=3).makespan_s(2)


def test_a_trial_tells_what_the_parts_of_a_cut_are_predicted_to_take() -> None:
    costs = UnitCosts(base_s=0.5, file_s=1.0, megabyte_s=0.0, value_s=0.0)
    parts = tuple(PartSpec(extent=Extent(), features=Features(files=files)) for files in (1, 4))
    cut = Cut(task_id="t", parts=parts, partitioner="linear", version="1", fallback="it raised")
    trial = tried("strips", cut, costs, 3)
    assert (trial.strategy, trial.fallback, trial.parts) == ("strips", "it raised", parts)
    assert trial.predicted == Times(parts_s=(1.5, 4.5), order=(1, 0), wanted=3)
    assert trial.measured is None
