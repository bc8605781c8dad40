"""Which subscriptions an update concerns: boxes found by spatial trees, the rest by masks.

The theory. Subscriptions are rows of numpy columns, one row a plain rectangle (a box over the
antimeridian gives two). A tree over the rectangles proposes pairs of a profile and a row; masks
then hold period, parameters and the open edges of the box to exactly what `Extent.contains` says.

A tree is static, and adding to a million rows must not stop the planner for the seconds that
rebuilding one tree of a million takes; nor can a pure planner rebuild it beside the loop. So the
rows lie in segments of bounded size, each with a tree of its own (the logarithmic method, cut off
at the top): new rows gather in a small delta that is scanned, a full delta becomes a segment, and
segments that are small, or became so by removals, are merged into one. Every step handles at most
`segment_rows_max` rows, about 15 ms, so the bound holds for each add and remove and not only on
average. The price is asking about rows / `segment_rows_max` trees instead of one, which measures no
slower: what costs is the hits, and small trees stay in the processor's cache. What matches does not
depend on the segments, so a restored index answers as the old one did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from planner.extent import Extent, Floats, Mask, wrap_longitudes
from planner.model import Observations

Integers = NDArray[np.int64]
Rows = NDArray[np.void]
Columns = dict[str, NDArray[Any]]

ROW = np.dtype(
    [
        ("key", np.int64),
        ("west", np.float64),
        ("south", np.float64),
        ("east", np.float64),
        ("north", np.float64),
        ("start_at", np.float64),
        ("end_at", np.float64),
        ("wish", np.int32),
    ]
)
"""A rectangle of a subscription; `wish` numbers its list of parameters. Open ends of time are
infinite, and so is a north edge at the pole, for the pole belongs to the box. The period of a
removed row ends at minus infinity: it holds nothing.
"""

Row = tuple[int, float, float, float, float, float, float, int]
"""The fields of a `ROW`."""

DELTA_ROWS_MAX = 1024
"""Rows that are scanned: as many as cost 1,000 profiles a few milliseconds."""
SEGMENT_ROWS_MAX = 32_768
"""Rows of one tree: as many as are merged, sorted and built in about 15 ms."""
SMALL_SEGMENTS_MAX = 32
"""Segments less than half full: bounds how many more trees are asked than rows need."""
PAIRS_MAX = 8_000_000
"""Pairs of profile and row looked at together: bounds the memory of a match at about 0.3 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What an update concerns.

    Parameters
    ----------
    keys : array of int, shape (m,)
        Subscriptions that at least one profile matches, increasing.
    profiles : array of int, shape (m,)
        Profiles that match each [count].
    """

    keys: Integers
    profiles: Integers


class SubscriptionIndex:
    """The live subscriptions of one dataset, each under an integer key.

    Parameters
    ----------
    delta_rows_max : int
        Rows that are scanned rather than found by a tree.
    segment_rows_max : int
        Rows of one tree; bounds the time of `add` and `remove`.
    """

    def __init__(
        self,
        *,
        delta_rows_max: int = DELTA_ROWS_MAX,
        segment_rows_max: int = SEGMENT_ROWS_MAX,
    ) -> None:
        assert 2 <= delta_rows_max <= segment_rows_max
        self._segment_rows_max = segment_rows_max
        self._wishes = _Wishes()
        self._delta_rows_max = delta_rows_max
        # What was added last, by key, and the same as columns once somebody asks: what comes and
        # goes between two updates never becomes a column.
        self._delta: dict[int, list[Row]] = {}
        self._delta_rows = 0
        self._scanned: Rows | None = None
        self._segments: list[_Segment] = []
        self._subscriptions = 0

    def __len__(self) -> int:
        """Return the number of subscriptions."""
        return self._subscriptions

    def __contains__(self, key: int) -> bool:
        """Tell whether a subscription has this key."""
        return key in self._delta or any(len(segment.find(key)) for segment in self._segments)

    @property
    def nbytes(self) -> int:
        """Return the size of the columns, without the trees [B]."""
        delta_bytes = self._delta_rows_max * ROW.itemsize
        return delta_bytes + sum(segment.nbytes for segment in self._segments)

    @property
    def trees(self) -> int:
        """Return the number of trees that a match asks."""
        return len(self._segments)

    def add(self, key: int, extent: Extent) -> None:
        """Let an extent be matched, under a key that no other has."""
        assert key not in self, f"key {key} is added twice"
        rows = list(self._entered([(key, extent)]))
        if self._delta_rows + len(rows) > self._delta_rows_max:
            self._flush()
        self._delta[key] = rows
        self._delta_rows += len(rows)
        self._scanned = None

    def add_many(self, subscriptions: Iterable[tuple[int, Extent]]) -> None:
        """Add many (key, extent), all of them new: faster than one by one, but not bounded."""
        rows = self._entered(subscriptions)
        while batch := list(islice(rows, self._segment_rows_max)):
            self._segments.append(_Segment(np.array(batch, ROW)))
            self._merge_small()

    def remove(self, key: int) -> None:
        """Let the extent under a key no longer be matched."""
        self._subscriptions -= 1
        if key in self._delta:
            self._delta_rows -= len(self._delta.pop(key))
            self._scanned = None
            return
        removed = sum(segment.remove(key) for segment in self._segments)
        assert removed > 0, f"key {key} is removed but was not added"
        self._segments = [segment for segment in self._segments if segment.live_rows]
        self._merge_small()

    def match(self, observations: Observations) -> Matches:
        """Return the subscriptions that these profiles concern.

        A profile matches where its time and place lie in the extent and it has at least one of the
        wanted parameters, if any are named. One without time or place matches nothing.
        """
        profiles = _Profiles.of(observations, self._wishes.heard(observations.parameter_sets))
        delta = self._scanned_rows
        sources: list[tuple[Rows | Columns, Propose]] = [(delta, lambda some: _scan(delta, some))]
        sources += [(segment.columns, segment.propose) for segment in self._segments]
        return _summed(
            [(rows["key"], _counts(rows, profiles, propose)) for rows, propose in sources]
        )

    @property
    def _scanned_rows(self) -> Rows:
        if self._scanned is None:
            self._scanned = np.array(list(chain.from_iterable(self._delta.values())), ROW)
        return self._scanned

    def _entered(self, subscriptions: Iterable[tuple[int, Extent]]) -> Iterator[Row]:
        """Yield the rows of new subscriptions, in the order of `ROW`."""
        for key, extent in subscriptions:
            self._subscriptions += 1
            period, wish = extent.period, self._wishes.number(extent.parameters)
            start = -math.inf if period.start_at is None else period.start_at
            end = math.inf if period.end_at is None else period.end_at
            for west, south, east, north in extent.box.rectangles():
                open_north = math.inf if north == 90.0 else north
                yield key, west, south, east, open_north, start, end, wish

    def _flush(self) -> None:
        self._segments.append(_Segment(self._scanned_rows))
        self._delta, self._delta_rows, self._scanned = {}, 0, None
        self._merge_small()

    def _merge_small(self) -> None:
        """Make one segment of the smallest, without removed rows, once they fill it or are many."""
        half = self._segment_rows_max / 2
        small = [segment for segment in self._segments if segment.live_rows < half]
        rows = sum(len(segment) for segment in small)
        if rows < self._segment_rows_max and len(small) <= SMALL_SEGMENTS_MAX:
            return
        small.sort(key=lambda segment: segment.live_rows)
        upto = np.cumsum([segment.live_rows for segment in small])
        merged = small[: int(np.searchsorted(upto, self._segment_rows_max, side="right"))]
        self._segments = [segment for segment in self._segments if segment not in merged]
        self._segments.append(_Segment(np.concatenate([segment.live() for segment in merged])))


class _Segment:
    """Rows sorted by key, and a tree over their rectangles; both never change but by removal.

    The rows are held as columns: what a tree proposes lies anywhere among them, and to gather a
    field out of whole rows takes five times as long.
    """

    def __init__(self, rows: Rows) -> None:
        order = np.argsort(rows["key"], kind="stable")
        self.columns: Columns = {name: rows[name][order] for name in ROW.fields or ()}
        self.live_rows = len(rows)
        keys = self.columns["key"]
        self._first_key, self._last_key = int(keys[0]), int(keys[-1])
        # The tree sees only envelopes, and a diagonal has that of its box at half the memory.
        west, south, east, north = (
            self.columns[edge] for edge in ("west", "south", "east", "north")
        )
        west_south = np.column_stack([west, south])
        east_north = np.column_stack([east, np.minimum(north, 90.0)])
        self._tree = shapely.STRtree(shapely.linestrings(np.stack([west_south, east_north], 1)))
        # A tree is built by the first question: not to be paid for by the first update.
        self._tree.query(shapely.points(0.0, 0.0))

    def __len__(self) -> int:
        return len(self.columns["key"])

    @property
    def nbytes(self) -> int:
        """Size of the columns, without the tree [B]."""
        return sum(column.nbytes for column in self.columns.values())

    def propose(self, profiles: _Profiles) -> tuple[Integers, Integers]:
        """Return the pairs (profile, row) whose closed rectangle holds the profile."""
        profile, row = self._tree.query(profiles.points)
        return profile, row

    def find(self, key: int) -> Integers:
        """Return the positions of a subscription's live rows."""
        if not self._first_key <= key <= self._last_key:
            return np.zeros(0, np.int64)
        keys = self.columns["key"]
        first, end = keys.searchsorted(key, "left"), keys.searchsorted(key, "right")
        return first + np.flatnonzero(self.columns["end_at"][first:end] > -math.inf)

    def remove(self, key: int) -> int:
        """Let a subscription's rows hold nothing any more; return how many there were."""
        positions = self.find(key)
        if len(positions) == 0:
            return 0
        self.columns["end_at"][positions] = -math.inf
        self.live_rows -= len(positions)
        return len(positions)

    def live(self) -> Rows:
        """Return the rows that were not removed."""
        is_live = self.columns["end_at"] > -math.inf
        rows = np.empty(self.live_rows, ROW)
        for name, column in self.columns.items():
            rows[name] = column[is_live]
        return rows


class _Wishes:
    """Numbers the lists of wanted parameters; number 0, the empty list, is content with anything.

    A list is a row of bits, one for each name that was ever wanted, 64 to a word. Lists are never
    forgotten: there are few, however many subscriptions share them.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {(): 0}
        self._bits: dict[str, int] = {}
        self._words = np.zeros((1, 1), np.uint64)

    def number(self, parameters: tuple[str, ...]) -> int:
        """Return the number of a list of parameters, a new one if it is new."""
        if parameters not in self._numbers:
            number = self._numbers[parameters] = len(self._numbers)
            bits = [self._bits.setdefault(name, len(self._bits)) for name in parameters]
            self._reserve(number + 1, len(self._bits) // 64 + 1)
            _set_bits(self._words[number], bits)
        return self._numbers[parameters]

    def heard(self, parameter_sets: tuple[tuple[str, ...], ...]) -> Mask:
        """Return which lists each set of parameters satisfies, shape (lists, sets)."""
        words = np.zeros((len(parameter_sets), self._words.shape[1]), np.uint64)
        for position, names in enumerate(parameter_sets):
            _set_bits(words[position], [self._bits[name] for name in names if name in self._bits])
        satisfied = np.zeros((len(self._numbers), len(parameter_sets)), np.bool_)
        for column, wanted in enumerate(self._words[: len(self._numbers)].T):
            satisfied |= (wanted[:, None] & words[None, :, column]) != 0
        satisfied[0] = True
        return satisfied

    def _reserve(self, lists: int, words: int) -> None:
        """Make room by doubling, so that entering many lists takes linear time."""
        rows, columns = self._words.shape
        if lists > rows or words > columns:
            grown = np.zeros((max(2 * rows, lists), max(words, columns)), np.uint64)
            grown[:rows, :columns] = self._words
            self._words = grown


def _set_bits(words: NDArray[np.uint64], bits: Iterable[int]) -> None:
    for bit in bits:
        words[bit // 64] |= np.uint64(1 << bit % 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profiles:
    """The profiles of an update that have a time and a place, as columns of shape (n,).

    `satisfied` has shape (lists of wanted parameters, sets of parameters); `parameter_set` is the
    profile's column of it.
    """

    time_s: Floats
    longitude: Floats
    latitude: Floats
    parameter_set: Integers
    points: NDArray[np.object_]
    satisfied: Mask

    @classmethod
    def of(cls, observations: Observations, satisfied: Mask) -> _Profiles:
        time_s = np.array(observations.time_s, np.float64)
        longitude = np.array(observations.longitude, np.float64)
        latitude = np.array(observations.latitude, np.float64)
        placed = Extent().contains(time_s, longitude, latitude)
        longitude, latitude = wrap_longitudes(longitude[placed]), latitude[placed]
        return cls(
            time_s=time_s[placed],
            longitude=longitude,
            latitude=latitude,
            parameter_set=np.array(observations.parameter_set, np.int64)[placed],
            points=shapely.points(longitude, latitude),
            satisfied=satisfied,
        )

    def __len__(self) -> int:
        return len(self.time_s)

    def slice(self, start: int, end: int) -> _Profiles:
        some = slice(start, end)
        return replace(
            self,
            time_s=self.time_s[some],
            longitude=self.longitude[some],
            latitude=self.latitude[some],
            parameter_set=self.parameter_set[some],
            points=self.points[some],
        )


Propose = Callable[[_Profiles], tuple[Integers, Integers]]


def _scan(rows: Rows, profiles: _Profiles) -> tuple[Integers, Integers]:
    """Return the pairs (profile, row) whose closed rectangle holds the profile, without a tree."""
    longitude, latitude = profiles.longitude[:, None], profiles.latitude[:, None]
    inside = (longitude >= rows["west"]) & (longitude <= rows["east"])
    inside &= (latitude >= rows["south"]) & (latitude <= rows["north"])
    profile, row = np.nonzero(inside)
    return profile, row


def _counts(rows: Rows | Columns, profiles: _Profiles, propose: Propose) -> Integers:
    """Return how many profiles match each row, shape (rows,)."""
    size = len(rows["key"])
    counts = np.zeros(size, np.int64)
    step = max(1, PAIRS_MAX // max(1, size))
    for start in range(0, len(profiles), step):
        some = profiles.slice(start, start + step)
        profile, row = propose(some)
        matching = row[_holds(rows, row, some, profile)]
        counts += np.bincount(matching, minlength=size)
    return counts


def _holds(rows: Rows | Columns, row: Integers, profiles: _Profiles, profile: Integers) -> Mask:
    """Tell which pairs match, given that the closed rectangle of each holds its profile."""
    time_s = profiles.time_s[profile]
    holds: Mask = profiles.longitude[profile] < rows["east"][row]
    holds &= profiles.latitude[profile] < rows["north"][row]
    holds &= (time_s >= rows["start_at"][row]) & (time_s < rows["end_at"][row])
    holds &= profiles.satisfied[rows["wish"][row], profiles.parameter_set[profile]]
    return holds


def _summed(found: list[tuple[Integers, Integers]]) -> Matches:
    """Return the counts of rows as counts of subscriptions, which may have two rows."""
    matching = [(keys[counts > 0], counts[counts > 0]) for keys, counts in found]
    matching = sorted((each for each in matching if len(each[0])), key=lambda each: int(each[0][0]))
    if not matching:
        return Matches(keys=np.zeros(0, np.int64), profiles=np.zeros(0, np.int64))
    row_keys, row_counts = (np.concatenate(column) for column in zip(*matching, strict=True))
    if np.all(row_keys[1:] > row_keys[:-1]):  # as a rule: who came together is in one segment
        return Matches(keys=row_keys, profiles=row_counts)
    keys, position = np.unique(row_keys, return_inverse=True)
    profiles = np.zeros(len(keys), np.int64)
    np.add.at(profiles, position, row_counts)
    return Matches(keys=keys, profiles=profiles)
