"""The time that events are stamped with: the clock of this machine, but for its steps back.

What the planner puts off has an instant at which it comes. Were time to go back by an hour, all
that rests would wait for an hour longer, and what happened later would be taken to have come
before. So a step back is not taken: time passes somewhat more slowly until the machine's clock is
level again. Steps forward are taken, for a machine that slept has slept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

BEHIND_RATE = 0.9
"""So many seconds are told a second while the machine's clock is behind: an hour takes ten."""

STEP_TOLD_S = 2.0
"""Steps from so far on [s] are told; less is what a clock that is kept by NTP may do."""

_log = logging.getLogger(__name__)


class Clock:
    """Tells the time [POSIX s], never less than before; any thread may ask.

    Parameters
    ----------
    wall : callable
        Returns what the machine's clock says [POSIX s]; it may step.
    ticks : callable
        Returns what passes evenly [s].
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._ticks = wall, ticks
        self._lock = threading.Lock()
        self._at, self._ticked = wall(), ticks()
        self._offset_s = self._at - self._ticked
        self._ahead_s = 0.0

    def __call__(self) -> float:
        """Return the time [POSIX s]."""
        with self._lock:
            return self._look()

    @property
    def ahead_s(self) -> float:
        """How far the machine's clock is behind what is told [s]."""
        with self._lock:
            self._look()
            return self._ahead_s

    def not_before(self, at: float) -> None:
        """Go on from an instant [POSIX s] that was told in another life, if it is later."""
        with self._lock:
            self._at = max(self._look(), at)
            self._ahead_s = self._at - self._wall()
            if self._ahead_s >= STEP_TOLD_S:
                _log.warning(
                    "the clock of this machine is %.1f s behind what was written last;"
                    " the service's goes on from there, more slowly until both agree",
                    self._ahead_s,
                )

    def _look(self) -> float:
        ticks, wall = self._ticks(), self._wall()
        self._at = max(wall, self._at + (ticks - self._ticked) * BEHIND_RATE)
        self._ticked, self._ahead_s = ticks, self._at - wall
        stepped_s, self._offset_s = wall - ticks - self._offset_s, wall - ticks
        if abs(stepped_s) >= STEP_TOLD_S:
            _tell(stepped_s, self._ahead_s)
        return self._at


def _tell(stepped_s: float, ahead_s: float) -> None:
    """Log a step of the machine's clock."""
    if stepped_s > 0:
        _log.warning("the clock of this machine was set forward by %.1f s", stepped_s)
    else:
        words = "the clock of this machine was set back by %.1f s; the service's is %.1f s ahead"
        _log.warning(words + ", and goes more slowly until both agree", -stepped_s, ahead_s)


now = Clock()
"""Tells the time to all that stamp events, in this process [POSIX s]."""
