"""Walks over the waiting work in dispatch order, prefix after prefix, looking at little of it.

A prefix is a task together with all that runs before it: that work competes for the slots until the
task is due. How a prefix is rated (by what it lacks, how many nodes, how soon) only grows with its
work and shrinks with its deadline. So the end of a chunk, held against the earliest deadline in it,
bounds all prefixes that end there: branch and bound opens the chunk with the highest bound first,
and stops when no bound beats what was found.

What is found never depends on how the queue happens to be chunked: sums are exact, and of equals
the first one counts.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from planner.forecast import FORECAST_PARTS_MAX, Job
from planner.ranking import MICROSECONDS_PER_S, Chunk, RankedQueue, Totals, Waiting
from planner.supply import Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """How much more work is planned for than is expected.

    Parameters
    ----------
    z : float
        Standard deviations added to the expectation.
    common_error : float
        Relative error that all predictions share.
    stretch : float
        Factor on everything.

    Notes
    -----
    ``M + z sqrt(sum sigma^2 + (rho M)^2)`` over a prefix: errors of single parts average out, the
    common one does not. A sum of quantiles task by task would overstate by a third and more.
    """

    z: float = 0.0
    common_error: float = 0.0
    stretch: float = 1.0

    @classmethod
    def at(cls, quantile: float, common_error: float) -> Caution:
        """Return the caution under which a share `quantile` of the prefixes takes no longer."""
        return cls(z=NormalDist().inv_cdf(quantile), common_error=common_error)

    def work_s(self, mean_us: int, variance_us2: int) -> float:
        """Return the planning work [reference s] of an expectation [us] with a variance [us2]."""
        sd_s = math.sqrt(variance_us2) / MICROSECONDS_PER_S
        return self.length_s(mean_us / MICROSECONDS_PER_S, sd_s)

    def length_s(self, mean_s: float, sd_s: float) -> float:
        """Return the planning length of an expectation with a standard deviation [reference s]."""
        return self.stretch * (mean_s + self.z * math.hypot(sd_s, self.common_error * mean_s))


class Prefix(NamedTuple):
    """A task and all that runs before it.

    Parameters
    ----------
    task_id : str
    position : int
        Of the task in the queue.
    parts : int
    work_s, longest_s : float
        Planning work and longest part [reference s].
    due_at : float
        When the task is due [POSIX s].
    value : float
        How it is rated.
    """

    task_id: str
    position: int
    parts: int
    work_s: float
    longest_s: float
    due_at: float
    value: float

    def exceeds(self, other: Prefix | None) -> bool:
        """Tell whether it is rated higher than another, or alike and stands before it."""
        if other is None:
            return True
        return (self.value, -self.position) > (other.value, -other.position)


Rating = Callable[[float, float, int, float], float]
"""Rates a prefix by work and longest part [reference s], number of parts, and deadline [POSIX s].
Must not fall as the first three grow, nor rise with the last. Infinite: it cannot be rated."""


class Outline:
    """The queue in chunks, as it stands: good for one evaluation.

    Parameters
    ----------
    queue : RankedQueue
    """

    def __init__(self, queue: RankedQueue) -> None:
        self.chunks = list(queue.chunks())
        self._walked: dict[tuple[Chunk, Before, Caution], list[Step]] = {}

    def without(
        self, leaves_out: Callable[[Waiting], bool], may_leave_out: Callable[[Totals], bool]
    ) -> Outline:
        """Return an outline in which neither some tasks nor their work count.

        Parameters
        ----------
        leaves_out : callable
            Tells whether a task is left out.
        may_leave_out : callable
            Tells whether any task may be, of those with these totals.
        """
        rest = copy(self)  # It shares what was walked already: a chunk that is cut is a new one.
        rest.chunks = [
            Chunk([task for task in chunk.ordered() if not leaves_out(task)])
            if may_leave_out(chunk.summed())
            else chunk
            for chunk in self.chunks
        ]
        return rest

    @property
    def parts(self) -> int:
        """Parts that wait in all of it."""
        return sum(chunk.summed().parts for chunk in self.chunks)

    def work_s(self, caution: Caution) -> float:
        """Return the planning work of all of it [reference s]."""
        sums = [chunk.summed() for chunk in self.chunks]
        return caution.work_s(sum(t.mean_us for t in sums), sum(t.variance_us2 for t in sums))

    def has_best_effort(self) -> bool:
        """Tell whether any of it has no deadline to be planned for."""
        return any(chunk.summed().latest_at == math.inf for chunk in self.chunks)

    def highest(
        self, caution: Caution, rating: Rating, *, floor: float = 0.0, enough: float = math.inf
    ) -> Prefix | None:
        """Return the prefix that is rated highest, or None where none is above `floor`.

        Parameters
        ----------
        caution : Caution
        rating : Rating
        floor : float
        enough : float
            Any prefix that is rated above this will do.
        """
        best: Prefix | None = None
        opened: list[Bounded] = _bounded(self.chunks, Before(), caution, rating, floor)
        heapq.heapify(opened)
        while opened and (best is None or -opened[0].negative >= best.value):
            _, before, chunk = heapq.heappop(opened)
            if pieces := chunk.pieces():
                beaten = floor if best is None else best.value
                for bounded in _bounded(pieces, before, caution, rating, beaten):
                    heapq.heappush(opened, bounded)
                continue
            steps = self._steps(chunk, before, caution)
            found = _highest_of(steps, before.tasks, rating, floor, enough)
            if found is not None and found.exceeds(best):
                best = found
                if best.value > enough:
                    break
        return best

    def jobs(self, caution: Caution) -> list[Job]:
        """Return the first `FORECAST_PARTS_MAX` parts as jobs for a forecast.

        Each job has its task's share of the planning work of its prefix, so that they add up to it:
        errors of single parts average out in what the slots are busy with. They do not in the end
        of the task itself, which is spared what its longest part may take beyond that share.
        """
        jobs: list[Job] = []
        before_s = 0.0
        for waiting, parts, work_s, _ in self._all_steps(caution):
            if parts > FORECAST_PARTS_MAX and jobs:
                break
            jobs.append(job_of(waiting, work_s - before_s, caution))
            before_s = work_s
        return jobs

    def _all_steps(self, caution: Caution) -> Iterator[Step]:
        before = Before()
        for chunk in self.chunks:
            for piece in chunk.pieces() or (chunk,):
                yield from self._steps(piece, before, caution)
                before = before.and_all_of(piece)

    def _steps(self, chunk: Chunk, before: Before, caution: Caution) -> list[Step]:
        """Return the steps through a chunk; every rating of an evaluation goes the same ones."""
        place = chunk, before, caution
        steps = self._walked.get(place)
        if steps is None:
            steps = self._walked[place] = _walk(*place)
        return steps


class Before(NamedTuple):
    """What runs before some place in the queue."""

    tasks: int = 0
    parts: int = 0
    mean_us: int = 0
    variance_us2: int = 0
    longest_s: float = 0.0
    longest_sd_s: float = 0.0

    def and_all_of(self, chunk: Chunk) -> Before:
        """Return what runs before the place behind a chunk that begins here."""
        totals = chunk.summed()
        return Before(
            self.tasks + len(chunk.entries),
            self.parts + totals.parts,
            self.mean_us + totals.mean_us,
            self.variance_us2 + totals.variance_us2,
            max(self.longest_s, totals.longest_s),
            max(self.longest_sd_s, totals.longest_sd_s),
        )


Step = tuple[Waiting, int, float, float]
"""One task further: how many parts, planning work and longest part [s] there are up to it."""


class Bounded(NamedTuple):
    """A chunk at its place, and a rating (negative: the heap wants it) that none in it exceeds."""

    negative: float
    before: Before
    chunk: Chunk


def _bounded(
    chunks: Sequence[Chunk], before: Before, caution: Caution, rating: Rating, floor: float
) -> list[Bounded]:
    """Return the neighbouring chunks that may hold the end of a prefix rated above a floor."""
    found: list[Bounded] = []
    tasks, parts, mean_us, variance_us2, longest_s, longest_sd_s = before
    planned_s = caution.length_s(longest_s, longest_sd_s)
    for chunk in chunks:
        start = (tasks, parts, mean_us, variance_us2, longest_s, longest_sd_s)
        totals = chunk.summed()
        tasks += len(chunk.entries)
        parts += totals.parts
        mean_us += totals.mean_us
        variance_us2 += totals.variance_us2
        if totals.longest_s > longest_s or totals.longest_sd_s > longest_sd_s:
            longest_s = max(longest_s, totals.longest_s)
            longest_sd_s = max(longest_sd_s, totals.longest_sd_s)
            planned_s = caution.length_s(longest_s, longest_sd_s)
        work_s = caution.work_s(mean_us, variance_us2)
        bound = rating(work_s, planned_s, parts, totals.earliest_at)
        if bound > floor and chunk.entries:
            found.append(Bounded(-bound, Before(*start), chunk))
    return found


def _walk(chunk: Chunk, before: Before, caution: Caution) -> list[Step]:
    _, parts, mean_us, variance_us2, longest_s, longest_sd_s = before
    planned_s = caution.length_s(longest_s, longest_sd_s)
    steps: list[Step] = []
    z, common_error, stretch = caution.z, caution.common_error, caution.stretch
    hypot, sqrt = math.hypot, math.sqrt
    for waiting in chunk.ordered():
        parts += waiting.parts
        mean_us += waiting.mean_us
        variance_us2 += waiting.variance_us2
        if waiting.longest_s > longest_s or waiting.longest_sd_s > longest_sd_s:
            longest_s = max(longest_s, waiting.longest_s)
            longest_sd_s = max(longest_sd_s, waiting.longest_sd_s)
            planned_s = caution.length_s(longest_s, longest_sd_s)
        # `Caution.work_s`, without two calls for every task of every evaluation.
        mean_s, sd_s = mean_us / MICROSECONDS_PER_S, sqrt(variance_us2) / MICROSECONDS_PER_S
        work_s = stretch * (mean_s + z * hypot(sd_s, common_error * mean_s))
        steps.append((waiting, parts, work_s, planned_s))
    return steps


def _highest_of(
    steps: Sequence[Step], position: int, rating: Rating, floor: float, enough: float
) -> Prefix | None:
    """Return the highest of the prefixes that end at some steps, the first at a position."""
    best, found = floor, None
    for at, step in enumerate(steps, start=position):
        waiting, parts, work_s, longest_s = step
        due_at = waiting.due_at
        if due_at == math.inf or not waiting.admitted:
            continue
        value = rating(work_s, longest_s, parts, due_at)
        if best < value < math.inf:
            best = value
            found = Prefix(waiting.task_id, at, parts, work_s, longest_s, due_at, value)
            if value > enough:
                break
    return found


def promised(outline: Outline, caution: Caution, supply: Supply) -> bool:
    """Tell whether the formula promises every deadline."""

    def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        return supply.shortfall(work_s, longest_s, due_at)

    return outline.highest(caution, rating, enough=0.0) is None


def job_of(waiting: Waiting, work_s: float, caution: Caution) -> Job:
    """Return a task's waiting parts, lengthened alike to some planning work [reference s]."""
    mean_s, longest_s = waiting.mean_s, waiting.longest_s
    planned_s = caution.length_s(longest_s, waiting.longest_sd_s)
    factor = work_s / mean_s if mean_s > 0 else 1.0
    longest_s = min(work_s, longest_s * factor)
    spare_s = max(0.0, planned_s - longest_s)
    return Job(waiting.task_id, waiting.parts, work_s, longest_s, waiting.target_at, spare_s)
