"""Which small extents to measure first, where nothing is known of a dataset: stratified sampling.

An extent is divided into strata of equal size over time and place, and a small part of each is
measured. What it cost, scaled up to its stratum, is learned as if the stratum had been read
(`partitioners.history`). `slackwater calibrate --dataset` asks so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from partitioners.history import PLASTIC, volume
from planner.density import Axis
from planner.errors import InvalidExtent
from planner.extent import Box, Extent, Period, wrap_longitude

SHARE = 0.02
"""Of a stratum that is measured: what sampling costs of a full read, where the load is even."""

TURNS = (Axis.TIME, Axis.LATITUDE, Axis.TIME, Axis.LONGITUDE)
"""Strata are halved along these in turn; time most often, for it tells most about the cost."""

SIDES = (Axis.TIME, Axis.LATITUDE, Axis.LONGITUDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A small extent to measure, and the stratum that it speaks for."""

    extent: Extent
    stratum: Extent

    def stratum_cost_s(self, cost_s: float) -> float:
        """Return what the stratum costs [s] if it is all like the probe, which cost `cost_s`."""
        return cost_s * volume(self.stratum) / volume(self.extent)


def probes(
    extent: Extent, count: int, share: float = SHARE, *, mirrored: bool = False
) -> tuple[Probe, ...]:
    """Return small extents to measure, one in each of `count` strata of equal size.

    Parameters
    ----------
    extent : Extent
        Its period is closed.
    count : int
        At least 1; fewer come back where the extent cannot be cut further.
    share : float
        Of each stratum that is to be measured, in (0, 1].
    mirrored : bool
        Opposite each other about the middle of a stratum lie its two probes, one of them mirrored:
        what grows evenly across the stratum cancels out in their mean.
    """
    assert extent.period.span_s < math.inf, "strata need a closed period"
    assert 0 < share <= 1, share
    return tuple(
        Probe(extent=_sampled(stratum, number, share, mirrored=mirrored), stratum=stratum)
        for number, stratum in enumerate(_strata(extent, count, 0))
    )


def _strata(extent: Extent, count: int, turn: int) -> Iterator[Extent]:
    first = count // 2
    axis = TURNS[turn % len(TURNS)]
    early = _slab(extent, axis, 0.0, first / count) if first else None
    late = _slab(extent, axis, first / count, 1.0) if first else None
    if early is None or late is None:
        yield extent
        return
    yield from _strata(early, first, turn + 1)
    yield from _strata(late, count - first, turn + 1)


def _sampled(stratum: Extent, number: int, share: float, *, mirrored: bool) -> Extent:
    side = share ** (1 / len(SIDES))
    sample = stratum
    for power, axis in enumerate(SIDES, start=1):
        # Not at the middles: what recurs at the strata's own rhythm would be met always or never.
        place = (0.5 + number / PLASTIC**power) % 1.0
        low = (1 - place if mirrored else place) * (1 - side)
        sample = _slab(sample, axis, low, low + side) or sample
    return sample


def _slab(extent: Extent, axis: Axis, low: float, high: float) -> Extent | None:
    """Return what lies between two fractions of an extent's size; None where that is nothing."""
    try:
        match axis:
            case Axis.TIME:
                return replace(extent, period=_shorter(extent.period, low, high))
            case Axis.LATITUDE:
                return extent.with_box(_lower(extent.box, low, high))
            case Axis.LONGITUDE:
                return extent.with_box(_narrower(extent.box, low, high))
    except InvalidExtent:
        return None


def _shorter(period: Period, low: float, high: float) -> Period:
    start, end = period.start_at, period.end_at
    assert start is not None
    return Period(
        start_at=start + low * period.span_s,
        end_at=end if high >= 1 else start + high * period.span_s,
    )


def _lower(box: Box, low: float, high: float) -> Box:
    """Cut by area, not by degrees: near the poles a degree holds little sea."""
    bottom, top = (math.sin(math.radians(edge)) for edge in (box.south, box.north))
    south, north = (
        math.degrees(math.asin(bottom + share * (top - bottom))) for share in (low, high)
    )
    return replace(
        box,
        south=max(box.south, south) if low > 0 else box.south,
        north=min(box.north, north) if high < 1 else box.north,
    )


def _narrower(box: Box, low: float, high: float) -> Box:
    west = wrap_longitude(box.west + low * box.width_deg) if low > 0 else box.west
    east = wrap_longitude(box.west + high * box.width_deg) if high < 1 else box.east
    # The same meridian is called 180 where a box ends and -180 where the next begins.
    return replace(box, west=west, east=180.0 if east == -180.0 else east)
