"""Parsl's strategies: a slot for every task, and blocks that go when idle."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.scaling.view import NodeView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import SOON_S, Situation, idle_since, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class ParslMemory(Polled):
    """What a strategy remembers.

    Parameters
    ----------
    began : bool
        Whether the initial blocks were asked for.
    idle_since : float or None
        Since when there has been no task [POSIX s].
    """

    began: bool = False
    idle_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsl(PollingRule[ParslMemory]):
    """A block is a node.

    Parameters
    ----------
    scales_in_idle_blocks : bool
        ``htex_auto_scale``: idle blocks go while others work. ``simple`` lets go only when there is
        no task at all.
    max_idletime_s : float
        How long it must be idle for that [s].
    init_blocks : int
        Asked for at the first poll.
    parallelism : float
        Slots for each task.

    Notes
    -----
    Source: Parsl as of 2026-08, parsl/jobs/strategy.py; the numbers in brackets are its cases.
    """

    name: str = "parsl-simple"
    period_s: float = 5.0
    scales_in_idle_blocks: bool = False
    max_idletime_s: float = 120.0
    init_blocks: int = 1
    parallelism: float = 1.0
    memory_type: ClassVar[type] = ParslMemory

    def poll(self, memory: ParslMemory, situation: Situation) -> tuple[ParslMemory, Wanted]:
        """Follow the cases of the strategy."""
        tasks, blocks = situation.waiting + situation.running, len(situation.live)
        initial = 0 if memory.began else min(self.init_blocks, situation.view.nodes_allowed)
        blocks += initial
        memory = replace(memory, began=True, idle_since=memory.idle_since if tasks == 0 else None)
        if tasks == 0:
            return self._without_tasks(memory, situation, initial)
        reason = f"{tasks} tasks for {blocks * situation.slots} slots"
        more = initial + self._scale_out(situation, tasks, blocks)
        return memory, Wanted(
            launches=situation.launches(more, reason),
            releases=releases(self._excess(situation, tasks, blocks), reason),
        )

    def idles(self, memory: ParslMemory, situation: Situation) -> float:
        """Sleep until an idle block, or the whole executor, has been idle for long enough."""
        waits_s = self.max_idletime_s + 2 * SOON_S
        ends = [] if memory.idle_since is None else [memory.idle_since + waits_s]
        if self.scales_in_idle_blocks:
            ends += [idle_since(node) + waits_s for node in situation.idle]
        return min(ends, default=math.inf)

    def _without_tasks(
        self, memory: ParslMemory, situation: Situation, initial: int
    ) -> tuple[ParslMemory, Wanted]:
        """Scale in all beyond the least, once there has been no task for long enough (1b)."""
        launches = situation.launches(initial, "the initial blocks")
        spare = len(situation.live) - situation.least
        if spare <= 0:
            return memory, Wanted(launches=launches)
        since = situation.now if memory.idle_since is None else memory.idle_since
        memory = replace(memory, idle_since=since)
        idle_s = situation.now - since
        going: list[NodeView] = []
        if idle_s > self.max_idletime_s:
            going = [*situation.booting, *situation.idle][:spare]
        return memory, Wanted(
            launches=launches, releases=releases(going, f"no task for {idle_s:.0f} s")
        )

    def _scale_out(self, situation: Situation, tasks: int, blocks: int) -> int:
        """Return the blocks that lack to a slot for every task (2), or to the first slot (4a)."""
        slots = blocks * situation.slots
        if slots / tasks < self.parallelism:
            return math.ceil(math.ceil(tasks * self.parallelism - slots) / situation.slots)
        return 1 if slots == 0 else 0

    def _excess(self, situation: Situation, tasks: int, blocks: int) -> list[NodeView]:
        """Return the blocks that are idle for long enough and too many (4b), longest idle first."""
        slots = blocks * situation.slots
        if not self.scales_in_idle_blocks or slots <= tasks or slots / tasks < self.parallelism:
            return []
        spare = math.floor(math.floor(slots - tasks * self.parallelism) / situation.slots)
        ripe = situation.idle_for(self.max_idletime_s + 2 * SOON_S)
        return ripe[: max(0, min(spare, blocks - situation.least))]
