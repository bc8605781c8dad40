"""Gives deadlines to jobs of systems that knew none."""

from __future__ import annotations

from dataclasses import dataclass

from sim.chance import Chance

FACTOR = 3.0
"""A job that may take three times as long as was asked for can wait twice its own length."""

GRACE_S = 600.0
"""Beside it: a boot of a few minutes and the delivery. Without it a job of seconds would be due
before any node could be up, and only a fleet that never sleeps could meet it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineRule:
    """A job is due so long after its arrival: ``factor * requested + grace_s``.

    Parameters
    ----------
    factor : float
        Of the run time that was asked for: what its owner could know beforehand, unlike the true
        one.
    grace_s : float
        Added to it [s].
    spread : float
        The factor of each job is drawn evenly between ``factor * (1 - spread)`` and
        ``factor * (1 + spread)``; 0 draws nothing.
    seed : int
        The same seed gives a job the same deadline.
    """

    factor: float = FACTOR
    grace_s: float = GRACE_S
    spread: float = 0.0
    seed: int = 0

    def deadline_s(self, job_id: str, requested_s: float) -> float:
        """Return when a job is due after its arrival [s]."""
        factor = self.factor
        if self.spread > 0:
            chance = Chance(seed=self.seed)
            low, high = 1.0 - self.spread, 1.0 + self.spread
            factor *= chance.between(low, high, "deadline", job_id)
        return factor * requested_s + self.grace_s
