"""CLUES, which powers the nodes of an EC3 cluster on and off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from planner.scaling.view import Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, idle_since, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues(PollingRule[Polled]):
    """Every request gets a slot on a node that is idle, powered on, or to be powered on.

    Parameters
    ----------
    idle_s : float
        A node that is idle for longer [s] is powered off.
    boot_s_max : float
        A node that takes longer to come up [s] is not waited for.
    booting_max : int
        Nodes that may come up at the same time; 0 is no bound.

    Notes
    -----
    Source: CLUES as of 2025-10, clueslib/schedulers.py, etc/clues2.cfg-full-example:
    PERIOD_SCHEDULE, IDLE_TIME, MAX_WAIT_POWERON, MAX_BOOTING_NODES.
    """

    name: str = "clues"
    period_s: float = 5.0
    idle_s: float = 1800.0
    boot_s_max: float = 300.0
    booting_max: int = 0
    memory_type: ClassVar[type] = Polled

    def poll(self, memory: Polled, situation: Situation) -> tuple[Polled, Wanted]:
        """Power on what the requests lack, and off what has been idle for too long."""
        lacking = situation.nodes_short(self.boot_s_max)
        if self.booting_max > 0:
            lacking = min(lacking, max(0, self.booting_max - len(situation.booting)))
        reason = f"{situation.waiting} requests are not served"
        going = situation.idle_for(self.idle_s) if situation.waiting == 0 else []
        return memory, Wanted(
            launches=situation.launches(lacking, reason),
            releases=releases(going, f"idle for {self.idle_s:.0f} s"),
        )

    def idles(self, memory: Polled, situation: Situation) -> float:
        """Sleep until a node has been idle, or on its way, for too long."""
        young = [n for n in situation.booting if situation.now - n.requested_at < self.boot_s_max]
        ends = [node.requested_at + self.boot_s_max for node in young]
        ends += [idle_since(node) + self.idle_s for node in situation.idle]
        return min(ends, default=math.inf)
