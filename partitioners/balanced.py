"""Equal predicted cost a piece, by cuts along the one axis that allows it best: the default.

The cost is cumulated over the masses along time, latitude and longitude, and cut at equal shares
of the total. A cut falls on the coordinate of a mass, and masses of equal coordinate stay together
(a gridded density, a mooring, a day's batch), so equal shares may be impossible on one axis and not
on another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partitioners.linear import Linear
from planner.density import Axis, Density
from planner.extent import Extent, Floats, wrap_longitudes
from planner.model import UnitCosts

PREFERENCE = (Axis.TIME, Axis.LATITUDE, Axis.LONGITUDE)
"""Which axis wins among equals: time, along which archives and indexes are ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisCut:
    """Where to cut along one axis, and how well that balances.

    Parameters
    ----------
    axis : Axis
    places : array of shape (pieces - 1,)
        Coordinates to cut at, each that of a mass.
    imbalance : float
        Cost of the heaviest piece over a fair n-th of the total; 1 is perfect.
    """

    axis: Axis
    places: Floats
    imbalance: float


@dataclass(frozen=True, slots=True)
class Balanced:
    """Cuts at equal cumulative predicted cost along the best axis; without masses as `linear`."""

    name = "balanced"
    version = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent (see `partitioners.protocol.Partitioner`)."""
        inside = None if density is None else density.within(extent)
        if inside is None or not inside.files.any():
            return Linear().cut(extent, density, costs, n)
        cost_s = inside.cost_s(costs, extent)
        weights = cost_s if cost_s.any() else inside.files
        cuts = [_axis_cut(axis, inside, weights, extent, n) for axis in PREFERENCE]
        # Predictions are not good to one per cent, so a finer difference is no reason to prefer.
        return _applied(extent, min(cuts, key=lambda cut: round(cut.imbalance, 2)))


def _axis_cut(axis: Axis, masses: Density, weights: Floats, extent: Extent, n: int) -> AxisCut:
    coordinates, order = _ordered(axis, masses, extent)
    is_first = np.append(True, coordinates[1:] != coordinates[:-1])
    places, loads = coordinates[is_first], np.add.reduceat(weights[order], np.flatnonzero(is_first))
    cuts = equal_shares(loads, n)
    heaviest = np.add.reduceat(loads, np.append(0, cuts)).max()
    return AxisCut(axis=axis, places=places[cuts], imbalance=float(heaviest * n / loads.sum()))


def _ordered(axis: Axis, masses: Density, extent: Extent) -> tuple[Floats, NDArray[np.intp]]:
    """Return the masses' coordinates as they follow each other in the extent, and their order."""
    match axis:
        case Axis.TIME:
            return masses.time_s, np.arange(len(masses))
        case Axis.LATITUDE:
            # A box may end at the pole but not begin there: 90 N stays with its neighbours.
            latitude = np.minimum(masses.latitude, np.nextafter(90.0, 0.0))
            order = np.argsort(latitude, kind="stable")
            return latitude[order], order
        case Axis.LONGITUDE:
            longitude = wrap_longitudes(masses.longitude)
            # Eastward from the box's west edge, without arithmetic that would blur coordinates.
            order = np.lexsort((longitude, longitude < extent.box.west))
            return longitude[order], order


def equal_shares(loads: Floats, pieces: int) -> NDArray[np.intp]:
    """Return where to cut a row of loads into pieces as equal as can be.

    Parameters
    ----------
    loads : array of shape (m,)
        Not negative, not all 0.
    pieces : int
        At least 1.

    Returns
    -------
    array of int, shape (min(pieces, m) - 1,)
        Positions of the first load of each piece but the first, increasing in 1..m-1. Each is the
        nearest to its equal share, so a piece exceeds that by one load at most.
    """
    pieces = min(pieces, len(loads))
    if pieces == 1:
        return np.zeros(0, np.intp)
    before = np.append(0.0, np.cumsum(loads))
    shares = before[-1] * np.arange(1, pieces) / pieces
    after = np.searchsorted(before, shares).clip(1, len(loads))
    nearest = after - (shares - before[after - 1] <= before[after] - shares)
    # No piece may be empty: push coinciding cuts apart, then back from the end.
    steps = np.arange(pieces - 1)
    apart = np.maximum.accumulate(np.maximum(nearest, 1) - steps) + steps
    return np.minimum(apart, len(loads) - (pieces - 1) + steps)


def _applied(extent: Extent, cut: AxisCut) -> tuple[Extent, ...]:
    places = cut.places.tolist()
    match cut.axis:
        case Axis.TIME:
            return extent.cut_time(places)
        case Axis.LATITUDE:
            return tuple(extent.with_box(box) for box in extent.box.cut_latitude(places))
        case Axis.LONGITUDE:
            return tuple(extent.with_box(box) for box in extent.box.cut_meridians(places))
