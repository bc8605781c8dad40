"""Strata cover an extent, probes are a small part of each, and what they cost makes a first map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from partitioners.balanced import Balanced
from partitioners.bisecting import Bisecting
from partitioners.history import History, volume
from partitioners.laws import check_cut
from partitioners.linear import Linear
from partitioners.protocol import CutRequest, Partitioner
from partitioners.sampling import probes
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UnitCosts
from tests.partitioners.unindexed import EUROPE, Unindexed
from tests.planner.drawing import extents

COSTS = UnitCosts(base_s=0.1, file_s=0.002, megabyte_s=0.0, value_s=0.0)
PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=90.0)


@pytest.mark.parametrize("box", [GLOBE, PACIFIC, EUROPE.box])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_strata_are_equal_and_probes_their_share(box: Box, count: int) -> None:
    extent = EUROPE.with_box(box)
    found = probes(extent, count, share=0.1)
    assert len(found) == count
    assert [volume(p.stratum) * count / volume(extent) for p in found] == pytest.approx([1] * count)
    assert [volume(p.extent) / volume(p.stratum) for p in found] == pytest.approx([0.1] * count)
    assert found[0].stratum_cost_s(2.0) == pytest.approx(20.0)


@given(extent=extents, count=st.integers(1, 40), share=st.floats(0.001, 1.0))
def test_strata_cover_an_extent_and_probes_lie_inside(
    extent: Extent, count: int, share: float
) -> None:
    assume(extent.period.span_s < np.inf)
    found = probes(extent, count, share)
    request = CutRequest(extent=extent, density=None, costs=COSTS, n=count)
    check_cut(request, tuple(probe.stratum for probe in found))
    for probe in found:
        inside = probe.extent.box.overlap(probe.stratum.box)
        assert sum(box.area_km2 for box in inside) == pytest.approx(probe.extent.box.area_km2)
        assert probe.extent.period.clipped(probe.stratum.period) == probe.extent.period


def test_an_extent_that_cannot_be_cut_has_one_stratum() -> None:
    at = 1.0e9
    instant = Period(start_at=at, end_at=float(np.nextafter(at, 2e9)))
    assert 1 <= len(probes(Extent(box=EUROPE.box, period=instant), 9)) <= 9


@pytest.mark.parametrize("partitioner", [Balanced(), Bisecting()], ids=lambda one: one.name)
def test_sampling_balances_the_first_cut(partitioner: Partitioner) -> None:
    dataset, history = Unindexed(), History()
    for probe in probes(EUROPE, 256, share=0.05):
        history.learn(probe.stratum, probe.stratum_cost_s(dataset.read_s(probe.extent)))
    blind = dataset.imbalance(Linear().cut(EUROPE, None, COSTS, 16))
    sampled = dataset.imbalance(partitioner.cut(EUROPE, history.density(EUROPE), COSTS, 16))
    assert blind > 2.0
    assert sampled < 1.0 + (blind - 1.0) / 4
