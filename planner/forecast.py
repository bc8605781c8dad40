"""When each task would be finished: list scheduling of whole parts on slots, none interrupted.

This is what dispatch does: the next part in order goes to the slot that is free first. The formula
(`planner.supply`) is quick but cautious; this schedule is exact for the lengths it is given, so it
has the last word over what the formula proposes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from planner.supply import Slot

FORECAST_PARTS_MAX = 4096
"""Parts that a forecast places, in some milliseconds. Behind so many, whole parts hardly matter any
more, and the formula decides alone: it errs by one part a slot."""

_ROUNDS_MIN = 4
"""Below so many parts a slot, placing them singly costs less than asking every slot."""

LATE_S_MIN = 1e-3
"""A task less than this late [s] is on time: floats hold POSIX seconds to a quarter microsecond."""


class Job(NamedTuple):
    """The waiting parts of a task, as lengths.

    Parameters
    ----------
    task_id : str
    parts : int
    work_s : float
        Sum of their lengths [reference s].
    longest_s : float
        Length of the longest, which goes first; the others are taken to be alike [reference s].
    due_at : float
        [POSIX s]; infinite where nothing is due.
    spare_s : float
        Added to the end of the last part, but not to what its slot is busy with [reference s].
    """

    task_id: str
    parts: int
    work_s: float
    longest_s: float
    due_at: float
    spare_s: float = 0.0


class Schedule:
    """Slots that fill up, part by part.

    Parameters
    ----------
    slots : sequence of Slot
        Those that are never free are left out.
    """

    __slots__ = ("_alike", "_equal", "_mixed", "_slowest")

    def __init__(self, slots: Sequence[Slot]) -> None:
        usable = [slot for slot in slots if slot.free_at < math.inf]
        speeds = {slot.speed for slot in usable}
        self._alike = len(speeds) <= 1
        self._slowest = min(speeds, default=1.0)
        # Slots of one speed need nothing but their instants, which are three times as fast to keep.
        self._equal = [slot.free_at for slot in usable] if self._alike else []
        self._mixed = [] if self._alike else [(slot.free_at, -slot.speed) for slot in usable]
        heapq.heapify(self._equal)
        heapq.heapify(self._mixed)

    def place(self, job: Job) -> float:
        """Place a task's parts and return when the last of them ends [POSIX s]."""
        if not self._equal and not self._mixed:
            return math.inf
        others_s = max(0.0, job.work_s - job.longest_s) / max(1, job.parts - 1)
        spare_s = job.spare_s / self._slowest
        if not self._alike:
            return self._place_mixed(job, others_s) + spare_s
        end_at = self._equal[0] + job.longest_s / self._slowest
        heapq.heapreplace(self._equal, end_at)
        if job.parts > 1:
            end_at = max(end_at, self._place_equal(job.parts - 1, others_s / self._slowest))
        return end_at + spare_s

    def lateness_s(self, jobs: Iterable[Job], tolerated_s: float) -> float:
        """Place tasks and return by how much all together are late [s].

        Once they are later than is tolerated the rest is not placed: it could only add to it.
        """
        late_s, slowest = 0.0, self._slowest
        for job in jobs:
            _, parts, _, longest_s, due_at, spare_s = job
            if parts == 1 and (heap := self._equal):
                # As `place`, without a call for each of what is most of many tasks.
                end_at = heap[0] + longest_s / slowest
                heapq.heapreplace(heap, end_at)
                end_at += spare_s / slowest
            else:
                end_at = self.place(job)
            if end_at > due_at + LATE_S_MIN:
                late_s += end_at - due_at
                if late_s > tolerated_s:
                    break
        return late_s

    def _place_equal(self, count: int, run_s: float) -> float:
        count -= self._place_rounds(count, run_s)
        heap = self._equal
        end_at = -math.inf
        for _ in range(count):
            end_at = heap[0] + run_s
            heapq.heapreplace(heap, end_at)
        return end_at

    def _place_rounds(self, count: int, run_s: float) -> int:
        """Place most of many alike parts at once; return how many.

        A slot that is free at f would start them at f, f + run_s, f + 2 run_s and so on. Those that
        start by some instant come first in whatever order slots are asked, and a level one round
        below the mean end leaves enough of them for the last rounds, which go singly.
        """
        heap, slots = self._equal, len(self._equal)
        if count < _ROUNDS_MIN * slots or run_s <= 0:
            return 0
        base = heap[0]
        level_s = (count * run_s + math.fsum(f - base for f in heap)) / slots - run_s
        rounds = [max(0, int((base + level_s - f) / run_s)) for f in heap]
        if sum(rounds) >= count:
            return 0
        self._equal = [f + n * run_s for f, n in zip(heap, rounds, strict=True)]
        heapq.heapify(self._equal)
        return sum(rounds)

    def _place_mixed(self, job: Job, others_s: float) -> float:
        heap = self._mixed
        last_end_at = -math.inf
        length_s = job.longest_s
        for _ in range(job.parts):
            free_at, slowness = heap[0]
            end_at = free_at - length_s / slowness
            heapq.heapreplace(heap, (end_at, slowness))
            last_end_at = max(last_end_at, end_at)
            length_s = others_s
        return last_end_at

    def mark(self) -> tuple[list[float], list[tuple[float, float]]]:
        """Return what `back_to` needs to take back all that is placed from now on."""
        return self._equal.copy(), self._mixed.copy()

    def back_to(self, mark: tuple[list[float], list[tuple[float, float]]]) -> None:
        """Take back what was placed since a mark; a mark serves once."""
        self._equal, self._mixed = mark


def finish_times(jobs: Iterable[Job], slots: Sequence[Slot]) -> list[float]:
    """Return when each task would be finished [POSIX s], in the order given."""
    schedule = Schedule(slots)
    return [schedule.place(job) for job in jobs]


def lateness_s(jobs: Iterable[Job], slots: Sequence[Slot], tolerated_s: float = math.inf) -> float:
    """Return by how much all tasks together would be late [s]; infinite where no slot is left.

    Of more than is tolerated it is only said that it is more.
    """
    return Schedule(slots).lateness_s(jobs, tolerated_s)
