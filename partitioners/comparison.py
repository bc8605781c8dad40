"""What a cut is worth: how even its parts are, and how long workers take that pull them in turn."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from partitioners.cutter import Cut
from planner.model import PartSpec, UnitCosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What the parts of one cut take.

    Parameters
    ----------
    parts_s : tuple of float
        Of each part [s], in the order of the cut.
    order : tuple of int
        Positions of the parts as workers take them; empty is the order of the cut.
    wanted : int
        Parts that were asked for; those that would hold no file were not made.
    """

    parts_s: tuple[float, ...]
    order: tuple[int, ...] = ()
    wanted: int

    @property
    def total_s(self) -> float:
        """Return what one worker would take for all [s]."""
        return math.fsum(self.parts_s)

    @property
    def imbalance(self) -> float:
        """Return the longest part over a fair share (max/mean); 1 is perfect, 0 is nothing to do.

        A part that was wanted and not made counts as one that takes no time.
        """
        if not self.total_s:
            return 0.0
        return max(self.parts_s) * self.wanted / self.total_s

    def ideal_s(self, workers: int) -> float:
        """Return what so many workers would take if work could be divided at will [s]."""
        return self.total_s / workers

    def makespan_s(self, workers: int) -> float:
        """Return when the last part ends, if each free worker takes the next part [s]."""
        order = self.order or range(len(self.parts_s))
        return makespan_s([self.parts_s[part] for part in order], workers)


def makespan_s(parts_s: Sequence[float], workers: int) -> float:
    """Return when the last of these parts ends on so many workers [s]: list scheduling.

    Parameters
    ----------
    parts_s : sequence of float
        Lengths [s], in the order in which they are taken; each goes to the worker that is free
        first, as in dispatch (`planner.forecast`).
    workers : int
        At least 1.
    """
    free_at = [0.0] * workers
    for part_s in parts_s:
        heapq.heapreplace(free_at, free_at[0] + part_s)
    return max(free_at)


def dispatched(predicted_s: Sequence[float]) -> tuple[int, ...]:
    """Return the order in which parts of these predicted lengths go to workers.

    The longest first, and the later among equals, as `planner.backlog` has it.
    """
    return tuple(sorted(range(len(predicted_s)), key=lambda n: (predicted_s[n], n), reverse=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One strategy's cut of a request, and what its parts take.

    Parameters
    ----------
    strategy : str
        That was asked for.
    version : str
    fallback : str
        Why the cut is linear instead; empty where it is the strategy's own.
    parts : tuple of PartSpec
        Those that hold files.
    predicted : Times
        By what reading is believed to cost [reference s].
    measured : Times or None
        CPU time of really reading each part [s]; None where that was not tried.
    elapsed_s : tuple of float
        How long that took by the clock [s]; empty where it was not tried.
    """

    strategy: str
    version: str
    fallback: str
    parts: tuple[PartSpec, ...]
    predicted: Times
    measured: Times | None = None
    elapsed_s: tuple[float, ...] = ()


def tried(strategy: str, cut: Cut, costs: UnitCosts, wanted: int) -> Trial:
    """Return what a strategy's cut is predicted to take."""
    parts_s = tuple(costs.seconds(part.features) for part in cut.parts)
    return Trial(
        strategy=strategy,
        version=cut.version,
        fallback=cut.fallback,
        parts=cut.parts,
        predicted=Times(parts_s=parts_s, order=dispatched(parts_s), wanted=wanted),
    )
