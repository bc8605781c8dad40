"""The worker factory of Work Queue and TaskVine: a few workers a cycle, which end by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from planner.scaling.view import ScalingView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import SOON_S, Situation, idle_since, is_idle, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskVineFactory(PollingRule[Polled]):
    """A worker is a node, its cores are the slots.

    Parameters
    ----------
    workers_per_cycle : int
        Workers that may be on their way at the same time.
    idle_s : float
        A worker that is idle for so long [s] ends by itself.

    Notes
    -----
    Source: cctools as of 2026-08, vine_factory.c; work_queue_factory.c has the same constants.
    Its least number of workers, 5, is the setting nodes_min.
    """

    name: str = "taskvine-factory"
    period_s: float = 30.0
    workers_per_cycle: int = 5
    idle_s: float = 300.0
    memory_type: ClassVar[type] = Polled

    def poll(self, memory: Polled, situation: Situation) -> tuple[Polled, Wanted]:
        """Submit what is needed beyond what was submitted, a few at a time."""
        tasks = situation.waiting + situation.running
        needed = max(situation.least, min(math.ceil(tasks / situation.slots), situation.cap))
        submitted, on_their_way = len(situation.view.nodes), len(situation.booting)
        new = needed - submitted
        if new + on_their_way > self.workers_per_cycle:
            new = max(0, self.workers_per_cycle - on_their_way)
        reason = f"{tasks} tasks need {needed} workers, {submitted} were submitted"
        return memory, Wanted(launches=situation.launches(new, reason))

    def always(self, memory: Polled, view: ScalingView) -> tuple[Polled, Wanted]:
        """Let every worker end that has been idle for too long."""
        ends = [(idle_since(node) + self.idle_s, node) for node in view.nodes if is_idle(node)]
        going = [node for at, node in ends if at <= view.now + SOON_S]
        later = min((at for at, _ in ends if at > view.now + SOON_S), default=None)
        wanted = Wanted(
            releases=releases(going, f"idle for {self.idle_s:.0f} s"),
            wake_at=later,
            wake_reason="" if later is None else "an idle worker ends",
        )
        return memory, wanted

    def idles(self, memory: Polled, situation: Situation) -> float:
        """Sleep when nothing was to be submitted: only events change that."""
        return math.inf
