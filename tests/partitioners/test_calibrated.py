"""The fitted logarithmic cut: it follows the load of the request, never worse than equal spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from partitioners.calibrated import Calibrated, fractions
from partitioners.linear import Linear
from partitioners.logarithmic import Logarithmic
from partitioners.protocol import Partitioner
from planner.density import Density
from planner.extent import Extent, Floats, Period
from planner.model import UnitCosts
from tests.planner.drawing import costs, densities, extents

PER_FILE = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
END_S = 3.0e8
DECADE = Extent(period=Period(start_at=0.0, end_at=END_S))


def load_at(fractions_of_period: Floats) -> Density:
    still = np.zeros(len(fractions_of_period))
    return Density(
        time_s=END_S * np.sort(fractions_of_period),
        longitude=still,
        latitude=still,
        files=still + 1.0,
        size_bytes=still,
    )


def grown(base: float, masses: int = 4000) -> Density:
    """Return the load that the logarithmic cut of this base divides evenly."""
    share = np.linspace(0.0, 1.0, masses, endpoint=False)
    return load_at(1.0 - (base ** (1.0 - share) - 1.0) / (base - 1.0))


def heaviest(
    partitioner: Partitioner, extent: Extent, density: Density, unit_costs: UnitCosts, n: int
) -> float:
    inside = density.within(extent)
    cost_s = inside.cost_s(unit_costs, extent)
    cost_s = cost_s if cost_s.any() else inside.files
    pieces = partitioner.cut(extent, density, unit_costs, n)
    return max(float(cost_s[held].sum()) for held in inside.members(pieces))


@pytest.mark.parametrize("base", [3.0, 40.0, 2000.0])
@pytest.mark.parametrize("n", [8, 13])
def test_it_finds_the_base_of_a_load_that_grows(base: float, n: int) -> None:
    growing = grown(base)
    assert heaviest(Calibrated(), DECADE, growing, PER_FILE, n) <= 1.05 * 4000 / n
    assert heaviest(Logarithmic(), DECADE, growing, PER_FILE, n) > 1.15 * 4000 / n


def test_it_finds_the_base_of_a_load_that_shrinks() -> None:
    shrinking = load_at(1.0 - grown(40.0).time_s / END_S)
    assert heaviest(Calibrated(), DECADE, shrinking, PER_FILE, 8) <= 1.05 * 500
    assert heaviest(Linear(), DECADE, shrinking, PER_FILE, 8) > 1.5 * 500


def test_an_earlier_end_date_of_the_same_archive_gets_a_base_of_its_own() -> None:
    """The archive grows tenfold and then stands still, as Argo did about 2015."""
    archive = load_at(np.concatenate([grown(40.0).time_s / END_S / 2, np.linspace(0.5, 0.9, 3000)]))
    early = Extent(period=Period(start_at=0.0, end_at=END_S / 2))
    late = Extent(period=Period(start_at=END_S / 2, end_at=0.9 * END_S))
    assert heaviest(Calibrated(), early, archive, PER_FILE, 8) <= 1.05 * 500
    assert heaviest(Calibrated(), late, archive, PER_FILE, 8) <= 1.01 * 3000 / 8


@given(extent=extents, density=densities(), unit_costs=costs, n=st.integers(1, 20))
def test_it_is_never_worse_than_linear(
    extent: Extent, density: Density, unit_costs: UnitCosts, n: int
) -> None:
    assume(len(density.within(extent)))
    ours, linear = (
        heaviest(one, extent, density, unit_costs, n) for one in (Calibrated(), Linear())
    )
    assert ours <= linear * (1 + 1e-9)


def test_without_a_load_map_spans_are_equal() -> None:
    nothing = load_at(np.zeros(0))
    for density in (None, nothing):
        expected = Linear().cut(DECADE, None, PER_FILE, 7)
        assert Calibrated().cut(DECADE, density, PER_FILE, 7) == expected


def test_its_cuts_are_those_of_logarithmic_and_their_mirror_image() -> None:
    shrink, even, grow = fractions(np.log([10.0, 1.0, 0.1]), 8)
    pieces = Logarithmic(base=10.0).cut(DECADE, None, PER_FILE, 8)
    logarithmic = [(piece.period.end_at or 0.0) / END_S for piece in pieces[:-1]]
    assert shrink == pytest.approx(logarithmic)
    assert even == pytest.approx(np.arange(1, 8) / 8)
    assert grow == pytest.approx(1 - shrink[::-1])
