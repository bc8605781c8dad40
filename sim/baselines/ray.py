"""Ray's autoscaler, version 2: pack the demands, launch for the rest, end what is long idle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from planner.scaling.view import Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, idle_since, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray(PollingRule[Polled]):
    """A demand is a part that wants one slot.

    Parameters
    ----------
    idle_s : float
        A node that is idle for so long [s] ends, unless a demand was placed on it.
    upscaling_speed, launches_min : float and int
        Nodes on their way are at most so many times those that stand, or `launches_min` if that is
        more.

    Notes
    -----
    Source: Ray as of 2026-08, python/ray/autoscaler/v2/scheduler.py; defaults as documented.
    """

    name: str = "ray"
    period_s: float = 5.0
    idle_s: float = 300.0
    upscaling_speed: float = 1.0
    launches_min: int = 5
    memory_type: ClassVar[type] = Polled

    def poll(self, memory: Polled, situation: Situation) -> tuple[Polled, Wanted]:
        """Launch for the demands that fit nowhere; end idle nodes."""
        on_their_way = len(situation.booting)
        speed_limit = math.floor(self.upscaling_speed * len(situation.ready))
        room = max(0, max(self.launches_min, speed_limit) - on_their_way)
        reason = f"{situation.waiting} demands wait, {on_their_way} nodes are on their way"
        # While a demand waits, every slot that is free has one placed on it.
        going = situation.idle_for(self.idle_s) if situation.waiting == 0 else []
        return memory, Wanted(
            launches=situation.launches(min(situation.nodes_short(), room), reason),
            releases=releases(going, f"idle for {self.idle_s:.0f} s"),
        )

    def idles(self, memory: Polled, situation: Situation) -> float:
        """Sleep until a node has been idle for long enough."""
        ends = [idle_since(node) + self.idle_s for node in situation.idle]
        return min(ends, default=math.inf)
