"""Recursive cuts over time, latitude and longitude, each at equal predicted cost a piece.

The chapter (section 5) expects more from cutting all input dimensions than from one, and calls the
search for such hyperplanes challenging. Here each is found by halving (as a k-d tree is built): n
pieces are wanted, so the load is cut in two in the proportion of floor(n/2) to ceil(n/2), along
whichever axis allows that best, and each side is cut on.

Among axes that balance alike the widest goes first, measured as a share of the whole extent's
spread. So pieces become compact, and that is what they are for: a mass that stands for many files
around it lies near few edges of compact pieces, a slab of a single axis is all edge.

A map that is a guess balances along every axis, even along those of which it knows nothing. There
time goes first, which tells most about the cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partitioners.linear import Linear
from partitioners.shares import PREFERENCE, along, cut_along, digits_that_count, weighed
from planner.density import Axis, Density
from planner.extent import Extent, Floats
from planner.model import UnitCosts

Order = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Bisecting:
    """Cuts a box and a period into blocks of equal predicted cost; without masses as `linear`."""

    name = "bisecting"
    version = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent (see `partitioners.protocol.Partitioner`)."""
        load = weighed(extent, density, costs)
        if load is None:
            return Linear().cut(extent, density, costs, n)
        masses, weights = load
        rows = {axis: along(axis, masses, extent) for axis in PREFERENCE}
        saw = _Saw(
            places={axis: place for axis, (place, _) in rows.items()},
            eastward=(rows[Axis.LONGITUDE][0] - extent.box.west) % 360.0,
            weights=weights,
            compact=not masses.is_guess,
            digits=digits_that_count(masses),
        )
        orders = {axis: order for axis, (_, order) in rows.items()}
        return tuple(saw.blocks(extent, orders, n, saw.spreads(orders)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """One way to cut a block in two.

    Parameters
    ----------
    axis : Axis
    position : int
        Of the first mass behind the cut, in the order of the axis.
    pieces : int
        How many of the pieces wanted lie before the cut.
    imbalance : float
        The dearer side's cost a piece over that of the whole block; 1 is perfect.
    """

    axis: Axis
    position: int
    pieces: int
    imbalance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saw:
    """What stays the same in all blocks: columns of shape (m,), one entry a mass.

    A block is its masses in the order of each axis; it hands those orders on to its halves, so that
    nothing is sorted twice. `compact` says whether the widest axis goes first, `digits` to how many
    decimals of max/mean axes differ.
    """

    places: Mapping[Axis, Floats]
    eastward: Floats
    weights: Floats
    compact: bool
    digits: int

    def blocks(
        self, extent: Extent, orders: Mapping[Axis, Order], n: int, whole: Mapping[Axis, float]
    ) -> Iterator[Extent]:
        """Yield at most n blocks that make up an extent; `whole` holds the spreads of the first."""
        half = self._best_half(orders, min(n, len(orders[Axis.TIME])), whole)
        if half is None:
            yield extent
            return
        order = orders[half.axis]
        sides = cut_along(half.axis, extent, [float(self.places[half.axis][order[half.position]])])
        is_behind = np.zeros(len(self.weights), np.bool_)
        is_behind[order[half.position :]] = True
        pieces = (half.pieces, n - half.pieces)
        for side, count, behind in zip(sides, pieces, (False, True), strict=True):
            held = {a: each[is_behind[each] == behind] for a, each in orders.items()}
            yield from self.blocks(side, held, count, whole)

    def spreads(self, orders: Mapping[Axis, Order]) -> dict[Axis, float]:
        """Return how far apart the outermost masses of a block lie on each axis."""
        columns = {**self.places, Axis.LONGITUDE: self.eastward}
        return {axis: float(np.ptp(columns[axis][order])) for axis, order in orders.items()}

    def _best_half(
        self, orders: Mapping[Axis, Order], n: int, whole: Mapping[Axis, float]
    ) -> _Half | None:
        """Return the best way to cut a block in two; None where it cannot or need not be."""
        if n < 2:
            return None
        halves = [half for axis in PREFERENCE for half in self._halves(axis, orders[axis], n)]
        spreads = self.spreads(orders) if self.compact else whole
        wide = {axis: spreads[axis] / (whole[axis] or 1.0) for axis in PREFERENCE}
        return min(
            halves,
            key=lambda half: (round(half.imbalance, self.digits), -round(wide[half.axis], 2)),
            default=None,
        )

    def _halves(self, axis: Axis, order: Order, n: int) -> Iterator[_Half]:
        places = self.places[axis][order]
        starts = np.flatnonzero(places[1:] != places[:-1]) + 1
        before = np.cumsum(self.weights[order])
        total = before[-1]
        if not len(starts) or not total:
            return
        costs = before[starts - 1]
        for wanted in dict.fromkeys((n // 2, n - n // 2)):
            after = int(np.searchsorted(costs, total * wanted / n).clip(0, len(starts) - 1))
            for cut in {max(after - 1, 0), after}:
                position, cost = int(starts[cut]), float(costs[cut])
                # A side with few masses cannot use more pieces than it has masses.
                pieces = min(max(wanted, n - (len(order) - position)), position)
                dearer = max(cost / pieces, (total - cost) / (n - pieces))
                yield _Half(
                    axis=axis,
                    position=position,
                    pieces=pieces,
                    imbalance=float(dearer * n / total),
                )
