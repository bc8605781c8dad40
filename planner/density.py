"""Where a dataset's load lies: point masses over time and place.

An application builds one `Density` for an extent from its index; partitioners cut by it and the
cutter prices parts with it. It is a value: it does no I/O and is cheap to slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from planner.extent import Extent, Floats, wrap_longitudes
from planner.model import Features, UnitCosts

Positions = NDArray[np.intp]


class Axis(Enum):
    """A coordinate along which extents are told apart."""

    TIME = "time"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """Point masses sorted by time.

    Parameters
    ----------
    time_s : array of shape (n,)
        Observation time [POSIX s], increasing.
    longitude, latitude : array of shape (n,)
        Position [degrees east in [-180, 180), degrees north].
    files : array of shape (n,)
        Files that this mass stands for [count]; where they are several, they may lie around it.
    size_bytes : array of shape (n,)
        Bytes of those files, 0 where the index does not say.
    is_guess : bool
        Whether no index stands behind the map: it was drawn from what earlier parts cost (see
        `partitioners.history`). Such a map knows of no files: its `files` are the cost expected
        around each mass [reference ms], and a place without mass may still cost something.
    values : array of shape (n,) or None
        Parameters to be read of those files, over all of them [count]; None where the index does
        not say what a file holds: it then counts as holding all that is wanted.
    """

    time_s: Floats
    longitude: Floats
    latitude: Floats
    files: Floats
    size_bytes: Floats
    is_guess: bool = False
    values: Floats | None = None

    def __post_init__(self) -> None:
        """Check the shape once, so that every use may rely on it."""
        columns = (self.longitude, self.latitude, self.files, self.size_bytes, self.values)
        assert all(c is None or c.shape == self.time_s.shape for c in columns)
        assert bool(np.all(np.diff(self.time_s) >= 0)), "masses must be sorted by time"

    def __len__(self) -> int:
        """Return the number of masses."""
        return len(self.time_s)

    @property
    def is_exact(self) -> bool:
        """Whether a place without mass is sure to hold no file.

        So it is where no mass stands for several files, unless the whole map is a guess.
        """
        return not self.is_guess and bool((self.files <= 1).all())

    def within(self, extent: Extent) -> Density:
        """Return the masses inside an extent."""
        return self._taken(extent.contains(self.time_s, self.longitude, self.latitude))

    def features(self, extent: Extent) -> Features:
        """Return what reading an extent would touch."""
        (inside,) = self.members([extent])
        return self.features_at(inside, extent)

    def features_at(self, positions: Positions, extent: Extent) -> Features:
        """Return what reading the masses at these positions would touch, as a view of an extent."""
        return Features(
            files=round(float(self.files[positions].sum())),
            size_bytes=round(float(self.size_bytes[positions].sum())),
            values=round(float(self._values(extent)[positions].sum())),
        )

    def cost_s(self, costs: UnitCosts, extent: Extent) -> Floats:
        """Return what each mass adds to the run time of a part of an extent [reference s]."""
        if self.is_guess:
            return self.files / 1e3
        by_count = costs.file_s * self.files + costs.value_s * self._values(extent)
        return by_count + costs.megabyte_s / 1e6 * self.size_bytes

    def members(self, extents: Sequence[Extent]) -> Iterator[Positions]:
        """Yield the positions of the masses inside each of many extents.

        Takes about one pass over the masses for all pieces of a cut along one axis together, not
        one for each piece.
        """
        axis = _telling_axis(extents)
        coordinates = self._along(axis)
        order = np.argsort(coordinates, kind="stable")
        sorted_coordinates = coordinates[order]
        for extent in extents:
            bounds = np.searchsorted(sorted_coordinates, _spans(extent, axis))
            near = np.concatenate([order[first:end] for first, end in bounds])
            yield near[
                extent.contains(self.time_s[near], self.longitude[near], self.latitude[near])
            ]

    def _values(self, extent: Extent) -> Floats:
        if self.values is not None:
            return self.values
        return self.files * max(1, len(extent.parameters))

    def _along(self, axis: Axis) -> Floats:
        match axis:
            case Axis.TIME:
                return self.time_s
            case Axis.LATITUDE:
                return self.latitude
            case Axis.LONGITUDE:
                return wrap_longitudes(self.longitude)

    def _taken(self, mask: NDArray[np.bool_]) -> Density:
        return replace(
            self,
            time_s=self.time_s[mask],
            longitude=self.longitude[mask],
            latitude=self.latitude[mask],
            files=self.files[mask],
            size_bytes=self.size_bytes[mask],
            values=None if self.values is None else self.values[mask],
        )


def _telling_axis(extents: Sequence[Extent]) -> Axis:
    """Return the axis on which the most extents begin at places of their own."""
    starts: dict[Axis, set[float | None]] = {
        Axis.TIME: {extent.period.start_at for extent in extents},
        Axis.LATITUDE: {extent.box.south for extent in extents},
        Axis.LONGITUDE: {extent.box.west for extent in extents},
    }
    return max(starts, key=lambda axis: len(starts[axis]))


def _spans(extent: Extent, axis: Axis) -> tuple[tuple[float, float], ...]:
    """Return the half-open spans [start, end) that hold an extent on an axis."""
    period, box = extent.period, extent.box
    match axis:
        case Axis.TIME:
            start = -math.inf if period.start_at is None else period.start_at
            return ((start, math.inf if period.end_at is None else period.end_at),)
        case Axis.LATITUDE:
            return ((box.south, math.inf if box.north == 90.0 else box.north),)
        case Axis.LONGITUDE:
            return tuple((west, east) for west, _, east, _ in box.rectangles())
