"""What earlier parts cost by place and time: the load map of a dataset that has no index.

Where the data cannot be analysed in advance, the chapter (section 5) would learn from historical
observations and from samples. Each part that ran says what its box and period cost, and
`History.density` spreads that over the next request. What is sampled (`partitioners.sampling`) is
learned the same way.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from planner.density import Density
from planner.extent import Extent, Floats, Period, wrap_longitudes

OBSERVATIONS_MAX = 4096
"""Parts remembered: as many as one task may have by default, so that none of it is forgotten."""

HALF_LIFE = 256
"""A part weighs half as much when so many others came after it: datasets change."""

MASSES = 8192
"""Masses of a map: two for each part of a task of 4096, and drawn in a tenth of a second."""

GUESSED_UNIT_S = 1e-3
"""What a mass of 1 stands for in a map drawn from history [reference s], see `Density.is_guess`."""

VOLUME_MIN = 1e-6
"""A square metre for a second [km2 s]: nothing is observed more finely, and rates stay finite."""

PLASTIC = 1.324717957244746
"""Multiples of its inverse and of that squared fill a square evenly (the root of x^3 = x + 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What an extent cost to read [reference s], or is held to cost by a sample."""

    extent: Extent
    cost_s: float


class History:
    """What parts of one kind cost, the newest `observations_max` of them.

    Parameters
    ----------
    observations_max : int
        When it is full, the oldest gives way.
    """

    def __init__(self, observations_max: int = OBSERVATIONS_MAX) -> None:
        assert observations_max >= 1
        self._observations: deque[Observation] = deque(maxlen=observations_max)

    def copy(self) -> History:
        """Return a history of its own that remembers the same."""
        other = History(self._observations.maxlen or OBSERVATIONS_MAX)
        other._observations.extend(self._observations)
        return other

    def __len__(self) -> int:
        """Return the number of parts remembered."""
        return len(self._observations)

    def learn(self, extent: Extent, cost_s: float) -> None:
        """Take in that reading an extent took so long [reference s]."""
        assert math.isfinite(cost_s), cost_s
        assert cost_s >= 0, cost_s
        self._observations.append(Observation(extent=extent, cost_s=cost_s))

    def density(self, extent: Extent, masses: int = MASSES) -> Density | None:
        """Return where the load of an extent is expected, or None while nothing can be said.

        Masses lie evenly over the extent's area and period; each weighs the cost expected around
        it [reference ms], see `Density.is_guess`. The parts that held its place count in inverse
        proportion to their size, and newer ones more. A place that no part held is expected to
        cost what all parts cost on average. An open end is closed where the parts known end.

        Parameters
        ----------
        extent : Extent
            Its parameters are not looked at: they change how much a part costs, hardly where.
        masses : int
            Of the map [count].
        """
        known = self._known_period()
        window = _closed(extent, known)
        if window is None:
            return None
        places = _spread(window, masses)
        rates = self._rates(places, known)
        if rates is None:
            return None
        return replace(places, files=rates * volume(window) / masses / GUESSED_UNIT_S)

    def _known_period(self) -> Period:
        """Return the span between the first and the last instant that a part began or ended at."""
        periods = [seen.extent.period for seen in self._observations]
        edges = [at for each in periods for at in (each.start_at, each.end_at) if at is not None]
        if not edges or min(edges) == max(edges):
            return Period()
        return Period(start_at=min(edges), end_at=max(edges))

    def _rates(self, places: Density, known: Period) -> Floats | None:
        """Return the cost expected at each place [reference s per km2 and s]."""
        sums, weights = np.zeros(len(places)), np.zeros(len(places))
        cost_s = seen_volume = 0.0
        for age, seen in enumerate(reversed(self._observations)):
            held = _closed(seen.extent, known)
            if held is None:
                continue
            fresh = 0.5 ** (age / HALF_LIFE)
            size = volume(held)
            at = _times_in(places, held)
            inside = held.box.contains(places.longitude[at], places.latitude[at])
            weights[at] += inside * (fresh / size)
            sums[at] += inside * (fresh / size * seen.cost_s / size)
            cost_s += fresh * seen.cost_s
            seen_volume += fresh * size
        if not seen_volume:
            return None
        rates = np.full(len(places), cost_s / seen_volume)
        np.divide(sums, weights, out=rates, where=weights > 0)
        return rates


def _closed(extent: Extent, known: Period) -> Extent | None:
    start, end = extent.period.start_at, extent.period.end_at
    start = known.start_at if start is None else start
    end = known.end_at if end is None else end
    if start is None or end is None or start >= end:
        return None
    return replace(extent, period=Period(start_at=start, end_at=end))


def volume(extent: Extent) -> float:
    """Return the size of a closed extent [km2 s], at least `VOLUME_MIN`."""
    return max(extent.box.area_km2 * extent.period.span_s, VOLUME_MIN)


def _times_in(places: Density, extent: Extent) -> slice:
    start, end = extent.period.start_at, extent.period.end_at
    assert start is not None
    assert end is not None
    first, last = np.searchsorted(places.time_s, (start, end))
    return slice(int(first), int(last))


def _spread(extent: Extent, masses: int) -> Density:
    """Return weightless masses, even over the area and the period of a closed extent.

    No two share a coordinate, so an extent can be cut anywhere along any axis.
    """
    box, number = extent.box, np.arange(masses, dtype=np.float64)
    assert extent.period.start_at is not None
    eastward, northward = (np.mod(0.5 + number / PLASTIC**power, 1.0) for power in (1, 2))
    low, high = (math.sin(math.radians(edge)) for edge in (box.south, box.north))
    latitude = np.degrees(np.arcsin(low + northward * (high - low)))
    nothing = np.zeros(masses)
    everywhere = Density(
        time_s=extent.period.start_at + (number + 0.5) / masses * extent.period.span_s,
        longitude=wrap_longitudes(box.west + eastward * box.width_deg),
        latitude=latitude.clip(box.south, np.nextafter(box.north, box.south)),
        files=nothing,
        size_bytes=nothing,
        is_guess=True,
        values=nothing,
    )
    # In a box of a few ulps some are rounded out of it.
    return everywhere.within(extent)
