"""What an archive holds and held: its profile indexes in memory, one segment for each update.

Rows are never dropped nor moved: an update appends a segment of its own, and marks in older ones
which rows it supersedes. So a request for the updates (a, b] is answered as b saw them even after
later ones arrived, a row keeps its number, and only small segments are read for an increment.
A catalogue that is loaded anew begins with a base state, one that was kept with its `History`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from controller.apps.argo.archive import Archive
from controller.apps.argo.cells import ROWS_MIN, Cells, TickBox
from controller.apps.argo.changes import Changes
from controller.apps.argo.histories import NEVER, History, one_history
from controller.apps.argo.index import Index, RowFault, read_index, rows_by_kind
from controller.apps.argo.load_map import MASSES_MAX, load_map, sampled_map
from controller.apps.argo.orders import SourceFile, Superseded
from controller.apps.argo.rows import (
    NO_TIME,
    Int32s,
    Int64s,
    Kind,
    Mask,
    Places,
    Rows,
    no_rows,
    together,
)
from controller.errors import ArchiveError
from planner.density import Density
from planner.extent import Extent, Period
from planner.model import UpdateSpan

INDEX_NAMES = {
    Kind.CORE: ("ar_index_global_prof.txt", "ar_index_global_prof.txt.gz"),
    Kind.BIO: ("argo_bio-profile_index.txt", "argo_bio-profile_index.txt.gz"),
    Kind.SYNTHETIC: ("argo_synthetic-profile_index.txt", "argo_synthetic-profile_index.txt.gz"),
}
"""The names that the GDAC gives its profile indexes; of each kind the first there is counts."""

BASE_UPDATE = 0
"""The state that a catalogue begins with; updates count from 1."""

VERTICAL_AXIS = "PRES"
"""Every profile holds it, so to ask for it beside others narrows nothing."""

LOOKUP_COST = 2
"""A row that is looked up by its place costs as much as so many that are scanned in a row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Segment:
    """Rows of one kind that one update brought, or several before the catalogue was kept.

    `first` and `last` are those updates; `since` is that of each row, None where all came with one.
    `until` holds the update that superseded each row. It alone is written to later; a reader of an
    earlier state sees no difference, for neither value is below the update it asks for. The one
    value of `first_gone` is its least. `cells` finds the rows of a place, where there are many.
    """

    kind: Kind
    first: int
    last: int
    first_number: int
    rows: Rows
    since: Int32s | None
    until: Int32s
    first_gone: Int32s
    cells: Cells | None

    @property
    def history(self) -> History:
        """The rows with the updates between which each stood."""
        since = self.since
        if since is None:
            since = np.full(len(self.rows), self.first, np.int32)
        return History(rows=self.rows, since=since, until=self.until)


class Catalogue:
    """Rows of one or several indexes, found by time and place, as they stood at any update.

    Make it with `Catalogue.load` or `Catalogue.from_rows`. A row's number never changes.

    Attributes
    ----------
    faults : tuple of RowFault
        What is wrong with rows of the indexes, counted and with examples.
    """

    def __init__(self) -> None:
        self._segments: tuple[_Segment, ...] = ()
        self._retired: tuple[_Segment, ...] = ()
        self._newest = BASE_UPDATE
        self.faults: tuple[RowFault, ...] = ()

    @classmethod
    def load(cls, archive: Archive, names: Sequence[str] = ()) -> Catalogue:
        """Read the indexes of an archive as its base state.

        Parameters
        ----------
        archive : Archive
        names : sequence of str
            Index files at the top of the archive; empty means those that the GDAC knows.

        Raises
        ------
        ArchiveError
            There is no index, or one lacks needed columns or cannot be read.
        """
        return cls.from_indexes([read(archive, name) for name in names or profile_indexes(archive)])

    @classmethod
    def from_indexes(cls, indexes: Iterable[Index]) -> Catalogue:
        """Take indexes that were read already as the base state."""
        taken = list(indexes)
        faults = tuple(fault for index in taken for fault in index.faults)
        return cls.from_rows(rows_by_kind(taken).values(), faults)

    @classmethod
    def from_rows(cls, tables: Iterable[Rows], faults: tuple[RowFault, ...] = ()) -> Catalogue:
        """Take rows as the base state; no profile may be listed twice."""
        catalogue = cls()
        catalogue.faults = faults
        for rows in tables:
            catalogue._append(BASE_UPDATE, rows)
        return catalogue

    @classmethod
    def from_histories(
        cls, histories: Iterable[History], newest: int, faults: tuple[RowFault, ...] = ()
    ) -> Catalogue:
        """Return a catalogue as it was kept (see `histories`), or as it stood at an update before.

        Parameters
        ----------
        histories : iterable of History
        newest : int
            The last update that counts; of later ones nothing is left.
        faults : tuple of RowFault
        """
        catalogue = cls()
        catalogue.faults = faults
        for history in histories:
            then = history.as_of(newest)
            if len(then.rows):
                catalogue._add_segment(then)
        catalogue._newest = newest
        return catalogue

    def histories(self) -> tuple[History, ...]:
        """Return all that is listed or was, to keep it: of each kind the base state, then the rest.

        What updates brought is put together, so that a catalogue that was kept answers as quickly
        after very many of them.
        """
        base = [segment.history for segment in self._segments if segment.last == BASE_UPDATE]
        later = [segment for segment in self._segments if segment.last != BASE_UPDATE]
        kinds = dict.fromkeys(segment.kind for segment in later)
        return (
            *base,
            *(one_history([s.history for s in later if s.kind is kind]) for kind in kinds),
        )

    def condense(self) -> None:
        """Put together what updates brought, so that very many of them are asked as quickly.

        Numbers that were given out stay good until the next time, some days later.
        """
        base = tuple(s for s in self._segments if s.last == BASE_UPDATE)
        later = tuple(s for s in self._segments if s.last != BASE_UPDATE)
        end = self._end()
        condensed = list(base)
        for history in self.histories()[len(base) :]:
            condensed.append(_segment(history, end))
            end += len(history.rows)
        # Readers in other threads find their numbers in the one or in the other.
        self._retired = later
        self._segments = tuple(condensed)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of which the catalogue lists or listed any file."""
        return frozenset(segment.kind for segment in self._segments)

    @property
    def newest(self) -> int:
        """Number of the last update applied."""
        return self._newest

    def __len__(self) -> int:
        """Return the number of rows that no update has superseded."""
        return sum(int((segment.until == NEVER).sum()) for segment in self._segments)

    def select(self, extent: Extent, updates: UpdateSpan, kind: Kind = Kind.CORE) -> Int64s:
        """Return the numbers of the rows that a request matches, in no order that means anything.

        Parameters
        ----------
        extent : Extent
            With parameters, a profile matches when it holds one of them; PRES alone does not count
            beside others, for every profile holds it.
        updates : UpdateSpan
            The state at `upto`, without what had not changed since `after`.
        kind : Kind
        """
        found = [
            segment.first_number + _inside(segment, extent, updates)
            for segment in self._segments
            if segment.kind is kind and _brought(segment, updates)
        ]
        return np.concatenate([np.empty(0, np.int64), *found])

    def count(self, extent: Extent, updates: UpdateSpan, kind: Kind = Kind.CORE) -> int:
        """Return how many rows a request matches."""
        return len(self.select(extent, updates, kind))

    def files(self, numbers: Int64s) -> tuple[SourceFile, ...]:
        """Return the files of these rows, sorted by path."""
        found: list[SourceFile] = []
        for segment, places in self._at(numbers):
            found += segment.rows.source_files(places)
        return tuple(sorted(found, key=lambda file: file.path))

    def superseded(
        self, extent: Extent, updates: UpdateSpan, kind: Kind = Kind.CORE
    ) -> tuple[tuple[Superseded, ...], tuple[Superseded, ...]]:
        """Return what the state before an increment listed and these updates replaced.

        Returns
        -------
        superseded : tuple of Superseded
            Of the profiles that the request matches, wherever they were before.
        withdrawn : tuple of Superseded
            Of profiles that the request matched before and matches no more: they were removed, or
            lie elsewhere now.
        """
        if updates.after is None:
            return (), ()
        before = UpdateSpan(after=None, upto=updates.after)
        now = np.sort(self._profiles(self.select(extent, updates, kind)))
        superseded: list[Superseded] = []
        withdrawn: list[Superseded] = []
        for segment in self._segments:
            if segment.kind is not kind or not _brought(segment, before):
                continue
            gone = (segment.until > updates.after) & (segment.until <= updates.upto)
            if segment.since is not None:
                gone &= segment.since <= updates.after
            again = np.isin(segment.rows.profile, now)
            superseded += segment.rows.former(np.flatnonzero(gone & again))
            inside = _inside(segment, extent, before)
            withdrawn += segment.rows.former(inside[(gone & ~again)[inside]])
        return tuple(sorted(superseded, key=_by_profile)), tuple(sorted(withdrawn, key=_by_profile))

    def density(
        self,
        extent: Extent,
        updates: UpdateSpan,
        kind: Kind = Kind.CORE,
        masses_max: int = MASSES_MAX,
    ) -> Density:
        """Return where the files lie that a request matches (see `load_map`)."""
        return load_map(*self._located(self.select(extent, updates, kind), extent), masses_max)

    def sample(
        self,
        extent: Extent,
        updates: UpdateSpan,
        kind: Kind = Kind.CORE,
        masses_max: int = MASSES_MAX,
    ) -> Density:
        """Return the same in at most so many masses, quickly: every k-th file stands for k.

        Their number is exact. Where a place was looked up, rows come cell by cell and in each by
        time, so that the sample is spread over both.
        """
        numbers = self.select(extent, updates, kind)
        masses = min(len(numbers), masses_max)
        if masses == len(numbers):
            return load_map(*self._located(numbers, extent), masses)
        edges = np.arange(masses + 1) * len(numbers) // masses
        picked = numbers[(edges[:-1] + edges[1:]) // 2]
        by_number = np.argsort(picked)
        return sampled_map(*self._located(picked, extent), np.diff(edges)[by_number])

    def current(self, kind: Kind = Kind.CORE) -> Rows:
        """Return the rows of a kind as they stand now, to compare a newer index with."""
        return together([_live(segment) for segment in self._segments if segment.kind is kind])

    def parameters(self) -> frozenset[str]:
        """Return the names of all parameters that the indexes mention."""
        sets = (names for s in self._segments for names in s.rows.parameter_sets)
        return frozenset(name for names in sets for name in names)

    def apply(self, update_number: int, changes: Changes) -> None:
        """Take in the changes that an update brought.

        Parameters
        ----------
        update_number : int
            Higher than that of any update before.
        changes : Changes
            From `current`, of one kind or several.
        """
        self.take_in(update_number, changes.arrived, changes.outdated)

    def take_in(self, update_number: int, arrived: Rows, outdated: Int64s) -> None:
        """Take in what an update brought: its rows, and the `profile_keys` of those it outdated."""
        assert update_number > self._newest, "updates are applied in their order, each once"
        outdated = np.sort(outdated)
        for segment in self._segments:
            _supersede(segment, outdated, update_number)
        self._append(update_number, arrived)
        self._newest = update_number

    def _append(self, update_number: int, rows: Rows) -> None:
        for of_kind in rows.by_kind().values():
            since = np.full(len(of_kind), update_number, np.int32)
            until = np.full(len(of_kind), NEVER, np.int32)
            self._add_segment(History(rows=of_kind, since=since, until=until))

    def _add_segment(self, history: History) -> None:
        self._segments = (*self._segments, _segment(history, self._end()))

    def _end(self) -> int:
        """Return the first number that no row has."""
        last = self._segments[-1] if self._segments else None
        return 0 if last is None else last.first_number + len(last.rows)

    def _located(self, numbers: Int64s, extent: Extent) -> tuple[Int64s, Int32s, Int32s, Int64s]:
        """Return time, position and values wanted of these rows, in the order of their numbers."""
        found = [(segment.rows, places) for segment, places in self._at(numbers)]
        found = found or [(no_rows(), np.empty(0, np.int64))]
        return (
            np.concatenate([rows.time_s[places] for rows, places in found]),
            np.concatenate([rows.longitude_ticks[places] for rows, places in found]),
            np.concatenate([rows.latitude_ticks[places] for rows, places in found]),
            np.concatenate([_values(rows, places, extent.parameters) for rows, places in found]),
        )

    def _profiles(self, numbers: Int64s) -> Int64s:
        """Return the `profile_keys` of these rows."""
        found = (segment.rows.profile[places] for segment, places in self._at(numbers))
        return np.concatenate([np.empty(0, np.int64), *found])

    def _at(self, numbers: Int64s) -> Iterator[tuple[_Segment, Places]]:
        ordered, segments = np.sort(numbers), self._segments
        now = {id(segment) for segment in segments}
        for segment in (*segments, *(s for s in self._retired if id(s) not in now)):
            first, end = np.searchsorted(
                ordered, (segment.first_number, segment.first_number + len(segment.rows))
            )
            if first < end:
                yield segment, ordered[first:end] - segment.first_number


def _segment(history: History, first_number: int) -> _Segment:
    """Return rows of one kind as a segment."""
    ((kind, rows),) = history.rows.by_kind().items()
    first, last = int(history.since.min()), int(history.since.max())
    return _Segment(
        kind=kind,
        first=first,
        last=last,
        first_number=first_number,
        rows=rows,
        since=None if first == last else history.since,
        until=history.until,
        first_gone=np.full(1, history.until.min(), np.int32),
        cells=Cells.of(rows) if len(rows) >= ROWS_MIN else None,
    )


def profile_indexes(archive: Archive) -> tuple[str, ...]:
    """Return the names of the archive's profile indexes, one for each kind that it has.

    Raises
    ------
    ArchiveError
        It has none.
    """
    there = archive.index_names()
    found = [next((n for n in names if n in there), None) for names in INDEX_NAMES.values()]
    chosen = tuple(name for name in found if name is not None)
    if not chosen:
        looked_for = ", ".join(name for names in INDEX_NAMES.values() for name in names)
        raise ArchiveError(
            f"the archive {archive.address.shown} has no profile index; looked for {looked_for}",
            fix="Give the folder that holds the index files and dac/",
        )
    return chosen


def read(archive: Archive, name: str) -> Index:
    """Read one index at the top of an archive.

    Raises
    ------
    ArchiveError
        As `read_index` and `Archive.open_index`.
    """
    with archive.open_index(name) as stream:
        return read_index(stream, name)


def _by_profile(former: Superseded) -> tuple[int, int, str, str]:
    return former.profile


def _after(updates: UpdateSpan) -> int:
    return BASE_UPDATE - 1 if updates.after is None else updates.after


def _brought(segment: _Segment, updates: UpdateSpan) -> bool:
    """Tell whether any row may have come with these updates."""
    return segment.last > _after(updates) and segment.first <= updates.upto


def _inside(segment: _Segment, extent: Extent, updates: UpdateSpan) -> Places:
    """Return the places of the rows inside an extent that these updates brought and left."""
    rows, box = segment.rows, TickBox.of(extent.box)
    first, end = (int(place) for place in np.searchsorted(rows.time_s, _seconds(extent.period)))
    found = None
    if segment.cells is not None:
        found = segment.cells.inside(box, (end - first) // LOOKUP_COST)
    if found is None:
        at = slice(first, end)
        places = np.flatnonzero(box.holds(rows.latitude_ticks[at], rows.longitude_ticks[at]))
        places += first
    else:
        places = found[(found >= first) & (found < end)].astype(np.intp)
    if segment.since is not None:
        came = segment.since[places]
        places = places[(came > _after(updates)) & (came <= updates.upto)]
    if segment.first_gone[0] <= updates.upto:
        places = places[segment.until[places] > updates.upto]
    held = _held(rows.parameter_sets, extent.parameters)
    return places if held.all() else places[held[rows.parameter_set[places]]]


def _seconds(period: Period) -> tuple[int, int]:
    """Return the whole seconds [start, end) that a period holds."""
    start = -NO_TIME if period.start_at is None else math.ceil(period.start_at)
    end = NO_TIME if period.end_at is None else math.ceil(period.end_at)
    return max(start, -NO_TIME), min(end, NO_TIME)


def _held(parameter_sets: Sequence[Sequence[str]], wanted: Sequence[str]) -> Mask:
    """Tell which sets of parameters hold one of those wanted."""
    telling = set(wanted) - {VERTICAL_AXIS} or set(wanted)
    return np.array([not telling or bool(telling & set(s)) for s in parameter_sets], np.bool_)


def _values(rows: Rows, places: Places, wanted: Sequence[str]) -> Int64s:
    """Return how many parameters are read of each of these files; pressure always is."""
    read = {*wanted, VERTICAL_AXIS}
    counts = [len(read.intersection(held)) if wanted else len(held) for held in rows.parameter_sets]
    return np.array(counts or [0], np.int64)[rows.parameter_set[places]]


def _live(segment: _Segment) -> Rows:
    live = segment.until == NEVER
    return segment.rows if live.all() else segment.rows.taken(live)


def _supersede(segment: _Segment, outdated: Int64s, update_number: int) -> None:
    """Mark the rows of profiles that an update outdated; these are sorted."""
    if not len(outdated):
        return
    place = np.searchsorted(outdated, segment.rows.profile).clip(max=len(outdated) - 1)
    gone = (outdated[place] == segment.rows.profile) & (segment.until == NEVER)
    if gone.any():
        segment.until[gone] = update_number
        segment.first_gone[0] = min(segment.first_gone[0], update_number)
