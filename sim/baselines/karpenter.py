"""Karpenter in the form that matters here: batched launches, and empty nodes go."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.scaling.view import ScalingView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import SOON_S, Situation, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class KarpenterMemory(Polled):
    """The open batch, and the nodes that are about to go.

    Parameters
    ----------
    opened_at, fed_at : float or None
        When the batch was opened, and when a pod last joined it [POSIX s]; None without one.
    pods : int
        Parts that waited then.
    emptied : tuple of str
        Nodes that were found empty.
    validated_at : float or None
        When they are looked at again [POSIX s]; None once that is done.
    """

    opened_at: float | None = None
    fed_at: float | None = None
    pods: int = 0
    emptied: tuple[str, ...] = ()
    validated_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Karpenter(PollingRule[KarpenterMemory]):
    """A pod is a part that wants one slot; `period_s` is that of the disruption loop.

    Parameters
    ----------
    batch_idle_s, batch_s_max : float
        A batch closes when no pod has joined it for the first, or the second after it opened [s].
    consolidate_after_s : float
        A node must have been empty for so long [s].
    validation_s : float
        Nodes that are to go are looked at again so much later [s].
    budget : float
        Share of the nodes, rounded up, that may go at the same time.

    Notes
    -----
    Source: Karpenter as of 2026-08, pkg/controllers/provisioning and pkg/controllers/disruption.
    Consolidation of nodes that are not empty is left out.
    """

    name: str = "karpenter"
    period_s: float = 10.0
    batch_idle_s: float = 1.0
    batch_s_max: float = 10.0
    consolidate_after_s: float = 0.0
    validation_s: float = 15.0
    budget: float = 0.10
    memory_type: ClassVar[type] = KarpenterMemory

    def always(self, memory: KarpenterMemory, view: ScalingView) -> tuple[KarpenterMemory, Wanted]:
        """Feed and close the batch; let the nodes go that are still empty after validation."""
        situation = Situation(view)
        memory, launching = self._batched(memory, situation)
        memory, removing = self._validated(memory, situation)
        wakes = [w for w in (launching.wake_at, removing.wake_at) if w is not None]
        wake_at = min(wakes, default=None)
        return memory, Wanted(
            launches=launching.launches,
            releases=removing.releases,
            wake_at=wake_at,
            wake_reason="" if wake_at is None else "a batch closes, or nodes are looked at again",
        )

    def poll(self, memory: KarpenterMemory, situation: Situation) -> tuple[KarpenterMemory, Wanted]:
        """Choose empty nodes to go, unless some are being validated."""
        if memory.validated_at is not None:
            return memory, Wanted()
        ripe = situation.idle_for(self.consolidate_after_s) if situation.waiting == 0 else []
        # Those that were let go at this very instant still stand in the view.
        ripe = [node for node in ripe if node.node_id not in memory.emptied]
        chosen = ripe[: math.ceil(self.budget * len(situation.live))]
        validated_at = situation.now + self.validation_s if chosen else None
        emptied = tuple(node.node_id for node in chosen)
        return replace(memory, emptied=emptied, validated_at=validated_at), Wanted()

    def _batched(
        self, memory: KarpenterMemory, situation: Situation
    ) -> tuple[KarpenterMemory, Wanted]:
        short, now, pods = situation.nodes_short(), situation.now, situation.waiting
        if short == 0 or situation.view.nodes_allowed == 0:
            if memory.opened_at is None:
                return memory, Wanted()
            return replace(memory, opened_at=None, fed_at=None, pods=0), Wanted()
        if memory.opened_at is None or memory.fed_at is None:
            memory = replace(memory, opened_at=now, fed_at=now, pods=pods)
        elif pods > memory.pods:
            memory = replace(memory, fed_at=now, pods=pods)
        elif pods < memory.pods:
            memory = replace(memory, pods=pods)
        assert memory.opened_at is not None
        assert memory.fed_at is not None
        closes_at = min(memory.fed_at + self.batch_idle_s, memory.opened_at + self.batch_s_max)
        if now < closes_at - SOON_S:
            return memory, Wanted(wake_at=closes_at)
        reason = f"{pods} pods wait, {short} nodes short"
        launches = situation.launches(short, reason)
        return replace(memory, opened_at=None, fed_at=None, pods=0), Wanted(launches=launches)

    def _validated(
        self, memory: KarpenterMemory, situation: Situation
    ) -> tuple[KarpenterMemory, Wanted]:
        if memory.validated_at is None:
            return memory, Wanted()
        if situation.now < memory.validated_at - SOON_S:
            return memory, Wanted(wake_at=memory.validated_at)
        still = [node for node in situation.idle if node.node_id in memory.emptied]
        going = still if situation.waiting == 0 else []
        emptied = tuple(node.node_id for node in going)
        memory = replace(memory, emptied=emptied, validated_at=None)
        return memory, Wanted(releases=releases(going, "empty, and still so when looked at again"))
