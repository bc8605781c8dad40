"""What a set of slots can surely finish in time: the prefix rule's formula, and why it is sound.

A slot j is free from f_j on and does v_j reference seconds of work a second; v is the smallest v_j.
Parts are dispatched in a fixed order, each to the slot that is free first. Take the first parts of
that order, of total length W, none longer than l, and let S(t) = sum_j v_j max(0, t - f_j).

Theorem: if some f_j <= D and W <= l + S(D), with D = d - l/v, then all of them are finished by d.

Proof. Suppose a part of length p <= l ends after d. It then started at a time s > d - p/v >= D,
and until s every slot was busy with parts before it, so S(s) <= W - p. But from D on S grows by at
least v a second, as some slot is free by then: S(s) > S(d - p/v) >= S(D) + v (l/v - p/v), which is
S(D) + l - p. Together W - p > S(D) + l - p, that is W > l + S(D): a contradiction.

The lengths within W may be anything up to l, so this holds for any cut, and tasks in any order.
What it does not promise may still succeed: the forecast (`planner.forecast`) tells. Graham's bound
for list scheduling (SIAM J. Appl. Math. 17, 1969) is the case of equal slots, all free at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple


class Slot(NamedTuple):
    """A worker: free from an instant on [POSIX s], doing `speed` reference seconds a second."""

    free_at: float
    speed: float = 1.0


class Supply:
    """The work that some slots can do by any instant.

    Parameters
    ----------
    slots : iterable of Slot
        Those that are never free are left out.

    Attributes
    ----------
    first_free_at : float
        When the first slot is free [POSIX s]; infinite without slots.
    slowest : float
        Speed of the slowest slot; infinite without slots.
    """

    __slots__ = ("_fastest_first", "_free_s", "_speeds", "_weighted", "first_free_at", "slowest")

    def __init__(self, slots: Iterable[Slot]) -> None:
        usable = sorted(slot for slot in slots if slot.free_at < math.inf)
        self.first_free_at = usable[0].free_at if usable else math.inf
        self.slowest = min((slot.speed for slot in usable), default=math.inf)
        # Seconds since the first is free: differences of POSIX instants keep their digits so.
        self._free_s = [slot.free_at - self.first_free_at for slot in usable]
        self._speeds = [0.0, *accumulate(slot.speed for slot in usable)]
        products = (f * slot.speed for f, slot in zip(self._free_s, usable, strict=True))
        self._weighted = [0.0, *accumulate(products)]
        firsts: dict[float, float] = {}
        for slot in usable:
            firsts.setdefault(slot.speed, slot.free_at)
        self._fastest_first = sorted(firsts.items(), reverse=True)

    def by(self, instant: float) -> float:
        """Return S(t): the work that can be done by an instant [reference s]."""
        if instant <= self.first_free_at:
            return 0.0
        elapsed_s = instant - self.first_free_at
        count = bisect_right(self._free_s, elapsed_s)
        return elapsed_s * self._speeds[count] - self._weighted[count]

    def shortfall(self, work_s: float, longest_s: float, due_at: float) -> float:
        """Return by how much the theorem's condition fails [reference s]; at most 0 if it holds.

        Parameters
        ----------
        work_s, longest_s : float
            W and l [reference s].
        due_at : float
            d [POSIX s].
        """
        latest_start_at = due_at - longest_s / self.slowest
        first_free_at = self.first_free_at
        if latest_start_at < first_free_at:
            return max(work_s - longest_s, _LEAST_S)
        if latest_start_at == first_free_at:
            return work_s - longest_s
        # `by`, without a call: it is asked of every prefix that is looked at.
        elapsed_s = latest_start_at - first_free_at
        count = bisect_right(self._free_s, elapsed_s)
        return work_s - longest_s - (elapsed_s * self._speeds[count] - self._weighted[count])

    def soonest(self, length_s: float) -> float:
        """Return when a part of this length [reference s], alone, could end [POSIX s]."""
        ends = (free_at + length_s / speed for speed, free_at in self._fastest_first)
        return min(ends, default=math.inf)


_LEAST_S = 1e-9
