"""Dask's adaptive deployment: as many workers as do the work known now within a target duration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

from planner.scaling.view import NodeView, Wanted
from sim.baselines.polling import Polled, PollingRule
from sim.baselines.situation import Situation, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskMemory(Polled):
    """How many times in a row each node was found to be too much.

    Parameters
    ----------
    closing : tuple of (str, int)
        Node and count.
    """

    closing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskAdaptive(PollingRule[DaskMemory]):
    """Enough workers to finish in `target_duration_s`; a worker is a node, its threads the slots.

    Parameters
    ----------
    target_duration_s : float
        [s]
    wait_count : int
        A node goes when this many polls in a row found it to be too much.
    sampled : int
        The waiting parts whose lengths are added up; more are taken to be like these.

    Notes
    -----
    Source: dask/distributed as of 2026-07, distributed/deploy/adaptive_core.py, and
    adaptive_target and workers_to_close of distributed/scheduler.py.
    """

    name: str = "dask-adaptive"
    period_s: float = 1.0
    target_duration_s: float = 5.0
    wait_count: int = 3
    sampled: int = 100
    memory_type: ClassVar[type] = DaskMemory

    def poll(self, memory: DaskMemory, situation: Situation) -> tuple[DaskMemory, Wanted]:
        """Compare the target with what was asked for."""
        plan = len(situation.live)
        target = max(situation.least, min(self.target(situation), situation.cap))
        reason = f"{situation.waiting} parts wait, {situation.running} run: target {target} nodes"
        if target >= plan:
            launches = situation.launches(target - plan, reason)
            return replace(memory, closing=()), Wanted(launches=launches)
        counts = dict(memory.closing)
        surplus = [(node, counts.get(node.node_id, 0) + 1) for node in _surplus(situation, target)]
        going = [node for node, count in surplus if count >= self.wait_count]
        kept = tuple((node.node_id, count) for node, count in surplus if count < self.wait_count)
        return replace(memory, closing=kept), Wanted(releases=releases(going, reason))

    def target(self, situation: Situation) -> int:
        """Return how many workers there should be, before any bound."""
        waiting, workers = situation.waiting, situation.ready
        occupancy_s = sum(_left_s(node, situation.now) for node in workers)
        work_s = occupancy_s + self._waiting_s(situation)
        threads = math.ceil(work_s / self.target_duration_s)
        threads = min(threads, waiting + sum(len(node.busy_until) for node in workers))
        if not workers:
            return max(1, threads) if waiting else threads
        target = math.ceil(threads / sum(node.slots for node in workers) * len(workers))
        if target < len(workers):
            return len(workers) - len(situation.idle)
        return target

    def idles(self, memory: DaskMemory, situation: Situation) -> float:
        """Sleep while nothing can go, and nothing more is wanted or may be had."""
        view = situation.view
        stays = not situation.idle and not situation.booting
        full = situation.waiting == 0 or view.nodes_allowed == 0
        return math.inf if stays and full and situation.ready else situation.now

    def _waiting_s(self, situation: Situation) -> float:
        """Return the length of the waiting parts, extrapolated from the first of them [s]."""
        work_s, parts = 0.0, 0
        for task in islice(situation.view.queue, self.sampled):
            some = min(task.parts, self.sampled - parts)
            work_s += task.mean_s * some / task.parts
            parts += some
            if parts >= self.sampled:
                break
        return work_s * situation.waiting / parts if parts else 0.0


def _surplus(situation: Situation, target: int) -> list[NodeView]:
    """Return what may go: nodes that have not arrived, then idle ones."""
    booting = situation.booting[: len(situation.live) - target]
    if target >= len(situation.live) - len(booting):
        return booting
    return booting + situation.idle[: max(0, len(situation.ready) - target)]


def _left_s(node: NodeView, now: float) -> float:
    return sum(end_at - now for end_at in node.busy_until) * node.speed
