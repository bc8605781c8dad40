"""The laws find every way in which an answer is no cut, down to the last bit of an edge."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from partitioners.laws import BrokenLaw, check_cut
from partitioners.protocol import CutRequest
from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Floats, Mask, Period
from planner.model import UnitCosts

COSTS = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)
PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)
WHOLE = Extent(box=PACIFIC, period=Period(start_at=0.0, end_at=100.0), parameters=("TEMP",))
EARLY, LATE = WHOLE.cut_time([50.0])
WEST, EAST = (WHOLE.with_box(box) for box in PACIFIC.cut_meridians([175.0]))
QUARTERS = tuple(
    half.with_box(box) for half in (EARLY, LATE) for box in PACIFIC.cut_meridians([-180.0])
)
SOUTH, NORTH = (WHOLE.with_box(box) for box in PACIFIC.cut_latitude([0.0]))
PINWHEEL = (
    *(EARLY.with_box(box) for box in PACIFIC.cut_latitude([0.0])),
    *(LATE.with_box(box) for box in PACIFIC.cut_meridians([175.0])),
)


def check(*pieces: Extent, of: Extent = WHOLE, n: int = 8) -> None:
    check_cut(CutRequest(extent=of, density=None, costs=COSTS, n=n), pieces)


def ending(piece: Extent, end_at: float) -> Extent:
    return replace(piece, period=replace(piece.period, end_at=end_at))


@pytest.mark.parametrize(
    "pieces",
    [(WHOLE,), (EARLY, LATE), (LATE, EARLY), (WEST, EAST), (SOUTH, NORTH), QUARTERS, PINWHEEL],
)
def test_a_cut_is_accepted_along_any_axis_and_in_any_order(pieces: tuple[Extent, ...]) -> None:
    check(*pieces)


def test_an_endless_period_can_be_cut() -> None:
    check(*Extent().cut_time([0.0, 1.0]), of=Extent())
    with pytest.raises(BrokenLaw, match="gap"):
        check(Extent(period=Period(start_at=0.0)), of=Extent())


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((EARLY,), "gap"),
        ((ending(EARLY, math.nextafter(50.0, 0.0)), LATE), "gap"),
        ((ending(EARLY, math.nextafter(50.0, 100.0)), LATE), "pieces 0 and 1 overlap"),
        ((LATE, WHOLE), "pieces 0 and 1 overlap"),
        ((EARLY, LATE, EARLY), "pieces 0 and 2 overlap"),
        ((EARLY, ending(LATE, 101.0)), "piece 1 leaves"),
        ((WEST, WHOLE.with_box(GLOBE)), "piece 1 leaves"),
        ((WEST, replace(EAST, parameters=())), "piece 1 asks for other parameters"),
        ((*QUARTERS[:3], QUARTERS[2]), "pieces 2 and 3 overlap"),
        ((), "0 came"),
        (WHOLE.cut_time(range(10, 100, 10)), "8 pieces were wanted and 10 came"),
    ],
)
def test_what_is_no_cut_is_named(pieces: tuple[Extent, ...], said: str) -> None:
    with pytest.raises(BrokenLaw, match=said):
        check(*pieces)


@pytest.mark.parametrize("answer", [None, [EARLY, LATE], (EARLY, "LATE"), "EL"])
def test_an_answer_of_another_kind_is_named(answer: object) -> None:
    request = CutRequest(extent=WHOLE, density=None, costs=COSTS, n=2)
    with pytest.raises(BrokenLaw, match="no tuple of extents"):
        check_cut(request, answer)  # type: ignore[arg-type]


def test_thousands_of_pieces_are_checked() -> None:
    boxes = GLOBE.cut_meridians(np.linspace(-180.0, 180.0, 64, endpoint=False)[1:].tolist())
    instants = np.linspace(0.0, 100.0, 64, endpoint=False)[1:].tolist()
    period = Extent(period=WHOLE.period)
    pieces = tuple(piece for box in boxes for piece in period.with_box(box).cut_time(instants))
    assert len(pieces) == 4096
    check(*pieces, of=period, n=4096)
    with pytest.raises(BrokenLaw, match="gap"):
        check(*pieces[:-1], of=period, n=4096)


class Blind(Extent):
    """A plug-in's own extent, right in its edges and wrong in what it holds."""

    def contains(self, time_s: Floats, longitude: Floats, latitude: Floats) -> Mask:
        return np.zeros(len(time_s), np.bool_)


def test_a_piece_that_loses_its_masses_is_found_out() -> None:
    blind = Blind(box=PACIFIC, period=LATE.period, parameters=("TEMP",))
    density = Density(
        time_s=np.array([10.0, 60.0, 70.0]),
        longitude=np.full(3, 175.0),
        latitude=np.zeros(3),
        files=np.ones(3),
        size_bytes=np.zeros(3),
    )
    with pytest.raises(BrokenLaw, match="2 masses of the load map are in no piece"):
        check_cut(CutRequest(extent=WHOLE, density=density, costs=COSTS, n=2), (EARLY, blind))


def test_masses_are_counted_in_pieces_too() -> None:
    density = Density(
        time_s=np.array([10.0, 50.0]),
        longitude=np.array([-180.0, 175.0]),
        latitude=np.array([0.0, 0.0]),
        files=np.ones(2),
        size_bytes=np.zeros(2),
    )
    for pieces in ((EARLY, LATE), (WEST, EAST), QUARTERS):
        check_cut(CutRequest(extent=WHOLE, density=density, costs=COSTS, n=8), pieces)
