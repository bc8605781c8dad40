"""What the peers' rules count: parts that wait and run, nodes that stand, and what may be had."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from planner.ranking import MICROSECONDS_PER_S
from planner.scaling.offers import cheapest_first
from planner.scaling.view import Launch, NodePhase, NodeView, Release, ScalingView


class Situation:
    """A view, counted as the peers count: a part is their message, task, job or pod.

    Parameters
    ----------
    view : ScalingView

    Attributes
    ----------
    booting, ready, draining : list of NodeView
        In the order in which they were asked for.
    idle : list of NodeView
        Those of `ready` on which nothing runs.
    running : int
        Parts that run, also on draining nodes.
    """

    def __init__(self, view: ScalingView) -> None:
        self.view, self.now = view, view.now
        self.booting = _in_phase(view, NodePhase.BOOTING)
        self.ready = _in_phase(view, NodePhase.READY)
        self.draining = _in_phase(view, NodePhase.DRAINING)
        self.idle = [node for node in self.ready if is_idle(node)]
        self.running = sum(len(node.busy_until) for node in view.nodes)

    @cached_property
    def waiting(self) -> int:
        """Parts that wait."""
        return sum(chunk.summed().parts for chunk in self.view.queue.chunks())

    @cached_property
    def work_s(self) -> float:
        """Predicted length of the waiting parts together [reference s]."""
        work_us = sum(chunk.summed().mean_us for chunk in self.view.queue.chunks())
        return work_us / MICROSECONDS_PER_S

    @property
    def live(self) -> list[NodeView]:
        """Nodes that stand or boot, those that boot first: they are the first to be let go."""
        return self.booting + self.ready

    @property
    def cap(self) -> int:
        """Nodes that there may be now, those that stand, boot and drain included."""
        return len(self.view.nodes) + self.view.nodes_allowed

    @property
    def least(self) -> int:
        """Nodes that always stand."""
        return self.view.settings.nodes_min

    @cached_property
    def slots(self) -> int:
        """Slots of a node, new ones as they would be launched."""
        offers = cheapest_first(self.view.offers, self.view.boots, 0.0, math.inf)
        known = [offer.slots for offer in (*offers, *self.view.offers)]
        known += [node.slots for node in self.view.nodes]
        return max(1, known[0]) if known else 1

    @cached_property
    def speed(self) -> float:
        """Reference seconds that a slot does per second, new ones as they would be launched."""
        offers = cheapest_first(self.view.offers, self.view.boots, 0.0, math.inf)
        known = [offer.speed for offer in (*offers, *self.view.offers)]
        known += [node.speed for node in self.view.nodes]
        return known[0] if known else 1.0

    def nodes_short(self, boot_s_max: float = math.inf) -> int:
        """Return how many more nodes give each waiting part a slot.

        Parts are placed on free slots, then on nodes that boot. One that boots for longer than
        `boot_s_max` [s] is not counted on.
        """
        free = sum(max(0, node.slots - len(node.busy_until)) for node in self.ready)
        coming = sum(n.slots for n in self.booting if self.now - n.requested_at < boot_s_max)
        return math.ceil(max(0, self.waiting - free - coming) / self.slots)

    def idle_for(self, span_s: float) -> list[NodeView]:
        """Return the nodes that have been idle for so long [s], the longest idle first."""
        ripe = [node for node in self.idle if self.now >= idle_since(node) + span_s - SOON_S]
        return sorted(ripe, key=idle_since)

    def launches(self, count: int, reason: str) -> tuple[Launch, ...]:
        """Return the launches of so many nodes, as far as they may be had, cheapest first."""
        room = min(count, self.view.nodes_allowed)
        found: list[Launch] = []
        for offer in cheapest_first(self.view.offers, self.view.boots, 0.0, math.inf):
            some = min(room - len(found), offer.nodes_max)
            found += [Launch(node_type=offer.node_type, workers=offer.slots, reason=reason)] * some
        return tuple(found)


SOON_S = 1e-3
"""An instant that is this near [s] has come: sums of floats miss it by less."""


def releases(nodes: Iterable[NodeView], reason: str) -> tuple[Release, ...]:
    """Return the wish to let some nodes go."""
    return tuple(Release(node_id=node.node_id, reason=reason) for node in nodes)


def is_idle(node: NodeView) -> bool:
    """Tell whether a node stands and nothing runs on it."""
    ready = node.phase is NodePhase.READY
    return ready and node.idle_since is not None and not node.busy_until


def idle_since(node: NodeView) -> float:
    """Return since when an idle node is idle [POSIX s]."""
    assert node.idle_since is not None, f"{node.node_id} is not idle"
    return node.idle_since


def _in_phase(view: ScalingView, phase: NodePhase) -> list[NodeView]:
    return [node for node in view.nodes if node.phase is phase]
