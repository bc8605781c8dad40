"""Waiting work in dispatch order, cheap to add to, cheap to ask about.

Entries lie sorted in chunks of bounded length; each chunk knows the sums that the prefix rule needs
(work, variance, longest part, earliest deadline). So an arrival costs one append, and an evaluation
looks at some hundred chunks instead of a hundred thousand tasks, and opens only those that matter.

How entries are grouped into chunks depends on the past (a queue restored from a snapshot is grouped
otherwise), what is decided must not. Work is therefore summed in whole microseconds: such sums are
exact in any grouping, and adding and taking away leaves no rounding behind.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

CHUNK_MAX = 512
"""Entries of a chunk: near the square root of the largest queue that is meant to be fast."""

_CHUNK_START = 3 * CHUNK_MAX // 4  # leaves room for arrivals

PIECE_MAX = 32
"""Entries of a chunk's pieces: an evaluation that must look into a chunk looks at these first."""

MICROSECONDS_PER_S = 1_000_000

Key = tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A task that has parts waiting.

    Parameters
    ----------
    key : tuple of float
        Rank, the smallest runs first; of one length for all, and no two alike (end it in the task's
        number). The key of a task that is not admitted lies behind those of all that are.
    task_id : str
    due_at : float
        Its deadline less the reserve for combining and delivery [POSIX s]; infinite without one.
    parts : int
        Parts that wait.
    mean_s, variance_s2 : float
        Expectation [reference s] and variance [s2] of the sum of their lengths.
    longest_s : float
        Expected length of the longest of them [reference s].
    priority : float
        Weight in admission.
    doubt : float
        Relative standard deviation that the lengths of all of them share, on top of `variance_s2`.
    admitted : bool
        Whether its deadline is planned for; a task that gave way counts as best effort.
    mean_us, variance_us2 : int
        Work and its whole variance, rounded to whole microseconds.
    longest_sd_s : float
        Standard deviation of the longest part, if all scatter alike about their lengths.
    """

    key: Key
    task_id: str
    due_at: float
    parts: int
    mean_s: float
    variance_s2: float
    longest_s: float
    priority: float = 1.0
    doubt: float = 0.0
    admitted: bool = True
    mean_us: int = field(init=False)
    variance_us2: int = field(init=False)
    longest_sd_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Derive what is summed and compared."""
        share = self.longest_s / self.mean_s if self.mean_s > 0 else 1.0
        shared_s2 = (self.doubt * self.mean_s) ** 2
        self.longest_sd_s = math.sqrt(share * (self.variance_s2 + share * shared_s2))
        self.mean_us = round(self.mean_s * MICROSECONDS_PER_S)
        self.variance_us2 = round((self.variance_s2 + shared_s2) * MICROSECONDS_PER_S**2)

    @property
    def target_at(self) -> float:
        """When it is planned to be done [POSIX s]: its deadline, or infinite where none is kept."""
        return self.due_at if self.admitted else math.inf


_rank = attrgetter("key")


class RankedQueue:
    """The waiting tasks, smallest key first."""

    __slots__ = ("_by_id", "_chunks", "_floors", "_fresh")

    def __init__(self) -> None:
        self._by_id: dict[str, Waiting] = {}
        self._chunks: list[Chunk] = []
        # For each chunk a key not above its first and above all of the chunk before.
        self._floors: list[Key] = []
        self._fresh: list[Waiting] = []

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Waiting]:
        """Iterate in dispatch order."""
        for chunk in self.chunks():
            yield from chunk.ordered()

    def add(self, waiting: Waiting) -> None:
        """Add a task that is not in the queue."""
        assert waiting.task_id not in self._by_id, f"{waiting.task_id} waits already"
        self._by_id[waiting.task_id] = waiting
        self._fresh.append(waiting)

    def get(self, task_id: str) -> Waiting | None:
        """Return a task's entry, None when it does not wait. Change it by `update` only."""
        return self._by_id.get(task_id)

    def first(self) -> Waiting | None:
        """Return the task that runs next, None when none waits."""
        if self._fresh:
            self.settle()
        if not self._chunks:
            return None
        chunk = self._chunks[0]
        return (chunk.entries if chunk.in_order else chunk.ordered())[0]

    def remove(self, task_id: str) -> Waiting:
        """Take a task out and return its entry."""
        if self._fresh:
            self.settle()
        waiting = self._by_id.pop(task_id)
        at, index = 0, 0
        chunk = self._chunks[0]
        entries = chunk.entries if chunk.in_order else chunk.ordered()
        if entries[0] is not waiting:  # mostly it is: work leaves at the head
            at = self._chunk_of(waiting)
            chunk = self._chunks[at]
            index = chunk.index(waiting)
        chunk.take_out(index)
        if not chunk.entries:
            del self._chunks[at], self._floors[at]
        return waiting

    def update(
        self,
        task_id: str,
        *,
        parts: int,
        mean_s: float,
        variance_s2: float,
        longest_s: float,
        doubt: float = 0.0,
    ) -> None:
        """State anew what of a task waits."""
        if self._fresh:
            self.settle()
        waiting = self._by_id[task_id]
        chunk = self._chunks[self._chunk_of(waiting)]
        chunk.note_taken(waiting)
        waiting.parts, waiting.longest_s = parts, longest_s
        waiting.mean_s, waiting.variance_s2, waiting.doubt = mean_s, variance_s2, doubt
        waiting.__post_init__()
        chunk.note_added(waiting)

    def chunks(self) -> Sequence[Chunk]:
        """Return the queue in chunks, in dispatch order, none of them empty."""
        if self._fresh:
            self.settle()
        return self._chunks

    def settle(self) -> None:
        """Deal the arrivals since the last time out to their chunks."""
        arrivals, self._fresh = self._fresh, []
        if 4 * len(arrivals) > len(self._by_id) or self._is_sparse():
            arrivals += [waiting for chunk in self._chunks for waiting in chunk.entries]
            arrivals.sort(key=_rank)
            self._chunks = _cut(arrivals, _CHUNK_START)
            self._floors = [chunk.entries[0].key for chunk in self._chunks]
            return
        chunks, floors = self._chunks, self._floors
        for waiting in arrivals:
            at = bisect_right(floors, waiting.key, 1) - 1
            chunk = chunks[at]
            chunk.take_in(waiting)
            if len(chunk.entries) > CHUNK_MAX:
                self._split(at)

    def _split(self, at: int) -> None:
        shorter = _cut(self._chunks[at].ordered(), _CHUNK_START)
        self._chunks[at : at + 1] = shorter
        self._floors[at : at + 1] = [chunk.entries[0].key for chunk in shorter]

    def _chunk_of(self, waiting: Waiting) -> int:
        return bisect_right(self._floors, waiting.key, 1) - 1

    def _is_sparse(self) -> bool:
        """Tell whether removals have left many chunks nearly empty, which makes scans dear."""
        return 8 * len(self._by_id) < (len(self._chunks) - 1) * CHUNK_MAX


class Chunk:
    """A run of neighbours in dispatch order, with the sums over them.

    Parameters
    ----------
    ordered : list of Waiting
        Sorted by key.

    Attributes
    ----------
    entries : list of Waiting
        Sorted when somebody asks; see `ordered`.
    in_order : bool
        Whether they are.
    totals : Totals or None
        None until somebody asks; see `summed`.
    """

    __slots__ = ("_floors", "_pieces", "entries", "in_order", "totals")

    def __init__(self, ordered: list[Waiting]) -> None:
        self.entries = ordered
        self.in_order = True
        self.totals: Totals | None = None
        # None at all until somebody asks; from then on kept in step with the entries.
        self._pieces: list[Chunk] = []
        self._floors: list[Key] = []

    def take_in(self, waiting: Waiting) -> None:
        """Enter a task."""
        self.entries.append(waiting)
        self.in_order = False
        if self.totals is not None:
            self.totals.add(waiting)
        if self._pieces:
            piece = self._pieces[self._piece_of(waiting)]
            piece.take_in(waiting)
            if len(piece.entries) > 2 * PIECE_MAX:
                self._pieces = []

    def take_out(self, index: int) -> None:
        """Strike the task at a place in dispatch order out."""
        waiting = self.entries.pop(index)
        if self.totals is not None:
            self.totals.take(waiting)
        if self._pieces:
            at = self._piece_of(waiting)
            piece = self._pieces[at]
            piece.take_out(piece.index(waiting))
            if not piece.entries:
                del self._pieces[at], self._floors[at]

    def note_added(self, waiting: Waiting) -> None:
        """Count what a task has come to mean into the sums."""
        if self.totals is not None:
            self.totals.add(waiting)
        if self._pieces:
            self._pieces[self._piece_of(waiting)].note_added(waiting)

    def note_taken(self, waiting: Waiting) -> None:
        """Count what a task has meant so far out of the sums."""
        if self.totals is not None:
            self.totals.take(waiting)
        if self._pieces:
            self._pieces[self._piece_of(waiting)].note_taken(waiting)

    def index(self, waiting: Waiting) -> int:
        """Return a task's place in dispatch order."""
        index = bisect_left(self.ordered(), waiting.key, key=_rank)
        assert self.entries[index] is waiting, f"two tasks have the key {waiting.key}"
        return index

    def ordered(self) -> list[Waiting]:
        """Return its tasks in dispatch order."""
        if not self.in_order:
            self.entries.sort(key=_rank)
            self.in_order = True
        return self.entries

    def summed(self) -> Totals:
        """Return the sums over its tasks."""
        if self.totals is None or self.totals.stale:
            if self._pieces:
                self.totals = Totals.joined(piece.summed() for piece in self._pieces)
            else:
                self.totals = Totals.of(self.entries)
        return self.totals

    def pieces(self) -> Sequence[Chunk]:
        """Return it cut small, for a closer look; nothing when it is small itself."""
        if not self._pieces and len(self.entries) > PIECE_MAX:
            self._pieces = _cut(self.ordered(), PIECE_MAX)
            self._floors = [piece.entries[0].key for piece in self._pieces]
        return self._pieces

    def _piece_of(self, waiting: Waiting) -> int:
        return bisect_right(self._floors, waiting.key, 1) - 1


def _cut(ordered: list[Waiting], length: int) -> list[Chunk]:
    return [Chunk(ordered[at : at + length]) for at in range(0, len(ordered), length)]


@dataclass(slots=True)
class Totals:
    """Sums and extremes over some waiting tasks.

    Attributes
    ----------
    parts : int
    mean_us, variance_us2 : int
        Expected work [reference us] and its variance [us2].
    longest_s, longest_sd_s : float
        Greatest expectation and greatest standard deviation of any task's longest part
        [reference s].
    most_s : float
        Expected work of the largest task [reference s].
    earliest_at, latest_at : float
        Of `Waiting.target_at` [POSIX s].
    stale : bool
        An extreme was taken away: it is not known any more, the sums are.
    """

    parts: int = 0
    mean_us: int = 0
    variance_us2: int = 0
    longest_s: float = 0.0
    longest_sd_s: float = 0.0
    most_s: float = 0.0
    earliest_at: float = math.inf
    latest_at: float = -math.inf
    stale: bool = False

    @classmethod
    def of(cls, entries: Sequence[Waiting]) -> Totals:
        """Return the totals over some tasks."""
        totals = cls()
        if entries:
            targets = [each.due_at if each.admitted else math.inf for each in entries]
            totals.parts = sum([each.parts for each in entries])
            totals.mean_us = sum([each.mean_us for each in entries])
            totals.variance_us2 = sum([each.variance_us2 for each in entries])
            totals.longest_s = max([each.longest_s for each in entries])
            totals.longest_sd_s = max([each.longest_sd_s for each in entries])
            totals.most_s = max([each.mean_s for each in entries])
            totals.earliest_at, totals.latest_at = min(targets), max(targets)
        return totals

    @classmethod
    def joined(cls, parts: Iterable[Totals]) -> Totals:
        """Return the totals over all that some totals were made over; none of them is stale."""
        totals = cls()
        for part in parts:
            totals.parts += part.parts
            totals.mean_us += part.mean_us
            totals.variance_us2 += part.variance_us2
            totals.longest_s = max(totals.longest_s, part.longest_s)
            totals.longest_sd_s = max(totals.longest_sd_s, part.longest_sd_s)
            totals.most_s = max(totals.most_s, part.most_s)
            totals.earliest_at = min(totals.earliest_at, part.earliest_at)
            totals.latest_at = max(totals.latest_at, part.latest_at)
        return totals

    def add(self, waiting: Waiting) -> None:
        """Count a task in."""
        self.parts += waiting.parts
        self.mean_us += waiting.mean_us
        self.variance_us2 += waiting.variance_us2
        target_at = waiting.due_at if waiting.admitted else math.inf
        self.longest_s = max(self.longest_s, waiting.longest_s)
        self.longest_sd_s = max(self.longest_sd_s, waiting.longest_sd_s)
        self.most_s = max(self.most_s, waiting.mean_s)
        self.earliest_at = min(self.earliest_at, target_at)
        self.latest_at = max(self.latest_at, target_at)

    def take(self, waiting: Waiting) -> None:
        """Count a task out."""
        self.parts -= waiting.parts
        self.mean_us -= waiting.mean_us
        self.variance_us2 -= waiting.variance_us2
        target_at = waiting.due_at if waiting.admitted else math.inf
        if (
            waiting.longest_s == self.longest_s
            or waiting.longest_sd_s == self.longest_sd_s
            or waiting.mean_s == self.most_s
            or target_at in (self.earliest_at, self.latest_at)
        ):
            self.stale = True
