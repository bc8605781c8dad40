"""Hypothesis strategies for extents and load maps that like edges, poles and the antimeridian."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from planner.density import Density
from planner.errors import InvalidExtent
from planner.extent import Box, Extent, Period
from planner.model import UnitCosts

NAMES = ("DOXY", "PSAL", "TEMP")


def _near(value: float) -> list[float]:
    return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]


LONGITUDE_EDGES = [-180.0, -170.0, 0.1, 0.3, 170.0, 180.0, *_near(0.0), *_near(170.0)[:2]]
LATITUDE_EDGES = [-90.0, -80.0, 0.0, 45.0, 90.0, *_near(45.0), math.nextafter(90.0, 0.0)]
INSTANTS = [0.0, 1.0e9, 1.1e9, *_near(1.05e9)]

west_or_east = st.sampled_from(LONGITUDE_EDGES) | st.floats(-180.0, 180.0)
longitudes = west_or_east | st.sampled_from([190.0, -190.0, 360.0, 540.0, math.nan])
latitudes = st.sampled_from(LATITUDE_EDGES) | st.floats(-90.0, 90.0)
instants = st.sampled_from(INSTANTS) | st.floats(0.0, 2.0e9)
parameter_lists = st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names)))
costs = st.builds(
    UnitCosts,
    base_s=st.floats(0.0, 1.0),
    file_s=st.floats(0.0, 1.0),
    megabyte_s=st.floats(0.0, 1.0),
    value_s=st.floats(0.0, 1.0),
)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    south, north = sorted(
        draw(st.tuples(latitudes, latitudes).filter(lambda pair: len({*pair}) > 1))
    )
    try:
        return Box(west=draw(west_or_east), east=draw(west_or_east), south=south, north=north)
    except InvalidExtent:
        return Box(west=-180.0, east=180.0, south=south, north=north)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    start, end = sorted(draw(st.tuples(instants, instants).filter(lambda pair: len({*pair}) > 1)))
    open_start, open_end = draw(st.booleans()), draw(st.booleans())
    return Period(start_at=None if open_start else start, end_at=None if open_end else end)


extents = st.builds(Extent, box=boxes(), period=periods(), parameters=parameter_lists)


@st.composite
def densities(draw: st.DrawFn) -> Density:
    """Draw a load map with ties; none of its masses stands for more than one file."""
    placed = st.tuples(instants, longitudes.filter(math.isfinite), latitudes)
    masses = sorted(draw(st.lists(placed, max_size=40)))
    time_s, longitude, latitude = np.array(masses, np.float64).reshape(-1, 3).T
    return Density(
        time_s=time_s,
        longitude=longitude,
        latitude=latitude,
        files=np.ones(len(masses)),
        size_bytes=np.cumsum(np.full(len(masses), 1000.0)),
    )
