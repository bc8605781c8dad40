"""What needs no solver: the floor under every cost, and loads that are known all at once.

Work is shared out over slots of nodes at will here, so all of it bounds the cost of whole parts
from below and the number of deadlines met from above.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.bound.terms import Demand, FleetTerms, Load, NodeTerms, first_known_at, load_of

RELEASES_TRIED_MAX = 200
"""Instants from which on the work within is held against time; more would make it slow."""

_ROUNDING = 1e-9  # what exceeds a whole number by no more is that number


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """The best for demands that become known together.

    Parameters
    ----------
    nodes : float
        Needed at once, with fractions.
    launches : int
        Needed in whole nodes.
    node_seconds : float
        What these cost at least, boots included [s].
    """

    nodes: float
    launches: int
    node_seconds: float


def together(demands: Sequence[Demand], one: NodeTerms, *, boots_ahead: bool = False) -> Together:
    """Return the best for demands that become known at the same instant.

    Notes
    -----
    m* = max over d of W(d) / (s v (d - r - b)), with W(d) the work due by d; nodes must be launched
    ceil(m*) times, and cost W / (s v) + b ceil(m*).
    """
    load = load_of(demands, first_known_at(demands))
    assert not len(load) or float(np.ptp(load.released_s)) == 0.0, "known at the same instant"
    nodes = peak_power(load, 0.0 if boots_ahead else one.boot_s) / one.power
    launches = whole(nodes)
    node_seconds = float(load.work_s.sum()) / one.power + one.boot_s * launches
    return Together(nodes=nodes, launches=launches, node_seconds=node_seconds)


def peak_power(load: Load, opens_s: float = -math.inf) -> float:
    """Return the work a second that must be possible at some time [reference s/s].

    It is the most work that is released and due within an interval, over its length; before
    `opens_s` no node can be ready.
    """
    if len(load) == 1:
        span_s = float(load.due_s[0]) - max(float(load.released_s[0]), opens_s)
        return float(load.work_s[0]) / span_s if span_s > 0 else math.inf
    by_due = load.taken(np.argsort(load.due_s))
    releases = np.unique(load.released_s)
    step = -(-len(releases) // RELEASES_TRIED_MAX) or 1
    peak = 0.0
    for start_s in releases[::step]:
        work_s = np.cumsum(np.where(by_due.released_s >= start_s, by_due.work_s, 0.0))
        spans_s = by_due.due_s - max(start_s, opens_s)
        some = work_s > 0
        if not some.any():
            continue
        if spans_s[some].min() <= 0:
            return math.inf
        peak = max(peak, float((work_s[some] / spans_s[some]).max()))
    return peak


def floor_cost(work_s: float, power: float, fleet: FleetTerms) -> float:
    """Return what some work costs at least: its time at the best price, and each boot needed.

    Parameters
    ----------
    work_s : float
        [reference s]
    power : float
        That must be possible at some time [reference s/s].
    fleet : FleetTerms
    """
    if work_s <= 0:
        return 0.0
    per_work = min(one.price_per_s / one.power for one in fleet.types)
    boot = min(one.price_per_s * one.boot_s for one in fleet.types)
    launches = launches_needed(power, fleet)
    return whole_quanta(work_s * per_work + boot * launches, launches, fleet)


def launches_needed(power: float, fleet: FleetTerms) -> int:
    """Return how many launches some work needs that must be possible at a time [reference s/s]."""
    return max(1, whole(power / max(one.power for one in fleet.types)))


def whole_quanta(cost: float, launches: int, fleet: FleetTerms) -> float:
    """Return a cost rounded up to what can be billed, where that is known."""
    prices = {one.price_per_s * one.quantum_s for one in fleet.types}
    if len(prices) > 1 or min(prices) <= 0:
        return cost
    (price,) = prices
    return max(launches, whole(cost / price)) * price


def whole(count: float) -> int:
    """Return the least whole number that is no less, but for rounding errors."""
    return math.ceil(count * (1.0 - _ROUNDING)) if count < math.inf else 2**62


def moore_hodgson(demands: Sequence[Demand], power: float, start_at: float) -> list[Demand]:
    """Return as many demands as can be done in time one after the other from an instant on.

    Parameters
    ----------
    demands : sequence of Demand
        Known by then.
    power : float
        [reference s/s]
    start_at : float
        [POSIX s]

    Notes
    -----
    Moore, Management Science 15 (1968): in the order of deadlines, and whenever one is not met the
    longest so far gives way. On nodes that share out every task at will it is exact.
    """
    if power <= 0:
        return []
    kept: list[tuple[float, int]] = []
    in_order = sorted(demands, key=lambda one: one.due_at)
    end_at = start_at
    for number, demand in enumerate(in_order):
        takes_s = demand.work_s / power
        heapq.heappush(kept, (-takes_s, number))
        end_at += takes_s
        if end_at > demand.due_at + 1e-6:
            end_at += heapq.heappop(kept)[0]
    return [in_order[number] for _, number in sorted(kept, key=lambda one: one[1])]
