"""The logarithmic cut with its base fitted to the task: its own window, up to its own end date.

The chapter (section 5) asks for a partitioning "calibrated based on the actual end date": how much
shorter the late spans must be depends on how the load grows up to the end of this very request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partitioners.linear import Linear, cut_at_fractions
from partitioners.shares import weighed
from planner.density import Density
from planner.extent import Extent, Floats
from planner.model import UnitCosts

BASE_MAX = 1e6
"""Beyond it the first of 2 spans is longer than all the others by a thousand: nothing real is."""

_COARSE, _FINE = 61, 41
"""Bases tried over the whole range, and then between the neighbours of the best of them."""

GAIN_MIN = 1e-9
"""A base must be better than equal spans by more than rounding to be preferred to them."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Cuts a closed period into spans that shrink, or grow, by the factor that balances best.

    Notes
    -----
    The cuts are those of `logarithmic` for any base B > 0: above 1 spans shrink towards the end, at
    1 they are equal (`linear`), below 1 they grow. The base is the one whose heaviest piece costs
    the least on the load map, so the cut is never worse than `linear` there.

    Without a load map nothing says whether the dataset grows, and spans stay equal. A slant without
    evidence is a gamble: on today's windows of Argo, where the load is flat, B = 10 has a max/mean
    of 1.9 against 1.1 of equal spans.
    """

    name = "calibrated"
    version = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent (see `partitioners.protocol.Partitioner`)."""
        load = weighed(extent, density, costs)
        start, end = extent.period.start_at, extent.period.end_at
        if load is None or start is None or end is None or n == 1:
            return Linear().cut(extent, density, costs, n)
        masses, weights = load
        row = _Row(
            place=(masses.time_s - start) / (end - start),
            before=np.append(0.0, np.cumsum(weights)),
        )
        slant = _best_slant(row, n)
        if slant == 0.0:
            return Linear().cut(extent, density, costs, n)
        return cut_at_fractions(extent, fractions(np.array([slant]), n)[0].tolist())


def fractions(slants: Floats, n: int) -> Floats:
    """Return where bases cut a period, as fractions of its length.

    Parameters
    ----------
    slants : array of shape (k,)
        Natural logarithms of the bases; 0 makes equal spans.
    n : int
        Spans wanted.

    Returns
    -------
    array of shape (k, n - 1)
        Increasing along the second axis.
    """
    step = np.arange(1, n) / n
    steep = np.abs(slants)[:, None]
    with np.errstate(invalid="ignore"):
        # The formula of `logarithmic` in the form that does not overflow, for B > 1 ...
        distance = np.expm1(steep * (1 - step)) / np.expm1(steep)
    shrinking = np.where(steep > 0, 1 - distance, step)
    # ... and for 1/B the same seen from the other end.
    return np.where(slants[:, None] < 0, 1 - shrinking[:, ::-1], shrinking)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The load along a period: where each mass lies in it, in order, and what costs before it."""

    place: Floats
    before: Floats

    def heaviest(self, slants: Floats, n: int) -> Floats:
        """Return the cost of the heaviest of n spans for each slant, shape (k,)."""
        cuts: NDArray[np.intp] = np.searchsorted(self.place, fractions(slants, n))
        edges = np.pad(self.before[cuts], ((0, 0), (1, 1)), constant_values=(0, self.before[-1]))
        heaviest: Floats = np.diff(edges, axis=1).max(axis=1)
        return heaviest


def _best_slant(row: _Row, n: int) -> float:
    """Return the logarithm of the best base: a coarse search, then a fine one about its best."""
    limit = np.log(BASE_MAX)
    slants = np.linspace(-limit, limit, _COARSE)
    best = slants[np.argmin(row.heaviest(slants, n))]
    width = slants[1] - slants[0]
    closer = np.linspace(best - width, best + width, _FINE)
    loads = row.heaviest(closer, n)
    even = row.heaviest(np.zeros(1), n)[0]
    return float(closer[np.argmin(loads)]) if loads.min() < even * (1 - GAIN_MIN) else 0.0
