"""What earlier parts cost makes a map of a dataset that has no index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioners.balanced import Balanced
from partitioners.bisecting import Bisecting
from partitioners.history import HALF_LIFE, MASSES, History
from partitioners.linear import Linear
from partitioners.protocol import CutRequest, Partitioner
from partitioners.testing import check_partitioner
from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UnitCosts
from tests.partitioners.unindexed import EUROPE, Unindexed
from tests.planner.drawing import extents

COSTS = UnitCosts(base_s=0.1, file_s=0.002, megabyte_s=0.0, value_s=0.0)
DECADE = Extent(period=Period(start_at=0.0, end_at=1000.0))
EARLY, LATE = DECADE.cut_time([500.0])
WEST, EAST = (DECADE.with_box(box) for box in GLOBE.cut_meridians([0.0]))


def cost_s(density: Density | None, extent: Extent) -> float:
    assert density is not None
    return float(density.within(extent).cost_s(COSTS, extent).sum())


def knowing(*parts: tuple[Extent, float]) -> History:
    history = History()
    for extent, seconds in parts:
        history.learn(extent, seconds)
    return history


def test_nothing_is_known_at_first() -> None:
    assert History().density(DECADE) is None


def test_a_map_repeats_what_was_learned_and_says_that_it_is_a_guess() -> None:
    density = knowing((EARLY, 10.0), (LATE, 30.0)).density(DECADE)
    assert density is not None
    assert density.is_guess
    assert not density.is_exact
    assert len(density) == MASSES
    assert cost_s(density, EARLY) == pytest.approx(10.0, rel=0.01)
    assert cost_s(density, LATE) == pytest.approx(30.0, rel=0.01)
    assert density.features(LATE).files == pytest.approx(30_000, rel=0.01)


def test_a_part_of_what_was_learned_costs_its_share() -> None:
    quarter = EARLY.with_box(Box(west=-180.0, south=0.0, east=0.0, north=90.0))
    density = knowing((EARLY, 10.0), (LATE, 30.0)).density(quarter)
    assert cost_s(density, quarter) == pytest.approx(2.5, rel=0.01)


def test_places_never_seen_cost_what_is_usual() -> None:
    density = knowing((EARLY.with_box(WEST.box), 40.0)).density(DECADE)
    assert cost_s(density, EARLY.with_box(EAST.box)) == pytest.approx(40.0, rel=0.02)
    assert cost_s(density, LATE) == pytest.approx(80.0, rel=0.02)


def test_small_parts_tell_more_than_large_ones() -> None:
    """A tenth of the whole, told to cost nine tenths of it, whenever it was told."""
    hot = DECADE.cut_time([900.0])[1]
    for order in ([(DECADE, 100.0), (hot, 90.0)], [(hot, 90.0), (DECADE, 100.0)]):
        assert cost_s(knowing(*order).density(DECADE), hot) > 80.0


def test_newer_parts_outweigh_older_ones() -> None:
    history = knowing((EARLY, 100.0))
    assert cost_s(history.density(DECADE), EARLY) == pytest.approx(100.0, rel=0.01)
    for _ in range(4 * HALF_LIFE):
        history.learn(EARLY, 1.0)
    assert cost_s(history.density(DECADE), EARLY) < 2.0


def test_what_is_remembered_is_bounded_and_the_oldest_gives_way() -> None:
    history = History(observations_max=3)
    for extent, seconds in ((DECADE, 1000.0), (EARLY, 1.0), (LATE, 2.0), (LATE, 2.0)):
        history.learn(extent, seconds)
    assert len(history) == 3
    assert cost_s(history.density(DECADE), DECADE) == pytest.approx(3.0, rel=0.01)


def test_open_ends_are_closed_where_the_parts_known_end() -> None:
    forever = Extent()
    first = replace(EARLY, period=Period(end_at=500.0))
    assert knowing((forever, 1.0)).density(forever) is None
    assert knowing((first, 1.0)).density(forever) is None
    density = knowing((first, 10.0), (EARLY, 20.0), (LATE, 5.0)).density(forever)
    assert density is not None
    assert density.time_s[0] >= 0.0
    assert density.time_s[-1] < 1000.0
    assert 15.0 <= cost_s(density, forever) <= 20.1


@settings(max_examples=30)
@given(
    parts=st.lists(st.tuples(extents, st.floats(0.0, 1e6)), max_size=6),
    extent=extents,
    n=st.integers(1, 9),
)
def test_a_map_lies_inside_what_is_asked_and_can_be_cut(
    parts: list[tuple[Extent, float]], extent: Extent, n: int
) -> None:
    density = knowing(*parts).density(extent)
    if density is not None:
        assert len(density.within(extent)) == len(density)
        assert np.isfinite(density.files).all()
        assert (density.files >= 0).all()
        request = CutRequest(extent=extent, density=density, costs=COSTS, n=n)
        for partitioner in (Balanced(), Bisecting()):
            check_partitioner(partitioner, [request])


@pytest.mark.parametrize("partitioner", [Balanced(), Bisecting()], ids=lambda one: one.name)
def test_each_cut_teaches_the_next(partitioner: Partitioner) -> None:
    dataset, history = Unindexed(), History()
    imbalances = []
    for _ in range(4):
        density = history.density(EUROPE)
        pieces = partitioner.cut(EUROPE, density, COSTS, 16)
        imbalances.append(dataset.imbalance(pieces))
        for piece in pieces:
            history.learn(piece, dataset.read_s(piece))
    assert imbalances[0] == dataset.imbalance(Linear().cut(EUROPE, None, COSTS, 16))
    assert imbalances[0] > 2.0
    assert imbalances[1] < 1.0 + (imbalances[0] - 1.0) / 4
    assert imbalances[3] < 1.3
