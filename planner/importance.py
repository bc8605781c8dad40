"""Which waiting task runs first: Eq. 1 of the source chapter, and the orders built on deadlines.

Every ttd shrinks alike as time passes and carries one shared weight, so no rank ever changes with
time: a task's key is computed from its deadline instead of its ttd, when it is cut, and again only
when estimates change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from planner.extent import Box, Extent, Period
from planner.settings import ImportanceWeights

Key = tuple[float, ...]

AREAS_MAX = 4096
"""Areas remembered: subscribers ask for the same boxes again with every update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a task brings into its ranking.

    Parameters
    ----------
    parameters : int
        Parameters wanted, |P| of Eq. 1 [count].
    time_range_s : float
        Time range of the request, open ends clipped to the data [s].
    area_km2 : float
    deadline_at : float or None
        [POSIX s]
    due_at : float
        Deadline less the reserve for combining and delivery [POSIX s]; infinite without a deadline.
    work_s : float
        Predicted run time of all its parts on one reference slot [s], whatever became of them: a
        key must not depend on when it was computed.
    ordinal : int
        Number of the task in order of arrival: breaks ties.
    yielding : bool
        Whether the task gives way: admission decided so, or it is late already.
    """

    parameters: int
    time_range_s: float
    area_km2: float
    deadline_at: float | None
    due_at: float
    work_s: float
    ordinal: int
    yielding: bool = False


def importance(claim: Claim, weights: ImportanceWeights, at: float = 0.0) -> float:
    """Return Imp(task) of Eq. 1 at an instant; higher runs first.

    Parameters
    ----------
    claim : Claim
    weights : ImportanceWeights
    at : float
        Instant at which ttd is measured [POSIX s]. The difference between two tasks does not depend
        on it, so ranking uses 0.

    Notes
    -----
    ``Imp = |P| w_P + ttd w_ttd + tr w_tr + area w_a`` with ttd in seconds, tr in days and area in
    10^6 km2. As printed, Eq. 1 names w_p twice and ranks the least urgent first under positive
    weights; ADR 1 tells what we do instead. Source: the chapter (doi 10.1007/978-3-030-52829-4_16).
    """
    ttd_s = 0.0 if claim.deadline_at is None else claim.deadline_at - at
    return (
        claim.parameters * weights.parameters
        + ttd_s * weights.ttd
        + claim.time_range_s / 86400.0 * weights.time_range
        + claim.area_km2 / 1e6 * weights.area
    )


def breadth(extents: Iterable[Extent]) -> tuple[int, float]:
    """Return how many parameters are wanted of all datasets, and the largest area [km2]."""
    each = list(extents)
    names = {name for extent in each for name in extent.parameters}
    return len(names), max(_area_km2(extent.box) for extent in each)


@lru_cache(maxsize=AREAS_MAX)
def _area_km2(box: Box) -> float:
    return box.area_km2


def time_range_s(periods: Iterable[Period]) -> float:
    """Return the span from the first start to the last end that is known [s]; 0 where one is not.

    Of the parts of a task: its open ends are then clipped to the data.
    """
    each = list(periods)
    starts = [period.start_at for period in each if period.start_at is not None]
    ends = [period.end_at for period in each if period.end_at is not None]
    return max(ends) - min(starts) if starts and ends else 0.0


ADMITTED, YIELDING, BEST_EFFORT = 0.0, 1.0, 2.0


def order_key(claim: Claim, order: str, weights: ImportanceWeights) -> Key:
    """Return the sort key of a task in a dispatch order; smaller runs first.

    Parameters
    ----------
    claim : Claim
    order : str
        ``deadline``: earliest due first, ties by importance; ``importance``: Eq. 1; ``laxity``:
        least time left over first. Tasks that yield come after those that do not, and tasks
        without a deadline after all others.
    weights : ImportanceWeights
    """
    rank = BEST_EFFORT if math.isinf(claim.due_at) else YIELDING if claim.yielding else ADMITTED
    worth = importance(claim, weights)
    due = 0.0 if rank == BEST_EFFORT else claim.due_at
    ordinal = claim.ordinal
    match order:
        case "deadline":
            return rank, due, -worth, ordinal
        case "importance":
            return rank, -worth, due, ordinal
        case _:
            assert order == "laxity", f"no order {order}"
            return rank, due - claim.work_s, -worth, ordinal


ORDERS = ("deadline", "importance", "laxity")
"""Names of the dispatch orders."""
