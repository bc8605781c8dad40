"""When a source is looked at next: at its interval, soon after something rests, later after faults.

Pure: the follower tells the time and throws the dice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

JITTER = 0.1
"""Share of a delay by which it is longer or shorter, so that not all ask at the same second."""

BACKOFF_S_MAX = 900.0
"""Longest pause after faults [s]: an archive that is back is found within a quarter of an hour."""

DOUBLINGS_MAX = 16
"""Faults in a row that still double the pause; by then it is longer than any limit."""

LOOK_S_MIN = 1.0
"""Shortest time between two looks [s], however often a change is announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often one source is looked at, and how that goes.

    Parameters
    ----------
    poll_s : float
        Between two looks that find nothing wrong [s].
    next_at : float
        When the next look is due [s of the follower's clock].
    faults : int
        Looks in a row that failed.
    """

    poll_s: float
    next_at: float = 0.0
    faults: int = 0

    def looked(self, now: float, chance: float, again_s: float | None = None) -> Pace:
        """Return the pace after a look that went well.

        Parameters
        ----------
        now : float
        chance : float
            In [0, 1), anew each time.
        again_s : float or None
            What is being written rests in this time [s].
        """
        delay_s = _jittered(self.poll_s, chance)
        if again_s is not None:
            # Never before it may have rested.
            delay_s = min(delay_s, max(LOOK_S_MIN, again_s * (1 + JITTER * chance)))
        return replace(self, next_at=now + delay_s, faults=0)

    def failed(self, now: float, chance: float) -> Pace:
        """Return the pace after a look that failed: each in a row doubles the pause."""
        doubled_s = self.poll_s * 2 ** min(self.faults, DOUBLINGS_MAX)
        delay_s = min(doubled_s, max(BACKOFF_S_MAX, self.poll_s))
        return replace(self, next_at=now + _jittered(delay_s, chance), faults=self.faults + 1)

    def poked(self, now: float) -> Pace:
        """Return the pace after an announcement: the next look is due now, or very soon."""
        return replace(self, next_at=min(self.next_at, now))

    def due_in_s(self, now: float, last_at: float | None) -> float:
        """Return how long to wait before the next look [s], the last one having begun then."""
        earliest = now if last_at is None else last_at + LOOK_S_MIN
        return max(0.0, max(self.next_at, earliest) - now)


def _jittered(delay_s: float, chance: float) -> float:
    return max(LOOK_S_MIN, delay_s * (1 - JITTER + 2 * JITTER * chance))
