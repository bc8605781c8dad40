"""Load maps of many profiles: masses in cells must not make cuts uneven that seem even."""

from __future__ import annotations

import numpy as np
import pytest

from controller.apps.argo.load_map import load_map
from controller.apps.argo.rows import TICKS_PER_DEGREE
from partitioners.balanced import Balanced
from partitioners.bisecting import Bisecting
from partitioners.protocol import Partitioner
from planner.extent import Extent, Period
from planner.model import UnitCosts

PER_FILE = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
PROFILES = 60_000
YEARS_S = 4 * 365 * 86400
EXTENT = Extent(period=Period(start_at=0.0, end_at=float(YEARS_S)))


@pytest.mark.parametrize("partitioner", [Balanced(), Bisecting()], ids=lambda one: one.name)
def test_a_cut_by_cells_is_even_in_profiles(partitioner: Partitioner) -> None:
    draw = np.random.default_rng(3)
    time_s = np.sort(draw.integers(0, YEARS_S, PROFILES))
    longitude = draw.integers(-180, 180, PROFILES).astype(np.int32)
    latitude = draw.integers(-20, 20, PROFILES).astype(np.int32)
    places = (
        time_s,
        (longitude * TICKS_PER_DEGREE).astype(np.int32),
        (latitude * TICKS_PER_DEGREE).astype(np.int32),
        np.ones(PROFILES, np.int64),
    )
    exact, gathered = load_map(*places), load_map(*places, masses_max=10_000)
    assert len(exact) == PROFILES > 10_000 >= len(gathered)
    assert not gathered.is_exact
    pieces = partitioner.cut(EXTENT, gathered, PER_FILE, 32)
    held = [len(positions) for positions in exact.members(pieces)]
    assert sum(held) == PROFILES
    assert max(held) * 32 / PROFILES <= 1.15
