"""The source chapter's policies: no scaling, a static and a dynamic threshold.

As in its section 4.2 (doi 10.1007/978-3-030-52829-4_16): when the time to the deadline of the next
task drops below a threshold, a signal adds one node, up to the limit, and then one worker on each
node in turn. The chapter leaves three things open; here

- signals are counted in task starts, as the axes of its figures 7 to 9 have it: at most one for
  each, or one in `signal_interval_s` where that is set;
- the dynamic threshold, which only ever falls, is armed again when the backlog empties;
- the fleet, which only ever grows, goes when nothing waits and nothing runs.

Two slips of its text are read as the experiments mean them: signals come *below* the threshold, and
the case without scaling is the one that takes no action.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from planner.model import NodeOffer
from planner.ranking import Waiting
from planner.scaling.offers import cheapest_first
from planner.scaling.view import (
    Grow,
    Launch,
    NodePhase,
    NodeView,
    Release,
    ScalingView,
    Wanted,
)
from planner.settings import ScalingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdMemory:
    """What a threshold policy remembers.

    Parameters
    ----------
    threshold_s : float or None
        In force now [s]; None is the configured one.
    signalled_at : float or None
        Instant of the last signal [POSIX s].
    tasks_seen : int
        Tasks that had started at the last signal.
    """

    threshold_s: float | None = None
    signalled_at: float | None = None
    tasks_seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMemory:
    """The memory of a policy that needs none."""


class NoScaling:
    """One node while there is work, whatever the deadlines."""

    name: ClassVar[str] = "none"
    memory_type: ClassVar[type] = NoMemory

    def start(self) -> NoMemory:
        """Return an empty memory."""
        return NoMemory()

    def step(self, memory: NoMemory, view: ScalingView) -> tuple[NoMemory, Wanted]:
        """Launch the one node when work waits; let it go when all is done."""
        releases = _dismissed(view) if _all_done(view) else ()
        return memory, Wanted(launches=_first_nodes(view, workers=None), releases=releases)

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return how many nodes are missing from the one."""
        return min(view.nodes_allowed, max(0, _base(view) - len(_live(view))))


class Static:
    """One node, then one worker, more at each signal; the threshold stays."""

    name: ClassVar[str] = "static"
    memory_type: ClassVar[type] = ThresholdMemory

    def start(self) -> ThresholdMemory:
        """Return the memory of a policy that has given no signal."""
        return ThresholdMemory()

    def step(self, memory: ThresholdMemory, view: ScalingView) -> tuple[ThresholdMemory, Wanted]:
        """Compare the next task's time to its deadline with the threshold."""
        first = _first_nodes(view, workers=1)
        if _all_done(view):
            rearmed = replace(memory, threshold_s=None)
            return rearmed, Wanted(launches=first, releases=_dismissed(view))
        head = view.queue.first()
        if head is None or first:
            return memory, Wanted(launches=first)
        threshold_s = memory.threshold_s
        if threshold_s is None:
            threshold_s = view.settings.threshold_s
        ttd_s = head.due_at - view.now
        if ttd_s >= threshold_s:
            return memory, _when_below(head, threshold_s)
        if not _may_signal(memory, view):
            return memory, _when_allowed(memory, view)
        signalled = ThresholdMemory(
            threshold_s=self._next_threshold(ttd_s, view),
            signalled_at=view.now,
            tasks_seen=view.tasks_started,
        )
        again = _when_allowed(signalled, view)
        added = _one_more(view, _reason(head, ttd_s, threshold_s))
        return signalled, replace(again, launches=added.launches, grows=added.grows)

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return the room that is left in the fleet."""
        return view.nodes_allowed if view.offers else 0

    def _next_threshold(self, ttd_s: float, view: ScalingView) -> float | None:
        return None


class Dynamic(Static):
    """As `Static`, but each signal sets the threshold below the time to deadline that raised it."""

    name: ClassVar[str] = "dynamic"

    def _next_threshold(self, ttd_s: float, view: ScalingView) -> float | None:
        return ttd_s - view.settings.factor_s


def threshold_of(memory: object, settings: ScalingSettings) -> float | None:
    """Return the threshold in force [s]; None if no threshold policy remembers this."""
    if not isinstance(memory, ThresholdMemory):
        return None
    return settings.threshold_s if memory.threshold_s is None else memory.threshold_s


def _may_signal(memory: ThresholdMemory, view: ScalingView) -> bool:
    if view.settings.signal_interval_s > 0:
        return memory.signalled_at is None or view.now >= _next_signal_at(memory, view)
    return view.tasks_started > memory.tasks_seen


def _when_below(head: Waiting, threshold_s: float) -> Wanted:
    """Ask again when the next task's time to its deadline has dropped below the threshold."""
    if head.due_at == math.inf:
        return Wanted()
    wake_at = head.due_at - threshold_s + _BELOW_S
    return Wanted(wake_at=wake_at, wake_reason=f"{head.task_id} drops below the threshold")


def _when_allowed(memory: ThresholdMemory, view: ScalingView) -> Wanted:
    """Ask again when the interval between two signals is over; a task start is an event anyway."""
    if view.settings.signal_interval_s <= 0:
        return Wanted()
    return Wanted(wake_at=_next_signal_at(memory, view), wake_reason="the next signal may come")


_BELOW_S = 0.1  # at the threshold is not below it


def _next_signal_at(memory: ThresholdMemory, view: ScalingView) -> float:
    return (memory.signalled_at or 0.0) + view.settings.signal_interval_s


def _one_more(view: ScalingView, reason: str) -> Wanted:
    """Return what one signal adds: a node, or else a worker where there are fewest."""
    offer = _cheapest(view)
    if offer is not None:
        return Wanted(launches=(Launch(node_type=offer.node_type, workers=1, reason=reason),))
    growing = [
        node for node in view.nodes if node.phase is NodePhase.READY and node.slots < node.slots_max
    ]
    if not growing:
        return Wanted()
    node = min(growing, key=lambda node: node.slots)
    return Wanted(grows=(Grow(node_id=node.node_id, workers=node.slots + 1, reason=reason),))


def _first_nodes(view: ScalingView, *, workers: int | None) -> tuple[Launch, ...]:
    """Return the launches without which nothing would run at all."""
    offer = _cheapest(view)
    missing = min(view.nodes_allowed, _base(view) - len(_live(view)))
    if offer is None or missing <= 0:
        return ()
    launch = Launch(
        node_type=offer.node_type,
        workers=offer.slots if workers is None else workers,
        reason=_few(len(view.queue), len(_live(view))),
    )
    return (launch,) * missing


def _few(tasks: int, nodes: int) -> str:
    wait = "1 task waits" if tasks == 1 else f"{tasks or 'no'} tasks wait"
    stand = "1 node stands" if nodes == 1 else f"{nodes} nodes stand" if nodes else "no node stands"
    return f"{wait} and {stand}"


def _base(view: ScalingView) -> int:
    """Return the nodes that there are before any signal."""
    return max(view.settings.nodes_min, 1 if len(view.queue) > 0 else 0)


def _cheapest(view: ScalingView) -> NodeOffer | None:
    if view.nodes_allowed <= 0:
        return None
    return next(iter(cheapest_first(view.offers, view.boots, 0.0, math.inf)), None)


def _live(view: ScalingView) -> list[NodeView]:
    return [node for node in view.nodes if node.phase is not NodePhase.DRAINING]


def _all_done(view: ScalingView) -> bool:
    nothing_runs = not any(node.busy_until for node in view.nodes)
    return len(view.queue) == 0 and nothing_runs and view.next_demand_at == math.inf


def _dismissed(view: ScalingView) -> tuple[Release, ...]:
    """Let all but the least fleet go; nodes that boot come first."""
    live = sorted(_live(view), key=lambda node: node.phase is NodePhase.READY)
    going = live[: max(0, len(live) - view.settings.nodes_min)]
    return tuple(
        Release(node_id=node.node_id, reason="nothing waits and nothing runs") for node in going
    )


def _reason(head: Waiting, ttd_s: float, threshold_s: float) -> str:
    return f"{head.task_id}: due in {ttd_s:.0f} s, below the threshold of {threshold_s:.0f} s"
