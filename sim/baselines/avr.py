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
    loads : tuple of (float, float)
        Deadlines to come [POSIX s], and the slots of speed 1 that tasks due then take until then.
    seen : float
        Number of the last task that is in it.
    """

    loads: tuple[tuple[float, float], ...] = ()
    seen: float = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Avr(PollingRule[AvrMemory]):
    """Nodes for the sum of work / (deadline - release - boot) over the tasks not yet due.

    Work and release are those of when a task was first seen. Idle nodes beyond the sum go, and all
    idle ones when nothing waits; a paid quantum is used up first. While work waits a node stands.

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
        memory = self._with_arrivals(memory, situation)
        load = sum(slots for _, slots in memory.loads)
        needed = math.ceil(load / (situation.slots * situation.speed) - _ROUNDING)
        needed = max(needed, situation.least, 1 if situation.waiting > 0 else 0)
        reason = f"a load of {load:.2f} slots takes {needed} nodes"
        live = len(situation.live)
        spare = live - needed if situation.waiting > 0 else live - situation.least
        ripe = [n for n in situation.idle if _leaves_at(n, view.now, view.settings.margin_s)]
        going = ripe[: max(0, spare)]
        # An idle fleet whose work is done early is not topped up: there is nothing to run.
        more = needed - live if situation.waiting > 0 else 0
        return memory, Wanted(
            launches=situation.launches(more, reason), releases=releases(going, reason)
        )

    def _with_arrivals(self, memory: AvrMemory, situation: Situation) -> AvrMemory:
        view = situation.view
        loads = {due_at: slots for due_at, slots in memory.loads if due_at > view.now}
        offer = next(iter(cheapest_first(view.offers, view.boots, 0.0, math.inf)), None)
        seen = memory.seen
        for task in view.queue:
            if task.key[-1] > memory.seen:
                seen = max(seen, task.key[-1])
                if view.now < task.due_at < math.inf:
                    slots = self._density(task, offer, situation)
                    loads[task.due_at] = loads.get(task.due_at, 0.0) + slots
        now_in = tuple(sorted(loads.items()))
        if seen == memory.seen and now_in == memory.loads:
            return memory
        return replace(memory, loads=now_in, seen=seen)

    def _density(self, task: Waiting, offer: NodeOffer | None, situation: Situation) -> float:
        """Return the slots of speed 1 that a task takes from its release to its deadline."""
        view = situation.view
        lag_s = view.boots.quantile(offer.node_type, 0.5) if offer else 0.0
        span_s = task.due_at - view.now - lag_s
        return task.mean_s / max(span_s, task.longest_s / situation.speed)


_ROUNDING = 1e-9  # a sum of shares that should be whole is not rounded up for its last digit


def _leaves_at(node: NodeView, now: float, margin_s: float) -> bool:
    """Tell whether a node is not paid for any longer, or nearly so."""
    if node.quantum_s <= 0:
        return True
    used_s = (now - node.requested_at) % node.quantum_s
    return node.quantum_s - used_s <= margin_s
