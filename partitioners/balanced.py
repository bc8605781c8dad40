"""Equal predicted cost a piece, by cuts along the one axis that allows it best: the default.

The cost is cumulated over the masses along time, latitude and longitude, and cut at equal shares
of the total.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioners.linear import Linear
from partitioners.shares import (
    PREFERENCE,
    along,
    cut_along,
    digits_that_count,
    equal_shares,
    weighed,
)
from planner.density import Axis, Density
from planner.extent import Extent, Floats
from planner.model import UnitCosts


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
        load = weighed(extent, density, costs)
        if load is None:
            return Linear().cut(extent, density, costs, n)
        inside, weights = load
        cuts = [_axis_cut(axis, inside, weights, extent, n) for axis in PREFERENCE]
        digits = digits_that_count(inside)
        best = min(cuts, key=lambda cut: round(cut.imbalance, digits))
        return cut_along(best.axis, extent, best.places.tolist())


def _axis_cut(axis: Axis, masses: Density, weights: Floats, extent: Extent, n: int) -> AxisCut:
    of_masses, order = along(axis, masses, extent)
    coordinates = of_masses[order]
    is_first = np.append(True, coordinates[1:] != coordinates[:-1])
    places, loads = coordinates[is_first], np.add.reduceat(weights[order], np.flatnonzero(is_first))
    cuts = equal_shares(loads, n)
    heaviest = np.add.reduceat(loads, np.append(0, cuts)).max()
    return AxisCut(axis=axis, places=places[cuts], imbalance=float(heaviest * n / loads.sum()))
