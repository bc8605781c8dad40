"""The Kubernetes Cluster Autoscaler: nodes for pods without a place, slow to let go."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.scaling.view import Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, idle_since, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerMemory(Polled):
    """When nodes were last added [POSIX s]."""

    added_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAutoscaler(PollingRule[AutoscalerMemory]):
    """A pod is a part that wants one slot; a node is unneeded while it is empty.

    Parameters
    ----------
    boot_s_max : float
        A node that takes longer to come up [s] is not counted on.
    unneeded_s : float
        A node that is unneeded for so long [s] goes.
    delay_after_add_s : float
        None goes for so long after nodes were added [s].
    deletes_max : int
        Nodes that go at a time.

    Notes
    -----
    Source: Cluster Autoscaler, FAQ.md and flags.go as of 2026-08 (scan-interval,
    max-node-provision-time, scale-down-unneeded-time, scale-down-delay-after-add,
    max-scale-down-parallelism). Nodes in use by less than half are not emptied.
    """

    name: str = "cluster-autoscaler"
    period_s: float = 10.0
    boot_s_max: float = 900.0
    unneeded_s: float = 600.0
    delay_after_add_s: float = 600.0
    deletes_max: int = 10
    memory_type: ClassVar[type] = AutoscalerMemory

    def poll(
        self, memory: AutoscalerMemory, situation: Situation
    ) -> tuple[AutoscalerMemory, Wanted]:
        """Scale up for pods without a place; only if there are none, let nodes go."""
        short = situation.nodes_short(self.boot_s_max)
        launches = situation.launches(short, f"{situation.waiting} pods have no place")
        if launches:
            return replace(memory, added_at=situation.now), Wanted(launches=launches)
        if situation.waiting > 0 or situation.now < self._cool_at(memory):
            return memory, Wanted()
        going = situation.idle_for(self.unneeded_s)[: self.deletes_max]
        return memory, Wanted(releases=releases(going, f"unneeded for {self.unneeded_s:.0f} s"))

    def idles(self, memory: AutoscalerMemory, situation: Situation) -> float:
        """Sleep until a node has been unneeded for long enough, or a boot is given up."""
        young = [n for n in situation.booting if situation.now - n.requested_at < self.boot_s_max]
        ends = [node.requested_at + self.boot_s_max for node in young]
        ends += [
            max(idle_since(node) + self.unneeded_s, self._cool_at(memory))
            for node in situation.idle
        ]
        return min(ends, default=math.inf)

    def _cool_at(self, memory: AutoscalerMemory) -> float:
        return -math.inf if memory.added_at is None else memory.added_at + self.delay_after_add_s
