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
from collections.abc import Callable, Iterable
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
        mean_s = mean_us / MICROSECONDS_PER_S
        common_s = self.common_error * mean_s
        sd_s = math.sqrt(variance_us2 / MICROSECONDS_PER_S**2 + common_s * common_s)
        return self.stretch * (mean_s + self.z * sd_s)


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
    """The queue as one stretch after the other, without the tasks that are left out.

    Parameters
    ----------
    queue : RankedQueue
    leaves_out : callable, optional
        Tells whether a task is left out: neither it nor its work counts.
    may_leave_out : callable, optional
        Tells whether any task may be, of those with these totals.
    """

    def __init__(
        self,
        queue: RankedQueue,
        leaves_out: Callable[[Waiting], bool] | None = None,
        may_leave_out: Callable[[Totals], bool] | None = None,
    ) -> None:
        chunks = list(queue.chunks())
        if leaves_out and may_leave_out:
            for at, chunk in enumerate(chunks):
                if may_leave_out(chunk.summed()):
                    chunks[at] = Chunk([task for task in chunk.ordered() if not leaves_out(task)])
        self.stretches = stretches_of(chunks, Before())
        self.whole = self.stretches[-1].end if self.stretches else Before()

    def work_s(self, caution: Caution) -> float:
        """Return the planning work of all of it [reference s]."""
        return caution.work_s(self.whole.mean_us, self.whole.variance_us2)

    def has_best_effort(self) -> bool:
        """Tell whether any of it has no deadline to be planned for."""
        return any(stretch.totals.latest_at == math.inf for stretch in self.stretches)

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
        open_: list[tuple[float, int, Stretch]] = []
        for stretch in self.stretches:
            stretch.offer_to(open_, caution, rating, floor)
        while open_ and (best is None or -open_[0][0] >= best.value):
            _, _, stretch = heapq.heappop(open_)
            pieces = stretch.pieces()
            for piece in pieces:
                piece.offer_to(open_, caution, rating, floor if best is None else best.value)
            found = None if pieces else stretch.highest(caution, rating, floor)
            if found is not None and found.exceeds(best):
                best = found
                if best.value > enough:
                    break
        return best

    def jobs(self, caution: Caution) -> list[Job]:
        """Return the first `FORECAST_PARTS_MAX` parts as jobs for a forecast.

        Each job has its task's share of the planning work of its prefix, so that they add up to it.
        """
        jobs: list[Job] = []
        sums, before_s = Totals(), 0.0
        for stretch in self.stretches:
            for waiting in stretch.chunk.ordered():
                sums.add(waiting)
                if sums.parts > FORECAST_PARTS_MAX and jobs:
                    return jobs
                work_s = caution.work_s(sums.mean_us, sums.variance_us2)
                jobs.append(job_of(waiting, work_s - before_s))
                before_s = work_s
        return jobs


class Before(NamedTuple):
    """What runs before some place in the queue."""

    tasks: int = 0
    parts: int = 0
    mean_us: int = 0
    variance_us2: int = 0
    longest_s: float = 0.0


class Stretch:
    """A chunk at its place in the queue.

    Parameters
    ----------
    before : Before
    chunk : Chunk
    """

    __slots__ = ("before", "chunk", "end", "totals")

    def __init__(self, before: Before, chunk: Chunk) -> None:
        self.before, self.chunk, self.totals = before, chunk, chunk.summed()
        totals = self.totals
        self.end = Before(
            before.tasks + len(chunk.entries),
            before.parts + totals.parts,
            before.mean_us + totals.mean_us,
            before.variance_us2 + totals.variance_us2,
            max(before.longest_s, totals.longest_s),
        )

    def offer_to(
        self,
        heap: list[tuple[float, int, Stretch]],
        caution: Caution,
        rating: Rating,
        floor: float,
    ) -> None:
        """Put it on a heap, best bound first, if a prefix that ends here may be above a floor."""
        end = self.end
        work_s = caution.work_s(end.mean_us, end.variance_us2)
        bound = rating(work_s, end.longest_s, end.parts, self.totals.earliest_at)
        if bound > floor:
            heapq.heappush(heap, (-bound, self.before.tasks, self))

    def pieces(self) -> list[Stretch]:
        """Return it in smaller stretches; nothing when it is small itself."""
        return stretches_of(self.chunk.pieces(), self.before)

    def highest(self, caution: Caution, rating: Rating, floor: float) -> Prefix | None:
        """Return the highest of the prefixes that end here; see `Outline.highest`."""
        _, parts, mean_us, variance_us2, longest_s = self.before
        best, found = floor, None
        for index, waiting in enumerate(self.chunk.ordered()):
            parts += waiting.parts
            mean_us += waiting.mean_us
            variance_us2 += waiting.variance_us2
            longest_s = max(longest_s, waiting.longest_s)
            due_at = waiting.target_at
            if due_at == math.inf:
                continue
            work_s = caution.work_s(mean_us, variance_us2)
            value = rating(work_s, longest_s, parts, due_at)
            if best < value < math.inf:
                best = value
                found = Prefix(
                    waiting.task_id,
                    self.before.tasks + index,
                    parts,
                    work_s,
                    longest_s,
                    due_at,
                    value,
                )
        return found


def stretches_of(chunks: Iterable[Chunk], before: Before) -> list[Stretch]:
    """Return neighbouring chunks as stretches, none of them empty."""
    stretches: list[Stretch] = []
    for chunk in chunks:
        if chunk.entries:
            stretches.append(Stretch(before, chunk))
            before = stretches[-1].end
    return stretches


def promised(outline: Outline, caution: Caution, supply: Supply) -> bool:
    """Tell whether the formula promises every deadline."""

    def rating(work_s: float, longest_s: float, _: int, due_at: float) -> float:
        return supply.shortfall(work_s, longest_s, due_at)

    return outline.highest(caution, rating, enough=0.0) is None


def job_of(waiting: Waiting, work_s: float) -> Job:
    """Return a task's waiting parts, lengthened alike to some planning work [reference s]."""
    factor = work_s / waiting.mean_s if waiting.mean_s > 0 else 1.0
    return Job(
        task_id=waiting.task_id,
        parts=waiting.parts,
        work_s=work_s,
        longest_s=min(work_s, waiting.longest_s * factor),
        due_at=waiting.target_at,
    )
