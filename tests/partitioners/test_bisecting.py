"""Recursive bisection: any number of pieces, every axis, edges of the globe, unequal masses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioners.bisecting import Bisecting
from partitioners.linear import Linear
from partitioners.testing import GOLDEN
from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Floats, Period
from planner.model import UnitCosts
from tests.planner.drawing import extents

PER_FILE = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
DECADE = Extent(period=Period(start_at=0.0, end_at=3.0e8))
PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)


def spread(masses: int, step: float) -> Floats:
    return np.mod(np.arange(masses, dtype=np.float64) * step, 1.0)


def load(extent: Extent, masses: int = 3000, files: Floats | None = None) -> Density:
    """Return masses all over an extent, evenly along each axis."""
    box, period = extent.box, extent.period
    assert period.start_at is not None
    eastward = box.west + box.width_deg * spread(masses, GOLDEN)
    return Density(
        time_s=np.linspace(period.start_at, period.start_at + period.span_s, masses, False),
        longitude=(eastward + 180.0) % 360.0 - 180.0,
        latitude=box.south + (box.north - box.south) * spread(masses, 2**0.5 - 1),
        files=np.ones(masses) if files is None else files,
        size_bytes=np.zeros(masses),
    )


def files_of(pieces: tuple[Extent, ...], density: Density) -> list[float]:
    return [float(density.files[held].sum()) for held in density.members(pieces)]


def cut(extent: Extent, density: Density, n: int) -> tuple[Extent, ...]:
    return Bisecting().cut(extent, density, PER_FILE, n)


@pytest.mark.parametrize("n", [2, 3, 5, 7, 8, 24, 61])
@pytest.mark.parametrize("box", [GLOBE, PACIFIC, Box(west=180.0, south=60.0, east=-90.0, north=90)])
def test_any_number_of_pieces_is_of_equal_cost(n: int, box: Box) -> None:
    extent = DECADE.with_box(box)
    density = load(extent)
    files = files_of(cut(extent, density, n), density)
    assert len(files) == n
    assert max(files) * n / 3000 <= 1.05


def test_all_axes_are_cut_and_pieces_are_compact() -> None:
    pieces = cut(DECADE, load(DECADE), 64)
    assert len({piece.period.start_at for piece in pieces}) > 2
    assert len({piece.box.south for piece in pieces}) > 2
    assert len({piece.box.west for piece in pieces}) > 2
    assert max(piece.period.span_s for piece in pieces) < 0.4 * 3.0e8
    assert max(piece.box.width_deg for piece in pieces) < 0.4 * 360


def test_an_axis_that_cannot_be_cut_evenly_is_left_alone() -> None:
    """A survey of two days: time halves it, and after that only places tell masses apart."""
    density = load(DECADE)
    days = Density(
        time_s=np.where(density.time_s < 1.5e8, 0.0, 2.9e8),
        longitude=density.longitude,
        latitude=density.latitude,
        files=density.files,
        size_bytes=density.size_bytes,
    )
    pieces = cut(DECADE, days, 16)
    assert len({piece.period for piece in pieces}) <= 2
    assert max(files_of(pieces, days)) * 16 / 3000 <= 1.05


def test_masses_that_stand_for_many_files_weigh_so() -> None:
    files = np.where(np.arange(3000) % 10 == 0, 91.0, 1.0)
    density = load(DECADE, files=files)
    held = files_of(cut(DECADE, density, 32), density)
    assert max(held) * 32 / files.sum() <= 1.1


def test_a_heavy_mass_takes_no_pieces_from_the_others() -> None:
    files = np.ones(64)
    files[0] = 1000.0
    density = load(DECADE, masses=64, files=files)
    held = sorted(files_of(cut(DECADE, density, 8), density))
    assert len(held) == 8
    assert held[-1] <= 1010.0


def test_as_many_pieces_as_masses_where_more_are_wanted() -> None:
    density = load(DECADE, masses=11)
    assert files_of(cut(DECADE, density, 40), density) == [1.0] * 11


def test_masses_of_one_place_and_time_stay_together() -> None:
    still = np.full(9, 5.0)
    density = Density(
        time_s=still, longitude=still, latitude=still + 85.0, files=still, size_bytes=still
    )
    assert cut(DECADE, density, 4) == (DECADE,)


def test_without_a_load_map_it_is_linear() -> None:
    for density in (None, load(DECADE, masses=0)):
        expected = Linear().cut(DECADE, None, PER_FILE, 4)
        assert Bisecting().cut(DECADE, density, PER_FILE, 4) == expected


@given(extent=extents, masses=st.integers(1, 60), n=st.integers(2, 20))
def test_no_piece_is_without_a_mass(extent: Extent, masses: int, n: int) -> None:
    everywhere = load(DECADE, masses=masses)
    inside = everywhere.within(extent)
    pieces = cut(extent, everywhere, n)
    if len(inside):
        assert min(files_of(pieces, inside)) >= 1
        assert len(pieces) == min(n, len(inside))
