"""What a picture needs of one run: few numbers, whatever the run's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.chronicle import POINTS_MAX, Chronicle, Moments
from sim.simulator import Demand, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A quantity over time; each value holds until the next instant.

    Parameters
    ----------
    at_s : tuple of float
        After the start [s].
    values : tuple of float
    """

    at_s: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is drawn of a run.

    Parameters
    ----------
    slacks_s : tuple of float
        At each of `sim.chronicle.PERCENTILES` [s]; empty where nothing was due.
    moments : Moments or None
        Only where a run is drawn over time.
    demand : Line
        Workers that would be busy if each task's work was spread evenly over its time.
    """

    slacks_s: tuple[float, ...]
    moments: Moments | None = None
    demand: Line = Line()


def sketch_of(run: Run, chronicle: Chronicle, *, over_time: bool) -> Sketch:
    """Return what is drawn of a run."""
    slacks_s = chronicle.slacks_s()
    if not over_time:
        return Sketch(slacks_s=slacks_s)
    speed = max(kind.runs_at for kind in run.scenario.fleet)
    return Sketch(
        slacks_s=slacks_s,
        moments=chronicle.moments().thinned(),
        demand=even_demand(run.demands, run.outcome.began_at, speed),
    )


def even_demand(demands: Sequence[Demand], began_at: float, speed: float) -> Line:
    """Return the workers that even progress needs: each task's work over its time to the deadline.

    Parameters
    ----------
    demands : sequence of Demand
        Those without a deadline ask for nothing.
    began_at : float
        [POSIX s]
    speed : float
        Of a worker [reference s/s].
    """
    due = [one for one in demands if one.deadline_at is not None]
    if not due:
        return Line()
    begins_at = np.array([one.released_at for one in due])
    ends_at = np.array([one.deadline_at for one in due], dtype=np.float64)
    workers = np.array([one.work_s for one in due]) / speed / np.maximum(1.0, ends_at - begins_at)
    at = np.concatenate((begins_at, ends_at)) - began_at
    change = np.concatenate((workers, -workers))
    instants, inverse = np.unique(at, return_inverse=True)
    level = np.cumsum(np.bincount(inverse, weights=change)).clip(min=0.0)
    if len(instants) > POINTS_MAX:
        edges = np.linspace(instants[0], instants[-1], POINTS_MAX + 1)[:-1]
        first = np.unique(np.searchsorted(instants, edges).clip(max=len(instants) - 1))
        instants, level = instants[first], np.maximum.reduceat(level, first)
    return Line(at_s=tuple(instants.tolist()), values=tuple(level.tolist()))
