"""Target tracking on the backlog per instance, as AWS documents it for queues."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.scaling.view import Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsMemory(Polled):
    """How many polls in a row the backlog was above and below its target."""

    above: int = 0
    below: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsBacklog(PollingRule[AwsMemory]):
    """As many instances as work each its share of the queue off within an acceptable latency.

    Parameters
    ----------
    latency_s : float
        What is acceptable [s].
    out_polls, in_polls : int
        Polls in a row above or below the target after which it scales out or in.

    Notes
    -----
    Source: Amazon EC2 Auto Scaling user guide, "Scaling policy based on Amazon SQS", 2026-08:
    target = acceptable latency / mean time that a message takes. The alarms' 3 and 15 minutes are
    target tracking's usual ones, not part of that page.
    """

    name: str = "aws-backlog"
    period_s: float = 60.0
    latency_s: float = 300.0
    out_polls: int = 3
    in_polls: int = 15
    memory_type: ClassVar[type] = AwsMemory

    def poll(self, memory: AwsMemory, situation: Situation) -> tuple[AwsMemory, Wanted]:
        """Count how long the backlog has been off its target; scale when it was for long enough."""
        waiting, instances = situation.waiting, len(situation.ready)
        in_step = waiting / self.target(situation) if waiting else 0.0
        above, below = in_step > instances, in_step < instances
        memory = replace(
            memory,
            above=memory.above + 1 if above else 0,
            below=memory.below + 1 if below else 0,
        )
        capacity, desired = len(situation.live), math.ceil(in_step)
        reason = f"{waiting} parts wait for {instances} instances: {desired} are desired"
        if memory.above >= self.out_polls:
            return memory, Wanted(launches=situation.launches(desired - capacity, reason))
        if memory.below >= self.in_polls:
            spare = max(0, capacity - desired)
            going = [*situation.booting, *situation.idle][:spare]
            return memory, Wanted(releases=releases(going, reason))
        return memory, Wanted()

    def target(self, situation: Situation) -> float:
        """Return the acceptable backlog of an instance [parts]; its slots share the parts."""
        mean_s = situation.work_s / situation.waiting / situation.speed
        return self.latency_s / (mean_s / situation.slots)
