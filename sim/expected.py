"""What is expected to arrive, learned from what has arrived: a period, and its mean course."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SLOT_S = 60.0
"""Arrivals are counted in slots of this length [s]."""

PAST_SLOTS_MAX = 14 * 1440
"""Two weeks: older arrivals are forgotten."""

CORRELATION_MIN, SIGMAS_MIN = 0.6, 4.0
"""A lag is a period when work correlates with itself over it so well, and by so many deviations of
what chance does: with random arrivals none is found."""

NEAR_BEST = 0.9
"""Of the lags that correlate nearly as well as the best the shortest is the period."""

JITTER_SLOTS = 2
"""Arrivals scatter by so many slots: what has not come by then is missed, and so is all that would
follow it."""


class Ask(NamedTuple):
    """Work that is there or expected: when it comes, when it is due [POSIX s], and how much [s]."""

    released_at: float
    due_at: float
    work_s: float


class Seen:
    """The arrivals of a run, slot by slot."""

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.count = 0
        self._slots: defaultdict[int, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )

    def note(self, at: float, due_s: float, work_s: float) -> None:
        """Take in work [reference s] that came at an instant [POSIX s] and is due so much later."""
        if self.began_at is None:
            self.began_at = at
        self.count += 1
        slot = self._slot(at)
        self._slots[slot][math.floor(due_s / SLOT_S)] += work_s
        for old in [each for each in self._slots if each < slot - PAST_SLOTS_MAX]:
            del self._slots[old]

    def period(self, now: float) -> int | None:
        """Return the period of arrivals in slots; None unless two of them were seen."""
        if self.began_at is None:
            return None
        last = self._slot(now)
        first = max(0, last - PAST_SLOTS_MAX)
        work = np.zeros(last - first + 1)
        for slot, dues in self._slots.items():
            if slot >= first:
                work[slot - first] = sum(dues.values())
        return period_of(work)

    def expected(self, now: float, horizon_s: float) -> Iterator[Ask]:
        """Return what is to arrive within a horizon [s] if all goes on as it did."""
        period = self.period(now)
        if period is None or self.began_at is None:
            return
        last = self._slot(now)
        for slot in range(last - JITTER_SLOTS, last + 1 + math.floor(horizon_s / SLOT_S)):
            alike = self._alike(slot, period, last)
            if not alike or (slot <= last and self._came_near(slot)):
                continue
            at = self.began_at + max(slot, last + 1) * SLOT_S
            for before in alike:
                for due, work_s in sorted(self._slots.get(before, {}).items()):
                    yield Ask(at, at + due * SLOT_S, work_s / len(alike))

    def _alike(self, slot: int, period: int, last: int) -> Sequence[int]:
        """Return the slots of whole periods before one; none if the latest was missed."""
        known = last - JITTER_SLOTS - 1  # What comes later may yet come.
        nearest = slot - period * max(1, math.ceil((slot - known) / period))
        if nearest < 0 or not self._came_near(nearest):
            return ()
        return range(nearest, max(-1, last - PAST_SLOTS_MAX - 1), -period)

    def _came_near(self, slot: int) -> bool:
        near = range(slot - JITTER_SLOTS, slot + JITTER_SLOTS + 1)
        return any(each in self._slots for each in near)

    def _slot(self, at: float) -> int:
        assert self.began_at is not None
        return math.floor((at - self.began_at) / SLOT_S)


def period_of(work: NDArray[np.float64]) -> int | None:
    """Return the lag over which a course repeats itself; None if there is none.

    Parameters
    ----------
    work : ndarray, shape (slots,)
        Work that arrived in each slot [reference s].
    """
    length = len(work)
    lags = np.arange((length - 1) // 2 + 1)
    centred = work - work.mean()
    variance = float(np.mean(centred**2))
    if len(lags) < 2 or variance <= 0:
        return None
    spectrum = np.fft.rfft(centred, 2 * length)
    sums = np.fft.irfft(spectrum * np.conj(spectrum))[: len(lags)]
    correlation = sums / (length - lags) / variance
    falling = np.flatnonzero(correlation <= 0)
    if not len(falling):
        return None
    correlation[: falling[0]] = -np.inf  # What a slow course has in common with itself just after.
    enough = np.maximum(CORRELATION_MIN, SIGMAS_MIN / np.sqrt(length - lags))
    if not np.any(correlation >= enough):
        return None
    best = float(correlation[correlation >= enough].max())
    beside = np.pad(correlation, 1, constant_values=-np.inf)
    peaks = (correlation >= beside[:-2]) & (correlation >= beside[2:])
    found = np.flatnonzero(peaks & (correlation >= np.maximum(enough, NEAR_BEST * best)))
    return int(found[0]) if len(found) else None
