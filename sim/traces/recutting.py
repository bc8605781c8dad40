"""Cuts a task that a journal tells of in another way, and keeps its true length.

The masses of a load map carry the truth: each its share of what the part that held it took. A new
part takes what its masses carry, so the whole task truly takes as long as it did, however it is
cut. What every part costs anew is not told apart from the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from planner.density import Density
from planner.extent import Floats, Period, wrap_longitudes
from planner.model import Features, PartSpec

MASSES_PER_PART_MAX = 64
"""That a part's files are spread over: new cuts fall within 2 % of where they should."""

SPAN_S = 365.25 * 86400.0
"""A period that is open on both ends is taken to be so long: only its halves matter."""

PLASTIC = 1.324717957244746
"""Multiples of its inverse and of that squared fill a square evenly (the root of x^3 = x + 1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """A load map of one selection, and how long each of its masses truly takes [reference s].

    NaN where the journal does not tell; None where it tells of none of them. Without an index, as
    `has_index` says, nobody knew where the load lay, and it is cut blindly again.
    """

    density: Density
    true_s: Floats | None
    has_index: bool = True

    @classmethod
    def unknown(cls, density: Density) -> Truth:
        """Return the truth about a load of which no part is told."""
        return cls(density=density, true_s=None)

    @property
    def map(self) -> Density | None:
        """The map to cut by."""
        return self.density if self.has_index else None

    def of_parts(self, parts: Sequence[PartSpec]) -> list[float | None]:
        """Return how long each of these parts truly takes [reference s], None where not told."""
        if self.true_s is None:
            return [None] * len(parts)
        members = self.density.members([part.extent for part in parts])
        sums = (float(self.true_s[inside].sum()) for inside in members)
        return [None if math.isnan(true_s) else true_s for true_s in sums]


def told_truth(
    density: Density | None, parts: Sequence[PartSpec], true_parts_s: Sequence[float], at: float
) -> Truth:
    """Return the truth that the parts of one recorded selection tell.

    Parameters
    ----------
    density : Density or None
        What the selection's updates brought; None where they did not say: the load is then spread
        evenly within each recorded part.
    parts : sequence of PartSpec
        At least one.
    true_parts_s : sequence of float
        NaN where not told.
    at : float
        When it was cut [POSIX s]: where an open period is taken to end.
    """
    if density is None:
        spread = [
            _spread(part, period) for part, period in zip(parts, _closed(parts, at), strict=True)
        ]
        return _together(spread, true_parts_s)
    true_s = np.zeros(len(density))
    members = density.members([part.extent for part in parts])
    for inside, part_s in zip(members, true_parts_s, strict=True):
        true_s[inside] = part_s / max(1, len(inside))
    return Truth(density=density, true_s=true_s)


def _closed(parts: Sequence[PartSpec], at: float) -> list[Period]:
    """Return the parts' periods, the open ends as far out as parts are long."""
    periods = [part.extent.period for part in parts]
    spans = [period.span_s for period in periods if period.span_s < math.inf]
    typical_s = median(spans) if spans else SPAN_S
    return [_closed_one(period, typical_s, at) for period in periods]


def _closed_one(period: Period, typical_s: float, at: float) -> Period:
    start, end = period.start_at, period.end_at
    if start is None:
        start = (at if end is None else end) - typical_s
    return Period(start_at=start, end_at=start + typical_s if end is None else end)


def _spread(part: PartSpec, period: Period) -> Density:
    """Return a part's features in masses that lie evenly over its box and period."""
    features, box = part.features, part.extent.box
    masses = min(max(features.files, 1), MASSES_PER_PART_MAX)
    number = np.arange(masses, dtype=np.float64)
    assert period.start_at is not None
    eastward, northward = (np.mod(0.5 + number / PLASTIC**power, 1.0) for power in (1, 2))
    latitude = box.south + northward * (box.north - box.south)
    files, size_bytes, values = _shares(features, masses)
    return Density(
        time_s=period.start_at + (number + 0.5) / masses * period.span_s,
        longitude=wrap_longitudes(box.west + eastward * box.width_deg),
        latitude=latitude.clip(box.south, np.nextafter(box.north, box.south)),
        files=files,
        size_bytes=size_bytes,
        values=values,
    )


def _shares(features: Features, masses: int) -> tuple[Floats, ...]:
    """Return whole shares of each feature, as even as can be."""
    edges = np.arange(masses + 1, dtype=np.int64)
    totals = (features.files, features.size_bytes, features.values)
    return tuple(np.diff(edges * total // masses).astype(np.float64) for total in totals)


def _together(spread: Sequence[Density], true_parts_s: Sequence[float]) -> Truth:
    shares = [
        np.full(len(density), part_s / len(density))
        for density, part_s in zip(spread, true_parts_s, strict=True)
    ]
    time_s = np.concatenate([density.time_s for density in spread])
    order = np.argsort(time_s, kind="stable")

    def column(of: Callable[[Density], Floats | None]) -> Floats:
        return np.concatenate([found for each in spread if (found := of(each)) is not None])[order]

    density = Density(
        time_s=time_s[order],
        longitude=column(lambda each: each.longitude),
        latitude=column(lambda each: each.latitude),
        files=column(lambda each: each.files),
        size_bytes=column(lambda each: each.size_bytes),
        values=column(lambda each: each.values),
    )
    return Truth(
        density=density,
        true_s=np.concatenate(shares)[order],
        has_index=bool(density.files.any()),
    )
