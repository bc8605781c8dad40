"""Load maps: what lies in an extent, for one extent and for the many pieces of a cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import Features, UnitCosts
from tests.planner.drawing import costs, densities, extents

TWO_FILES = Density(
    time_s=np.array([10.0, 20.0]),
    longitude=np.array([179.0, -179.0]),
    latitude=np.array([0.0, 90.0]),
    files=np.array([1.0, 3.0]),
    size_bytes=np.array([1.0e6, 2.0e6]),
)


def test_features_count_files_bytes_and_values() -> None:
    whole = Extent(parameters=("PSAL", "TEMP"))
    assert TWO_FILES.features(whole) == Features(files=4, size_bytes=3_000_000, values=8)
    early = Extent(period=Period(end_at=20.0))
    assert TWO_FILES.features(early) == Features(files=1, size_bytes=1_000_000, values=1)
    nowhere = Extent(box=Box(west=0.0, south=0.0, east=10.0, north=10.0))
    assert TWO_FILES.features(nowhere) == Features()


def test_what_files_hold_counts_where_the_index_says_it() -> None:
    known = replace(TWO_FILES, values=np.array([5.0, 2.0]))
    wanted = Extent(parameters=("PSAL", "TEMP"))
    assert known.features(wanted) == Features(files=4, size_bytes=3_000_000, values=7)
    late = known.within(Extent(period=Period(start_at=20.0)))
    assert late.features(wanted).values == 2
    unit_costs = UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=3.0)
    assert late.cost_s(unit_costs, wanted).tolist() == [6.0]


def test_masses_out_of_order_are_our_bug() -> None:
    with pytest.raises(AssertionError, match="sorted by time"):
        Density(
            time_s=TWO_FILES.time_s[::-1],
            longitude=TWO_FILES.longitude,
            latitude=TWO_FILES.latitude,
            files=TWO_FILES.files,
            size_bytes=TWO_FILES.size_bytes,
        )


def test_a_map_is_exact_where_no_mass_stands_for_several_files() -> None:
    assert not TWO_FILES.is_exact
    assert TWO_FILES.within(Extent(period=Period(end_at=20.0))).is_exact


def test_a_guess_is_never_exact_and_its_masses_are_milliseconds() -> None:
    guess = replace(TWO_FILES, is_guess=True)
    early = Extent(period=Period(end_at=20.0))
    assert not guess.within(early).is_exact
    dear = UnitCosts(base_s=1.0, file_s=50.0, megabyte_s=7.0, value_s=3.0)
    assert guess.cost_s(dear, early).tolist() == [0.001, 0.003]


def test_the_pole_is_found_along_every_axis() -> None:
    pieces = [
        Extent(box=box)
        for box in Box(west=170.0, south=0.0, east=-170.0, north=90.0).cut_latitude([45.0])
    ]
    assert [members.tolist() for members in TWO_FILES.members(pieces)] == [[0], [1]]


@given(density=densities(), extent=extents)
def test_what_lies_within_is_what_the_extent_contains(density: Density, extent: Extent) -> None:
    inside = extent.contains(density.time_s, density.longitude, density.latitude)
    within = density.within(extent)
    assert len(within) == inside.sum()
    assert density.features(extent).files == inside.sum()
    assert np.array_equal(within.size_bytes, density.size_bytes[inside])


@given(density=densities(), pieces=st.lists(extents, min_size=1, max_size=5))
def test_members_of_many_extents_are_those_of_each(density: Density, pieces: list[Extent]) -> None:
    for piece, members in zip(pieces, density.members(pieces), strict=True):
        inside = piece.contains(density.time_s, density.longitude, density.latitude)
        assert sorted(members.tolist()) == np.flatnonzero(inside).tolist()


@given(density=densities(), extent=extents, unit_costs=costs)
def test_the_cost_of_the_masses_is_that_of_their_features(
    density: Density, extent: Extent, unit_costs: UnitCosts
) -> None:
    globally = Extent(box=GLOBE, parameters=extent.parameters)
    inside = density.within(globally)
    predicted = unit_costs.seconds(inside.features(globally)) - unit_costs.base_s
    assert float(inside.cost_s(unit_costs, globally).sum()) == pytest.approx(predicted, abs=1e-9)
