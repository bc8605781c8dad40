"""What part of a dataset somebody wants: a box on the globe, a period, a list of parameters.

Boxes and periods are half-open: a box holds its west and south edges, not its east and north ones,
and a period holds its start, not its end. So the pieces of a cut never share a profile, and two
neighbouring subscriptions never both receive one. The pole at 90 N belongs to a box that ends
there.

A box whose west lies east of its east crosses the antimeridian (OGC convention).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from planner.errors import InvalidExtent

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth [km] (IUGG R1)."""


def wrap_longitude(longitude: float) -> float:
    """Return the longitude in [-180, 180) degrees east; one that lies there is not touched."""
    return float(wrap_longitudes(np.asarray(longitude)))


def wrap_longitudes(longitude: Floats) -> Floats:
    """Return the longitudes in [-180, 180) degrees east, NaN for those that are not finite.

    Those that lie there are not touched, so that comparing them with the edge of a box is exact.
    """
    longitude = np.asarray(longitude, np.float64)
    outside = ~((longitude >= -180.0) & (longitude < 180.0))
    if not outside.any():
        return longitude
    with np.errstate(invalid="ignore"):
        wrapped = np.mod(longitude + 180.0, 360.0) - 180.0
    # A hair west of -180 rounds to 180, which is not in the range.
    return np.where(outside, np.where(wrapped >= 180.0, -180.0, wrapped), longitude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of longitude and latitude, safe across the antimeridian.

    Parameters
    ----------
    west, east : float
        Edges [degrees east], in [-180, 180]; west > east crosses the antimeridian.
    south, north : float
        Edges [degrees north], in [-90, 90], south < north.

    Raises
    ------
    InvalidExtent
        An edge is out of range or not finite, or the box is empty.
    """

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        """Refuse boxes that hold nothing or lie off the globe."""
        if -180 <= self.west < self.east <= 180 and -90 <= self.south < self.north <= 90:
            return  # So are most, and a restart makes a million of them.
        if not all(map(math.isfinite, (self.west, self.south, self.east, self.north))):
            raise InvalidExtent(f"box {self} has an edge that is not a finite number")
        if not (-180 <= self.west <= 180 and -180 <= self.east <= 180):
            raise InvalidExtent(
                f"box {self} has a longitude outside -180..180",
                fix="Give west,south,east,north in degrees; west > east crosses the antimeridian",
            )
        if not (-90 <= self.south <= 90 and -90 <= self.north <= 90):
            raise InvalidExtent(f"box {self} has a latitude outside -90..90")
        if self.south >= self.north:
            raise InvalidExtent(
                f"box {self} is upside down or flat", fix="South must be below north"
            )
        if self.west == self.east or not self.rectangles():
            raise InvalidExtent(f"box {self} has no width", fix="Use -180..180 for the whole globe")

    def __str__(self) -> str:
        """Return ``west,south,east,north``."""
        return f"{self.west:g},{self.south:g},{self.east:g},{self.north:g}"

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether the box runs eastward over 180 degrees."""
        return self.west > self.east

    @property
    def width_deg(self) -> float:
        """Width [degrees of longitude], in [0, 360]: a box of a few ulps may round to either."""
        return self.east - self.west + (360.0 if self.crosses_antimeridian else 0.0)

    @property
    def area_km2(self) -> float:
        """Area on the sphere [km2]."""
        band = math.sin(math.radians(self.north)) - math.sin(math.radians(self.south))
        return EARTH_RADIUS_KM**2 * math.radians(self.width_deg) * band

    def contains(self, longitude: Floats, latitude: Floats) -> Mask:
        """Tell which points lie inside.

        Parameters
        ----------
        longitude, latitude : array of shape (n,)
            Positions [degrees east, degrees north]; any longitude is wrapped, NaN lies nowhere.

        Returns
        -------
        array of bool, shape (n,)
        """
        # No subtraction here: rounding would let a point at a shared edge lie in both or neither.
        wrapped = wrap_longitudes(longitude)
        past_west, before_east = wrapped >= self.west, wrapped < self.east
        across = (past_west | before_east) if self.west > self.east else (past_west & before_east)
        below = (latitude <= 90.0) if self.north == 90.0 else (latitude < self.north)
        return across & (latitude >= self.south) & below

    def rectangles(self) -> tuple[tuple[float, float, float, float], ...]:
        """Return one or two plain rectangles (west, south, east, north) with west < east."""
        if not self.crosses_antimeridian:
            return ((self.west, self.south, self.east, self.north),)
        halves = ((self.west, 180.0), (-180.0, self.east))
        return tuple((w, self.south, e, self.north) for w, e in halves if w < e)

    def overlap(self, other: Box) -> tuple[Box, ...]:
        """Return what both boxes hold, as up to three boxes that do not overlap each other."""
        south, north = max(self.south, other.south), min(self.north, other.north)
        if south >= north:
            return ()
        return tuple(
            Box(west=max(a[0], b[0]), east=min(a[2], b[2]), south=south, north=north)
            for a in self.rectangles()
            for b in other.rectangles()
            if max(a[0], b[0]) < min(a[2], b[2])
        )

    def cut_meridians(self, meridians: Iterable[float]) -> tuple[Box, ...]:
        """Cut along meridians in [-180, 180) degrees east, going east and strictly inside."""
        edges = [self.west, *meridians, self.east]
        return tuple(
            # The same meridian is called 180 where a piece ends and -180 where the next begins.
            replace(self, west=west, east=180.0 if east == -180.0 else east)
            for west, east in pairwise(edges)
        )

    def cut_longitude(self, offsets_deg: Iterable[float]) -> tuple[Box, ...]:
        """Cut along meridians given as offsets [degrees] eastward of the west edge, increasing.

        What a plug-in needs that cuts by width; the built-in ones know the meridians themselves.
        """
        return self.cut_meridians(wrap_longitude(self.west + offset) for offset in offsets_deg)

    def cut_latitude(self, parallels: Iterable[float]) -> tuple[Box, ...]:
        """Cut along parallels [degrees north], increasing and strictly inside."""
        edges = [self.south, *parallels, self.north]
        return tuple(replace(self, south=s, north=n) for s, n in pairwise(edges))


GLOBE = Box(west=-180.0, south=-90.0, east=180.0, north=90.0)
"""The whole Earth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A half-open interval of observation time; an open end is None.

    Parameters
    ----------
    start_at, end_at : float or None
        POSIX seconds, start < end.

    Raises
    ------
    InvalidExtent
        An end is not a finite number, or the period is empty.
    """

    start_at: float | None = None
    end_at: float | None = None

    def __post_init__(self) -> None:
        """Refuse intervals that hold nothing or end at no instant."""
        if self.start_at is None and self.end_at is None:
            return
        ends = [end for end in (self.start_at, self.end_at) if end is not None]
        if not all(map(math.isfinite, ends)):
            raise InvalidExtent("a period has an end that is no instant", fix="Leave open ends out")
        if len(ends) == 2 and ends[0] >= ends[1]:
            raise InvalidExtent(
                "the period ends before it starts", fix="Give start/end in that order"
            )

    @property
    def span_s(self) -> float:
        """Length [s]; infinite where an end is open."""
        if self.start_at is None or self.end_at is None:
            return math.inf
        return self.end_at - self.start_at

    def contains(self, instants: Floats) -> Mask:
        """Tell which instants [POSIX s], shape (n,), lie inside; NaN lies nowhere."""
        start = -math.inf if self.start_at is None else self.start_at
        end = math.inf if self.end_at is None else self.end_at
        return (instants >= start) & (instants < end)

    def clipped(self, to: Period) -> Period | None:
        """Return the overlap with another period, or None where there is none."""
        starts = [p for p in (self.start_at, to.start_at) if p is not None]
        ends = [p for p in (self.end_at, to.end_at) if p is not None]
        start, end = max(starts, default=None), min(ends, default=None)
        if start is not None and end is not None and start >= end:
            return None
        return Period(start_at=start, end_at=end)

    def cut(self, instants: Sequence[float]) -> tuple[Period, ...]:
        """Cut at the given instants [POSIX s], increasing and strictly inside."""
        edges = [self.start_at, *instants, self.end_at]
        return tuple(Period(start_at=a, end_at=b) for a, b in pairwise(edges))


ALWAYS = Period()
"""All of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A box times a period times a list of parameters.

    Parameters
    ----------
    box : Box
    period : Period
    parameters : tuple of str
        Names of the dataset's parameters ("TEMP"), sorted, none twice; empty means all.
    """

    box: Box = GLOBE
    period: Period = ALWAYS
    parameters: tuple[str, ...] = ()

    def contains(self, time_s: Floats, longitude: Floats, latitude: Floats) -> Mask:
        """Tell which points of time and place, each of shape (n,), lie inside."""
        return self.period.contains(time_s) & self.box.contains(longitude, latitude)

    def cut_time(self, instants: Sequence[float]) -> tuple[Extent, ...]:
        """Cut the period at the given instants [POSIX s]."""
        return tuple(replace(self, period=period) for period in self.period.cut(instants))

    def with_box(self, box: Box) -> Extent:
        """Return the same view of another box."""
        return replace(self, box=box)
