"""Boxes and periods: what lies inside, and that pieces share nothing and lose nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InvalidExtent
from planner.extent import (
    ALWAYS,
    EARTH_RADIUS_KM,
    GLOBE,
    Box,
    Extent,
    Period,
    wrap_longitude,
    wrap_longitudes,
)
from tests.planner.drawing import boxes, instants, latitudes, longitudes, periods, west_or_east

PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)


def holds(box: Box, longitude: float, latitude: float) -> bool:
    return bool(box.contains(np.array([longitude]), np.array([latitude]))[0])


@given(longitude=longitudes)
def test_a_wrapped_longitude_is_in_range_and_the_same_place(longitude: float) -> None:
    wrapped = wrap_longitude(longitude)
    if math.isnan(longitude):
        assert math.isnan(wrapped)
    else:
        assert -180.0 <= wrapped < 180.0
        assert math.remainder(wrapped - longitude, 360.0) == pytest.approx(0.0, abs=1e-9)


@given(longitude=st.floats(-180.0, 180.0, exclude_max=True))
def test_a_longitude_in_range_is_not_touched(longitude: float) -> None:
    assert wrap_longitude(longitude) == longitude


def test_a_hair_west_of_the_antimeridian_does_not_leave_the_range() -> None:
    assert wrap_longitude(math.nextafter(-180.0, -math.inf)) == -180.0


def test_what_is_not_finite_lies_nowhere() -> None:
    strange = np.array([math.nan, math.inf, -math.inf])
    assert np.isnan(wrap_longitudes(strange)).all()
    assert not GLOBE.contains(strange, np.zeros(3)).any()
    assert not GLOBE.contains(np.zeros(3), strange).any()
    assert not ALWAYS.contains(np.array([math.nan])).any()


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ((0, 0, 0, 10), "no width"),
        ((180, 0, -180, 10), "no width"),
        ((0, 10, 10, 10), "flat"),
        ((0, 20, 10, 10), "upside down"),
        ((0, -91, 10, 10), "latitude"),
        ((0, 0, 181, 10), "longitude"),
        ((math.nan, 0, 10, 10), "finite"),
        ((0, 0, 10, math.inf), "finite"),
    ],
)
def test_a_box_that_holds_nothing_or_lies_off_the_globe_is_refused(
    edges: tuple[float, float, float, float], said: str
) -> None:
    west, south, east, north = edges
    with pytest.raises(InvalidExtent, match=said):
        Box(west=west, south=south, east=east, north=north)


@given(box=boxes(), longitude=longitudes, latitude=latitudes)
def test_a_box_holds_what_its_rectangles_hold(box: Box, longitude: float, latitude: float) -> None:
    place = wrap_longitude(longitude)
    in_rectangles = [
        west <= place < east and south <= latitude and (latitude < north or north == 90.0)
        for west, south, east, north in box.rectangles()
    ]
    assert holds(box, longitude, latitude) == any(in_rectangles)
    assert sum(in_rectangles) <= 1


@pytest.mark.parametrize("edge", [0.0, 0.1, 0.3, -120.7, 179.9])
def test_neighbours_share_no_place_and_lose_none_at_their_common_edge(edge: float) -> None:
    left = Box(west=edge - 0.05, south=0.0, east=edge, north=1.0)
    right = Box(west=edge, south=0.0, east=edge + 0.05, north=1.0)
    for longitude in (math.nextafter(edge, -math.inf), edge, math.nextafter(edge, math.inf)):
        assert holds(left, longitude, 0.5) != holds(right, longitude, 0.5)
        assert holds(right, longitude, 0.5) == (longitude >= edge)


def test_the_poles_and_the_antimeridian_belong_to_the_globe_once() -> None:
    assert holds(GLOBE, 180.0, 90.0)
    assert holds(GLOBE, -180.0, -90.0)
    assert holds(PACIFIC, 180.0, 0.0)
    assert not holds(PACIFIC, -170.0, 0.0)
    assert not holds(Box(west=170.0, south=0.0, east=180.0, north=1.0), 180.0, 0.5)
    assert holds(Box(west=180.0, south=0.0, east=-170.0, north=1.0), 180.0, 0.5)


def test_area_and_width() -> None:
    assert GLOBE.area_km2 == pytest.approx(4 * math.pi * EARTH_RADIUS_KM**2)
    assert GLOBE.width_deg == 360.0
    assert PACIFIC.width_deg == 20.0
    halves = [Box(west=-180.0, east=180.0, south=-90.0, north=0.0).area_km2] * 2
    assert sum(halves) == pytest.approx(GLOBE.area_km2)


@given(one=boxes(), other=boxes(), longitude=longitudes, latitude=latitudes)
def test_an_overlap_holds_what_both_hold_and_holds_it_once(
    one: Box, other: Box, longitude: float, latitude: float
) -> None:
    pieces = one.overlap(other)
    both = holds(one, longitude, latitude) and holds(other, longitude, latitude)
    assert sum(holds(piece, longitude, latitude) for piece in pieces) == both


@given(
    box=boxes(),
    cuts=st.sets(west_or_east.map(wrap_longitude), max_size=4),
    longitude=longitudes,
    latitude=latitudes,
)
def test_a_box_cut_along_meridians_holds_each_place_once(
    box: Box, cuts: set[float], longitude: float, latitude: float
) -> None:
    strictly_inside = [
        cut for cut in cuts if holds(box, cut, box.south) and cut != wrap_longitude(box.west)
    ]
    eastward = sorted(strictly_inside, key=lambda cut: (cut < box.west, cut))
    pieces = box.cut_meridians(eastward)
    assert len(pieces) == len(eastward) + 1
    inside = holds(box, longitude, latitude)
    assert sum(holds(piece, longitude, latitude) for piece in pieces) == inside


def test_a_cut_may_fall_on_the_antimeridian() -> None:
    west, east = PACIFIC.cut_longitude([10.0])
    assert (west.west, west.east) == (170.0, 180.0)
    assert (east.west, east.east) == (-180.0, -170.0)
    assert PACIFIC.cut_meridians([-180.0]) == (west, east)


def test_a_box_cut_along_parallels_keeps_its_pole() -> None:
    south, north = GLOBE.cut_latitude([45.0])
    assert holds(south, 0.0, math.nextafter(45.0, 0.0))
    assert not holds(south, 0.0, 45.0)
    assert holds(north, 0.0, 45.0)
    assert holds(north, 0.0, 90.0)


@pytest.mark.parametrize("ends", [(2.0, 1.0), (1.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_period_that_cannot_be_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(InvalidExtent):
        Period(start_at=ends[0], end_at=ends[1])


@given(one=periods(), other=periods(), instant=instants)
def test_a_clipped_period_holds_what_both_hold(one: Period, other: Period, instant: float) -> None:
    at = np.array([instant])
    clipped = one.clipped(other)
    both = bool(one.contains(at)[0] and other.contains(at)[0])
    assert bool(clipped is not None and clipped.contains(at)[0]) == both


@given(period=periods(), cuts=st.sets(instants, max_size=4), instant=instants)
def test_a_cut_period_holds_each_instant_once(
    period: Period, cuts: set[float], instant: float
) -> None:
    inside = sorted(
        cut for cut in cuts if period.contains(np.array([cut]))[0] and cut != period.start_at
    )
    pieces = Extent(period=period).cut_time(inside)
    at = np.array([instant])
    held = sum(int(piece.period.contains(at)[0]) for piece in pieces)
    assert held == int(period.contains(at)[0])


def test_an_open_period_is_endless() -> None:
    assert Period(start_at=0.0).span_s == math.inf
    assert Period(start_at=1.0, end_at=3.0).span_s == 2.0
