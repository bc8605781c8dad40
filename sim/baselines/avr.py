"""The load vector of Mao and Humphrey: every task spreads its work evenly up to its deadline."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.model import NodeOffer
from planner.ranking import Waiting
from planner.scaling.offers import cheapest_first
from planner.scaling.view import NodeView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class AvrMemory(Polled):
    """The load vector.

    Parameters
    ----------
    loads : tuple of (float, float, float)
        For each task that waits its number, when it is due [POSIX s], and the slots of speed 1 that
        it takes until then.
    """

    loads: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Avr(PollingRule[AvrMemory]):
    """Nodes for the sum of work / (deadline - release - boot) over the tasks that wait.

    Work and release are those of when a task was first seen; it counts until all its parts run or
    it is due. Idle nodes beyond the sum go; a paid quantum is used up first. While work waits a
    node stands.

    Parameters
    ----------
    period_s : float
        The paper names no default for its scaling interval; this is ours [s].

    Notes
    -----
    Source: M. Mao and M. Humphrey, SC 2011 (doi 10.1145/2063384.2063449), load vector; the sum is
    the average rate of Yao, Demers and Shenker, FOCS 1995. Sub-deadlines and consolidation between
    types are left out. An interval is never taken to be shorter than the task's longest part.
    """

    name: str = "avr"
    period_s: float = 10.0
    memory_type: ClassVar[type] = AvrMemory

    def poll(self, memory: AvrMemory, situation: Situation) -> tuple[AvrMemory, Wanted]:
        """Take new tasks into the load vector; have as many nodes as it says."""
        view = situation.view
        loads = self._loads(memory, situation)
        load = math.fsum(slots for _, due_at, slots in loads if due_at > view.now)
        needed = math.ceil(load / (situation.slots * situation.speed) - _ROUNDING)
        needed = max(needed, situation.least, 1 if situation.waiting > 0 else 0)
        reason = f"a load of {load:.2f} slots takes {needed} nodes"
        live = len(situation.live)
        ripe = [n for n in situation.idle if _may_leave(n, view.now, view.settings.margin_s)]
        return replace(memory, loads=loads), Wanted(
            launches=situation.launches(needed - live, reason),
            releases=releases(ripe[: max(0, live - needed)], reason),
        )

    def _loads(
        self, memory: AvrMemory, situation: Situation
    ) -> tuple[tuple[float, float, float], ...]:
        """Return the loads of the tasks that wait, new ones as they are seen now."""
        view = situation.view
        offer = next(iter(cheapest_first(view.offers, view.boots, 0.0, math.inf)), None)
        known = {load[0]: load for load in memory.loads}
        return tuple(
            known.get(task.key[-1])
            or (task.key[-1], task.due_at, self._density(task, offer, situation))
            for task in view.queue
            if view.now < task.due_at < math.inf
        )

    def _density(self, task: Waiting, offer: NodeOffer | None, situation: Situation) -> float:
        """Return the slots of speed 1 that a task takes from its release to its deadline."""
        view = situation.view
        lag_s = view.boots.quantile(offer.node_type, 0.5) if offer else 0.0
        span_s = task.due_at - view.now - lag_s
        return task.mean_s / max(span_s, task.longest_s / situation.speed)


_ROUNDING = 1e-9  # a sum of shares that should be whole is not rounded up for its last digit


def _may_leave(node: NodeView, now: float, margin_s: float) -> bool:
    """Tell whether a node is not paid for any longer, or nearly so."""
    if node.quantum_s <= 0:
        return True
    used_s = (now - node.requested_at) % node.quantum_s
    return node.quantum_s - used_s <= margin_s
