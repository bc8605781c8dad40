"""Toil's cluster scaler: the fewest nodes on which every job starts within a target time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.scaling.view import Keep, NodePhase, NodeView, ScalingView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class ToilMemory(Polled):
    """What the scaler remembers.

    Parameters
    ----------
    estimate : float
        Smoothed number of nodes.
    mean_s : float or None
        Mean length of a job, as of when one last waited [reference s].
    """

    estimate: float = 0.0
    mean_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Toil(PollingRule[ToilMemory]):
    """Jobs of one name, and so of one expected length, queue behind each other on a slot.

    Parameters
    ----------
    target_time_s : float
        A job may be put behind others if it starts by then [s].
    beta_inertia : float
        Weight of the estimate before.
    unknown_s : float
        Length of a job of which nothing is known [s].

    Notes
    -----
    Source: Toil as of 2026-07, src/toil/provisioners/clusterScaler.py. First fit, longest first, of
    jobs of one length is the closed form floor(targetTime / length) + 1 jobs a slot.
    """

    name: str = "toil-1800"
    period_s: float = 60.0
    target_time_s: float = 1800.0
    beta_inertia: float = 0.1
    unknown_s: float = 1.0
    memory_type: ClassVar[type] = ToilMemory

    def poll(self, memory: ToilMemory, situation: Situation) -> tuple[ToilMemory, Wanted]:
        """Use nodes again that drain, then add; or drain those with the fewest jobs."""
        if situation.waiting > 0:
            memory = replace(memory, mean_s=situation.work_s / situation.waiting)
        raw = self.packed(memory, situation)
        estimate = (1.0 - self.beta_inertia) * raw + self.beta_inertia * memory.estimate
        memory = replace(memory, estimate=estimate)
        wanted = math.floor(estimate + 0.5)
        wanted = max(situation.least, min(wanted, situation.cap))
        more = wanted - len(situation.live)
        reason = f"jobs start within {self.target_time_s:.0f} s on {wanted} nodes"
        if more < 0:
            going = sorted(situation.live, key=lambda node: _worth(node, situation.now))[:-more]
            return memory, Wanted(releases=releases(going, reason))
        used_again = situation.draining[: max(0, more)]
        return memory, Wanted(
            keeps=tuple(Keep(node_id=node.node_id, reason=reason) for node in used_again),
            launches=situation.launches(more - len(used_again), reason),
        )

    def packed(self, memory: ToilMemory, situation: Situation) -> int:
        """Return the nodes on which all jobs start in time."""
        jobs = situation.waiting + situation.running
        wall_s = (memory.mean_s or self.unknown_s) / situation.speed
        per_slot = math.floor(self.target_time_s / wall_s) + 1
        return math.ceil(jobs / (situation.slots * per_slot))

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return the room that is left in the fleet, and the draining nodes."""
        room = view.nodes_allowed if view.offers else 0
        return room + sum(node.phase is NodePhase.DRAINING for node in view.nodes)


def _worth(node: NodeView, now: float) -> tuple[int, float]:
    """Return the jobs of a node, and what is left of the time that it is paid for [s]."""
    # Of a node that boots the scaler knows nothing, and takes it to have a job.
    jobs = 1 if node.phase is NodePhase.BOOTING else len(node.busy_until)
    quantum_s = node.quantum_s
    left_s = quantum_s - (now - node.requested_at) % quantum_s if quantum_s > 0 else 0.0
    return jobs, left_s
