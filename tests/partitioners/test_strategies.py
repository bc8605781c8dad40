"""The built-in partitioners: their laws, and what each is for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioners.balanced import Balanced
from partitioners.catalogue import BUILT_IN
from partitioners.linear import Linear
from partitioners.logarithmic import Logarithmic
from partitioners.protocol import CutRequest, Partitioner
from partitioners.shares import equal_shares
from partitioners.testing import check_partitioner
from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Floats, Period
from planner.model import UnitCosts
from tests.planner.drawing import costs, densities, extents

PER_FILE = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
DECADE = Extent(period=Period(start_at=0.0, end_at=3.0e8))
PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)


def masses(
    *, time_s: Floats, longitude: Floats, latitude: Floats, size_bytes: float = 0.0
) -> Density:
    order = np.argsort(time_s, kind="stable")
    return Density(
        time_s=time_s[order],
        longitude=longitude[order],
        latitude=latitude[order],
        files=np.ones(len(order)),
        size_bytes=np.full(len(order), size_bytes),
    )


def spans_s(pieces: tuple[Extent, ...]) -> list[float]:
    return [piece.period.span_s for piece in pieces]


@pytest.mark.parametrize("partitioner", BUILT_IN.values(), ids=lambda one: one.name)
def test_it_obeys_the_laws(partitioner: Partitioner) -> None:
    check_partitioner(partitioner)


requests = st.builds(
    CutRequest,
    extent=extents,
    density=densities() | st.none(),
    costs=costs,
    n=st.integers(1, 20),
)


@given(request=requests, partitioner=st.sampled_from(list(BUILT_IN.values())))
def test_it_obeys_the_laws_whatever_is_asked(request: CutRequest, partitioner: Partitioner) -> None:
    check_partitioner(partitioner, [request])


@pytest.mark.parametrize("partitioner", BUILT_IN.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("n", [1, 2, 7, 64, 4096])
def test_it_makes_as_many_pieces_as_wanted(partitioner: Partitioner, n: int) -> None:
    assert len(partitioner.cut(DECADE, None, PER_FILE, n)) == n


def test_linear_makes_equal_spans() -> None:
    assert spans_s(Linear().cut(DECADE, None, PER_FILE, 3)) == pytest.approx([1.0e8] * 3)


def test_linear_cannot_cut_an_open_period_or_finer_than_instants_lie() -> None:
    assert Linear().cut(Extent(), None, PER_FILE, 4) == (Extent(),)
    two_ulps = Period(start_at=1.0, end_at=math.nextafter(math.nextafter(1.0, 2.0), 2.0))
    assert len(Linear().cut(Extent(period=two_ulps), None, PER_FILE, 10)) == 2


@pytest.mark.parametrize(("base", "n"), [(10.0, 8), (10.0, 32), (3.0, 5)])
def test_logarithmic_spans_shrink_by_one_factor_towards_the_end(base: float, n: int) -> None:
    spans = spans_s(Logarithmic(base=base).cut(DECADE, None, PER_FILE, n))
    factors = [early / late for early, late in itertools.pairwise(spans)]
    assert factors == pytest.approx([base ** (1 / n)] * (n - 1))
    assert sum(spans) == pytest.approx(3.0e8)


def test_logarithmic_cuts_a_growing_dataset_better_than_linear() -> None:
    time_s = 3.0e8 * np.linspace(0.0, 1.0, 4000, endpoint=False) ** 0.4
    growing = masses(time_s=time_s, longitude=np.zeros(4000), latitude=np.zeros(4000))

    def heaviest(partitioner: Partitioner) -> int:
        pieces = partitioner.cut(DECADE, growing, PER_FILE, 8)
        return max(growing.features(piece).files for piece in pieces)

    assert heaviest(Balanced()) == 500 < heaviest(Logarithmic()) < heaviest(Linear())


@given(
    loads=st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any),
    pieces=st.integers(1, 12),
)
def test_shares_are_equal_up_to_one_load(loads: list[int], pieces: int) -> None:
    row = np.array(loads, np.float64)
    cuts = equal_shares(row, pieces).tolist()
    edges = [0, *cuts, len(loads)]
    assert len(cuts) == min(pieces, len(loads)) - 1
    assert all(one < next_one for one, next_one in itertools.pairwise(edges)), "none is empty"
    share = row.sum() / (len(cuts) + 1)
    sums = [row[one:next_one].sum() for one, next_one in itertools.pairwise(edges)]
    assert max(sums) <= share + row.max() + 1e-9


def test_balanced_weighs_by_cost_not_by_count() -> None:
    time_s = np.linspace(0.0, 3.0e8, 100, endpoint=False)
    density = Density(
        time_s=time_s,
        longitude=np.zeros(100),
        latitude=np.zeros(100),
        files=np.ones(100),
        size_bytes=np.where(time_s < 1.5e8, 0.0, 3.0e6),
    )
    by_size = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=1.0, value_s=0.0)
    for unit_costs, first_files in ((PER_FILE, 50), (by_size, 69)):
        first, _ = Balanced().cut(DECADE, density, unit_costs, 2)
        assert density.features(first).files == pytest.approx(first_files, abs=1)


def test_balanced_weighs_each_mass_by_its_own_cost_along_any_axis() -> None:
    northward = (np.arange(100) * 37 % 100).astype(np.float64) / 2.0
    density = Density(
        time_s=np.full(100, 5.0),
        longitude=np.full(100, 5.0),
        latitude=northward,
        files=np.ones(100),
        size_bytes=np.where(northward < 25.0, 0.0, 3.0e6),
    )
    by_size = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=1.0, value_s=0.0)
    south, _ = Balanced().cut(DECADE, density, by_size, 2)
    assert density.features(south).files == pytest.approx(69, abs=1)


@pytest.mark.parametrize("box", [GLOBE, PACIFIC, Box(west=10.0, south=-9.0, east=5.0, north=90.0)])
@pytest.mark.parametrize("spread", ["latitude", "longitude"])
def test_balanced_leaves_time_where_all_comes_at_once(box: Box, spread: str) -> None:
    along = np.linspace(0.0, 1.0, 160, endpoint=False)
    still = np.full(160, 0.5)
    eastward = box.west + box.width_deg * (along if spread == "longitude" else still)
    northward = box.south + (box.north - box.south) * (along if spread == "latitude" else still)
    density = masses(
        time_s=np.full(160, 1.0e8),
        longitude=(eastward + 180.0) % 360.0 - 180.0,
        latitude=northward,
    )
    extent = Extent(box=box, period=DECADE.period)
    pieces = Balanced().cut(extent, density, PER_FILE, 8)
    assert [density.features(piece).files for piece in pieces] == [20] * 8
    assert {piece.period for piece in pieces} == {DECADE.period}


def test_balanced_prefers_time_among_equals() -> None:
    even = np.linspace(0.0, 1.0, 80, endpoint=False)
    density = masses(time_s=3.0e8 * even, longitude=even, latitude=even)
    pieces = Balanced().cut(DECADE, density, PER_FILE, 4)
    assert {piece.box for piece in pieces} == {GLOBE}


def test_balanced_cuts_an_open_period_where_it_knows_the_load() -> None:
    even = np.linspace(0.0, 1.0, 80, endpoint=False)
    density = masses(time_s=3.0e8 * even, longitude=even * 0.0, latitude=even * 0.0)
    pieces = Balanced().cut(Extent(), density, PER_FILE, 4)
    assert [density.features(piece).files for piece in pieces] == [20] * 4
    assert pieces[0].period.start_at is None


def test_balanced_without_load_is_linear() -> None:
    nothing = masses(time_s=np.zeros(0), longitude=np.zeros(0), latitude=np.zeros(0))
    for density in (None, nothing):
        expected = Linear().cut(DECADE, None, PER_FILE, 4)
        assert Balanced().cut(DECADE, density, PER_FILE, 4) == expected


def test_balanced_keeps_masses_of_one_place_and_time_together() -> None:
    density = masses(time_s=np.full(9, 5.0), longitude=np.full(9, 5.0), latitude=np.full(9, 90.0))
    assert Balanced().cut(DECADE, density, PER_FILE, 4) == (DECADE,)
