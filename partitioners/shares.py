"""Where to cut a load along one axis: masses in order, and the coordinates of equal shares.

A cut falls on the coordinate of a mass, and masses of equal coordinate stay together (a gridded
density, a mooring, a day's batch), so equal shares may be impossible on one axis and not on
another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.density import Axis, Density
from planner.extent import Extent, Floats, wrap_longitudes
from planner.model import UnitCosts

PREFERENCE = (Axis.TIME, Axis.LATITUDE, Axis.LONGITUDE)
"""Which axis wins among equals: time, along which archives and indexes are ordered."""


def weighed(
    extent: Extent, density: Density | None, costs: UnitCosts
) -> tuple[Density, Floats] | None:
    """Return the masses inside an extent and the cost of each, or None where there is no load.

    Where nothing is known to cost anything, the files count.
    """
    inside = None if density is None else density.within(extent)
    if inside is None or not inside.files.any():
        return None
    cost_s = inside.cost_s(costs, extent)
    return inside, cost_s if cost_s.any() else inside.files


def digits_that_count(masses: Density) -> int:
    """Return to how many decimals of max/mean one axis may be preferred to another.

    Predictions are not good to one per cent, and a guess not to ten: a finer difference is chance.
    """
    return 1 if masses.is_guess else 2


def along(axis: Axis, masses: Density, extent: Extent) -> tuple[Floats, NDArray[np.intp]]:
    """Return the masses' coordinates on an axis, and the order in which an extent meets them.

    Parameters
    ----------
    axis : Axis
    masses : Density
        All inside the extent.
    extent : Extent

    Returns
    -------
    coordinates : array of shape (m,)
        Of the masses as they stand, fit to cut at.
    order : array of int, shape (m,)
        Their positions as they follow each other: eastward from the west edge, not by number.
    """
    match axis:
        case Axis.TIME:
            return masses.time_s, np.arange(len(masses))
        case Axis.LATITUDE:
            # A box may end at the pole but not begin there: 90 N stays with its neighbours.
            latitude = np.minimum(masses.latitude, np.nextafter(90.0, 0.0))
            return latitude, np.argsort(latitude, kind="stable")
        case Axis.LONGITUDE:
            longitude = wrap_longitudes(masses.longitude)
            # Without arithmetic, which would blur coordinates.
            return longitude, np.lexsort((longitude, longitude < extent.box.west))


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


def cut_along(axis: Axis, extent: Extent, places: Sequence[float]) -> tuple[Extent, ...]:
    """Cut an extent at coordinates of an axis, in the order of `along` and strictly inside."""
    match axis:
        case Axis.TIME:
            return extent.cut_time(places)
        case Axis.LATITUDE:
            return tuple(extent.with_box(box) for box in extent.box.cut_latitude(places))
        case Axis.LONGITUDE:
            return tuple(extent.with_box(box) for box in extent.box.cut_meridians(places))
