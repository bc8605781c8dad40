"""KEDA's rules: a job for each message (ScaledJob), or replicas by queue length (ScaledObject)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from planner.scaling.view import NodePhase, ScalingView, Wanted
from sim.baselines.polling import Polled, PollingRule, coming, following
from sim.baselines.situation import SOON_S, Situation, releases

Strategy = Literal["default", "accurate", "eager"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaJob(PollingRule[Polled]):
    """One pod of one slot for each waiting part.

    A job takes one message and ends. Here a pod drains as soon as it has taken its part, so that it
    gets no other, and goes when that part ends; a pod that finds no part goes at once. Nothing is
    ever killed.

    Parameters
    ----------
    strategy : str
        ``default`` counts the parts that run as waiting: their messages are locked, not gone.
        ``accurate`` and ``eager`` count those that wait.
    target_parts : float
        Parts for each job.

    Notes
    -----
    Source: KEDA 2.20, pkg/scaling/executor/scale_jobs.go, and pkg/scaling/scaledjob/metrics.go.
    """

    name: str = "keda-job"
    period_s: float = 30.0
    strategy: Strategy = "default"
    target_parts: float = 1.0
    memory_type: ClassVar[type] = Polled
    pods: ClassVar[bool] = True

    def poll(self, memory: Polled, situation: Situation) -> tuple[Polled, Wanted]:
        """Create the jobs that the strategy finds lacking."""
        waiting = situation.waiting
        queue = waiting + (situation.running if self.strategy == "default" else 0)
        if queue == 0:
            return memory, Wanted()
        jobs, pending = len(situation.view.nodes), len(situation.booting)
        room = situation.cap - situation.least
        max_scale = math.ceil(min(queue / self.target_parts, room))
        if jobs < situation.least:
            created = situation.least - jobs
        else:
            lacking = self._lacking(max_scale, jobs - situation.least, pending, room)
            created = min(room if self.strategy == "eager" else queue, lacking)
        reason = f"{waiting} parts wait, {jobs} jobs are there and {pending} of them are pending"
        return memory, Wanted(launches=situation.launches(created, reason))

    def _lacking(self, max_scale: int, jobs: int, pending: int, room: int) -> int:
        match self.strategy:
            case "default":
                return max_scale - jobs
            case "accurate":
                full = max_scale + jobs - pending > room
                return room - jobs if full else max_scale - pending
            case "eager":
                return min(room - jobs - pending, max_scale)

    def always(self, memory: Polled, view: ScalingView) -> tuple[Polled, Wanted]:
        """Let every pod go that has taken its part, or that finds none."""
        done = (node for node in view.nodes if node.phase is NodePhase.READY)
        return memory, Wanted(releases=releases(done, "a job takes one part and ends"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaMemory(Polled):
    """What the autoscaler and KEDA remember.

    Parameters
    ----------
    triggered_at : float or None
        When KEDA polls next [POSIX s].
    active_at : float or None
        When KEDA last saw a part [POSIX s].
    recommended : tuple of (float, int)
        Replicas that the autoscaler found right, and when [POSIX s].
    """

    triggered_at: float | None = None
    active_at: float | None = None
    recommended: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaHpa(PollingRule[HpaMemory]):
    """A Deployment scaled by the parts for each replica; a replica is a node.

    KEDA scales between none and one, the horizontal pod autoscaler above that.

    Parameters
    ----------
    target_parts : float or None
        Parts for each replica; None is one for each slot.
    tolerance : float
        The autoscaler leaves be what is off by no more than this share.
    down_window_s : float
        It scales down to the most that it found right within this time [s].
    up_nodes, up_factor : int and float
        It adds this many, or grows by this factor, in a period, whichever is more.
    trigger_s : float
        KEDA polls this frequently [s].
    cooldown_s : float
        KEDA scales to none when it has seen no part for this long [s].

    Notes
    -----
    Source: KEDA 2.20, pkg/scaling/executor/scale_scaledobjects.go, and Kubernetes as of 2026-08,
    pkg/controller/podautoscaler. Of replicas that are too many only idle ones go.
    """

    name: str = "keda-hpa"
    period_s: float = 15.0
    target_parts: float | None = None
    tolerance: float = 0.1
    down_window_s: float = 300.0
    up_nodes: int = 4
    up_factor: float = 2.0
    trigger_s: float = 30.0
    cooldown_s: float = 300.0
    memory_type: ClassVar[type] = HpaMemory

    def poll(self, memory: HpaMemory, situation: Situation) -> tuple[HpaMemory, Wanted]:
        """Sync the autoscaler, and poll KEDA's trigger every second time."""
        now, parts = situation.now, situation.waiting + situation.running
        replicas = len(situation.live)
        triggered_at = memory.triggered_at
        if triggered_at is not None and triggered_at < now - self.trigger_s:
            triggered_at = None  # it slept meanwhile
        triggered_at = coming(triggered_at, self.trigger_s, now)
        active_at = memory.active_at
        triggers = now >= triggered_at - SOON_S
        if triggers:
            triggered_at = following(self.trigger_s, now)
            active_at = now if parts > 0 else active_at
        want, recommended = self._replicas(memory, situation, replicas)
        if triggers and parts > 0 and replicas == 0:
            want = max(1, situation.least)
        elif triggers and parts == 0 and now - (active_at or 0.0) > self.cooldown_s:
            want = situation.least
        memory = HpaMemory(
            next_at=memory.next_at,
            triggered_at=triggered_at,
            active_at=active_at,
            recommended=recommended,
        )
        reason = f"{parts} parts for {replicas} replicas: {want} are right"
        going = [*situation.booting, *situation.idle][: max(0, replicas - want)]
        return memory, Wanted(
            launches=situation.launches(want - replicas, reason),
            releases=releases(going, reason),
        )

    def _replicas(
        self, memory: HpaMemory, situation: Situation, replicas: int
    ) -> tuple[int, tuple[tuple[float, int], ...]]:
        """Return how many replicas the autoscaler sets, and what it recommended of late."""
        since = situation.now - self.down_window_s
        recent = tuple((at, count) for at, count in memory.recommended if at > since)
        if replicas == 0:
            return 0, recent
        target = self.target_parts or situation.slots
        parts = situation.waiting + situation.running
        ratio = parts / (target * replicas)
        near = 1.0 - self.tolerance <= ratio <= 1.0 + self.tolerance
        right = max(1, replicas if near else math.ceil(parts / target))
        recent = (*recent, (situation.now, right))
        if right > replicas:
            most = max(replicas + self.up_nodes, math.ceil(replicas * self.up_factor))
            return min(right, most, situation.cap), recent
        return min(replicas, max(count for _, count in recent)), recent
