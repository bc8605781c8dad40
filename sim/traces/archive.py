"""Arrivals as a real archive had them, and invented subscribers: a load from an index.

Theory. An index tells of each profile when it was measured and, where it has that column, when its
file was last updated. From these, three kinds of arrival are made:

- A *first* arrival: the profile was measured within the time asked for. Where its last update came
  within `FRESH_S_MAX`, that is its true instant; where it was updated later, the first instant is
  lost and a delay of `DELAY_S` is drawn.
- *Reprocessing* that the index tells: a last update within the time asked for that came later than
  `FRESH_S_MAX`. On the real index such updates come by float, 20 to 250 profiles at once.
- *Invented reprocessing*, only where the index tells no updates at all: an active float is visited
  once in `VISIT_YEARS`, and what it measured from `VISIT_YEARS` + 1 to one year before is
  reprocessed at once, so that in the long run every profile is once.

A look at the index every `look_s` makes one update of all that arrived since the last look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    SubscriptionAdded,
    UpdateArrived,
)
from planner.extent import Box, Extent, Floats, Period, wrap_longitude
from planner.model import Observations, Subscription, UnitCosts, View
from sim.chance import Chance
from sim.traces.regions import (
    PIECE_SIDE_MIN,
    RECENT_SHARE,
    REGIONS,
    WHOLE_SHARE,
    WISHES,
)

Integers = NDArray[np.int64]

DAY_S, YEAR_S = 86400.0, 365.25 * 86400.0

FRESH_S_MAX = 10 * DAY_S
"""A last update so soon after the measurement is its first arrival: a float's cycle later [s]."""

DELAY_S = (1.0 * 3600.0, 24.0 * 3600.0)
"""From the surface to the archive: Argo aims at a day, and most make it [s]."""

VISIT_YEARS = 2.0
"""Delayed-mode operators come back to a float about so often."""

BURST = (20, 250)
"""Profiles reprocessed at once, as on the real index: fewer are not worth a visit, and of more the
newest count."""

LOOK_S = 6 * 3600.0
"""Between two looks at the index: the archive renews it several times a day."""

DEADLINE_S = (3600.0, 6 * 3600.0)
"""From an hour, which a forecast system waits for, to the next look [s]."""

FILE_S = 0.02
"""Of a filter that reads 50 profiles a CPU second, as the community's own library does [s]."""

BASE_S = 0.02
"""Of a part, whatever it reads [s]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Archive:
    """Profiles of an archive, as columns of one length.

    Parameters
    ----------
    time_s : array of float
        When each was measured [POSIX s].
    longitude, latitude : array of float
        Where [degrees east, degrees north].
    updated_s : array of float
        When its file was last updated [POSIX s]; NaN where the index does not tell.
    float_key : array of int
        One number for each float.
    parameter_set : array of int
        Position in `parameter_sets` of what it holds.
    parameter_sets : tuple of tuple of str
    dataset, application : str
        What subscriptions call the archive, and who reads it.
    """

    time_s: Floats
    longitude: Floats
    latitude: Floats
    updated_s: Floats
    float_key: Integers
    parameter_set: Integers
    parameter_sets: tuple[tuple[str, ...], ...]
    dataset: str
    application: str

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which load to make of an archive.

    Parameters
    ----------
    period : Period
        Closed: what arrives within it.
    subscriptions : int
    seed : int
    look_s : float
        Between two looks at the index [s].
    deadline_s : pair of float
        Shortest and longest deadline; drawn evenly between, to the minute [s].
    reprocessed : bool
        Whether delayed-mode reprocessing arrives beside the new profiles.
    file_s : float
        Of reading one profile [reference s].
    """

    period: Period
    subscriptions: int
    seed: int
    look_s: float = LOOK_S
    deadline_s: tuple[float, float] = DEADLINE_S
    reprocessed: bool = True
    file_s: float = FILE_S

    @property
    def span(self) -> tuple[float, float]:
        """First instant, and the first beyond [POSIX s]."""
        start, end = self.period.start_at, self.period.end_at
        assert start is not None
        assert end is not None
        return start, end


def generate(archive: Archive, wanted: Wanted) -> Iterator[AnyEvent]:
    """Return the outside events of a load, in order of time.

    The archive's first state is told to be empty, and nobody asks for a first delivery: all that a
    task reads is then told by the updates, and the trace needs no archive.
    """
    start, _ = wanted.span
    costs = UnitCosts(base_s=BASE_S, file_s=wanted.file_s, megabyte_s=0.0, value_s=0.0)
    yield ApplicationCalibrated(
        at=start, dataset=archive.dataset, application=archive.application, costs=costs
    )
    yield UpdateArrived(at=start, dataset=archive.dataset, number=0, observations=None)
    for subscription in subscriptions(archive, wanted):
        yield SubscriptionAdded(at=start, subscription=subscription)
    for number, (at, rows) in enumerate(looks(*arrivals(archive, wanted), wanted), start=1):
        seen = _observations(archive, rows)
        yield UpdateArrived(at=at, dataset=archive.dataset, number=number, observations=seen)


def arrivals(archive: Archive, wanted: Wanted) -> tuple[Floats, Integers]:
    """Return when profiles arrive [POSIX s] in order of time, and which rows they are."""
    start, end = wanted.span
    delay_s = np.random.default_rng((wanted.seed, 1)).uniform(*DELAY_S, len(archive))
    told = np.isfinite(archive.updated_s)
    late = told & (archive.updated_s - archive.time_s > FRESH_S_MAX)
    first_at = np.where(told & ~late, archive.updated_s, archive.time_s + delay_s)
    pieces = [_within(first_at, np.arange(len(archive)), start, end)]
    if wanted.reprocessed:
        rows = np.flatnonzero(late)
        pieces.append(_within(archive.updated_s[rows], rows, start, end))
    if wanted.reprocessed and not told.any():
        pieces.append(_invented(archive, wanted))
    at = np.concatenate([instants for instants, _ in pieces])
    rows = np.concatenate([rows for _, rows in pieces])
    order = np.lexsort((rows, at))
    return at[order], rows[order]


def looks(at: Floats, rows: Integers, wanted: Wanted) -> Iterator[tuple[float, Integers]]:
    """Return the instants of looks that find something, and what each finds."""
    start, end = wanted.span
    look = np.ceil((at - start) / wanted.look_s)
    edges = np.flatnonzero(np.diff(look, prepend=-1.0, append=np.inf))
    for first, beyond in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield min(start + float(look[first]) * wanted.look_s, end), np.unique(rows[first:beyond])


def _within(at: Floats, rows: Integers, start: float, end: float) -> tuple[Floats, Integers]:
    inside = (at >= start) & (at < end)
    return at[inside], rows[inside]


def _invented(archive: Archive, wanted: Wanted) -> tuple[Floats, Integers]:
    """Return bursts of reprocessing, one for each float that is visited."""
    start, end = wanted.span
    order = np.lexsort((archive.time_s, archive.float_key))
    keys = archive.float_key[order]
    edges = np.append(np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1)), len(keys))
    luck = np.random.default_rng((wanted.seed, 2))
    # One visit in so many years: it falls into the time asked for, or it does not.
    visits = start + luck.uniform(0.0, max(VISIT_YEARS * YEAR_S, end - start), len(edges) - 1)
    at, rows = [np.empty(0)], [np.empty(0, np.int64)]
    for number in np.flatnonzero(visits < end).tolist():
        of_float, visit = order[edges[number] : edges[number + 1]], visits[number]
        horizon = (visit - (VISIT_YEARS + 1.0) * YEAR_S, visit - YEAR_S)
        first, beyond = np.searchsorted(archive.time_s[of_float], horizon)
        burst = of_float[first:beyond][-BURST[1] :]
        if len(burst) >= BURST[0]:
            rows.append(burst)
            at.append(np.full(len(burst), visit))
    return np.concatenate(at), np.concatenate(rows)


def _observations(archive: Archive, rows: Integers) -> Observations:
    """Return what an update tells, positions to 11 m and instants to the second."""
    rows = rows[np.argsort(archive.time_s[rows], kind="stable")]
    used, parameter_set = np.unique(archive.parameter_set[rows], return_inverse=True)
    return Observations(
        time_s=tuple(np.round(archive.time_s[rows]).tolist()),
        longitude=tuple(np.round(archive.longitude[rows], 4).tolist()),
        latitude=tuple(np.round(archive.latitude[rows], 4).tolist()),
        parameter_set=tuple(parameter_set.tolist()),
        parameter_sets=tuple(archive.parameter_sets[code] for code in used.tolist()),
    )


def subscriptions(archive: Archive, wanted: Wanted) -> Iterator[Subscription]:
    """Draw the subscribers: region, parameters, period and deadline of each."""
    chance = Chance(seed=wanted.seed)
    held = {name for names in archive.parameter_sets for name in names}
    wishes = [names for names, often in WISHES if held.issuperset(names) for _ in range(often)]
    start, _ = wanted.span
    digits = len(str(wanted.subscriptions))
    for number in range(1, wanted.subscriptions + 1):
        name, box = REGIONS[chance.whole(0, len(REGIONS) - 1, "region", number)]
        recent = chance.happens(RECENT_SHARE, "recent", number)
        extent = Extent(
            box=_piece(box, chance, number),
            period=Period(start_at=start) if recent else Period(),
            parameters=wishes[chance.whole(0, len(wishes) - 1, "wish", number)],
        )
        minutes = round(chance.between(*wanted.deadline_s, "deadline", number) / 60.0)
        yield Subscription(
            id=f"{name}-{number:0{digits}d}",
            views=(View(dataset=archive.dataset, application=archive.application, extent=extent),),
            destination="",
            deadline_s=60.0 * max(1, minutes),
        )


def _piece(box: Box, chance: Chance, number: int) -> Box:
    """Return a whole region, or a piece of it on whole degrees."""
    if chance.happens(WHOLE_SHARE, "whole", number):
        return box
    width, height = box.width_deg, box.north - box.south
    across = max(1.0, round(width * chance.between(PIECE_SIDE_MIN, 1.0, "width", number)))
    up = max(1.0, round(height * chance.between(PIECE_SIDE_MIN, 1.0, "height", number)))
    east_by = round((width - across) * chance.uniform("west", number))
    south = box.south + round((height - up) * chance.uniform("south", number))
    east = wrap_longitude(box.west + east_by + across)
    return Box(
        west=wrap_longitude(box.west + east_by),
        south=south,
        east=180.0 if east == -180.0 else east,
        north=min(south + up, 90.0),
    )
