"""The slots that there are, and those that could be had: draining nodes first, then new ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.model import NodeOffer
from planner.scaling.view import NodePhase, NodeView, ScalingView
from planner.supply import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A node that could be had: one that drains and is used again, or a new one.

    Parameters
    ----------
    node : NodeView or None
        The draining node.
    offer : NodeOffer or None
        What to launch.
    slots : tuple of Slot
        Its slots from now on, a new node's from the end of its boot.
    """

    node: NodeView | None = None
    offer: NodeOffer | None = None
    slots: tuple[Slot, ...]


def standing_slots(view: ScalingView, nodes: Iterable[NodeView] | None = None) -> list[Slot]:
    """Return the slots of nodes that stand or boot (all of the view's by default).

    A booting node has them at the quantile `boot_launch_quantile` of what is left of its boot; one
    that boots for too long has none, and neither has one that drains.
    """
    slots: list[Slot] = []
    for node in view.nodes if nodes is None else nodes:
        if node.phase is NodePhase.READY:
            slots += _slots_of(node, view.now)
        elif node.phase is NodePhase.BOOTING and (ready_at := _ready_at(view, node)) < math.inf:
            slots += [Slot(ready_at, node.speed)] * node.slots
    return slots


def additions(view: ScalingView, offers: Sequence[NodeOffer], count_max: int) -> list[Addition]:
    """Return the nodes that could be had, in the order in which to take them.

    Parameters
    ----------
    view : ScalingView
    offers : sequence of NodeOffer
        Best first.
    count_max : int
        New nodes at most.
    """
    draining = [
        Addition(node=node, slots=_slots_of(node, view.now))
        for node in view.nodes
        if node.phase is NodePhase.DRAINING
    ]
    draining.sort(key=lambda addition: addition.slots)
    launched: list[Addition] = []
    for offer in offers:
        ready_at = view.now + boot_s(view, offer)
        slots = (Slot(ready_at, offer.speed),) * offer.slots
        room = min(offer.nodes_max, count_max - len(launched))
        launched += [Addition(offer=offer, slots=slots)] * room
    return draining + launched


def boot_s(view: ScalingView, offer: NodeOffer) -> float:
    """Return how long a new node is planned to take to be ready [s]."""
    return view.boots.quantile(offer.node_type, view.settings.boot_launch_quantile)


def _slots_of(node: NodeView, now: float) -> tuple[Slot, ...]:
    busy = sorted(node.busy_until)[-node.slots :] if node.slots > 0 else []
    free = [now] * (node.slots - len(busy))
    return tuple(Slot(free_at, node.speed) for free_at in free + busy)


def _ready_at(view: ScalingView, node: NodeView) -> float:
    """Return when a booting node is planned to be ready [POSIX s]; infinite when never."""
    scaling = view.settings
    return view.now + view.boots.remaining(
        node.node_type,
        view.now - node.requested_at,
        scaling.boot_launch_quantile,
        lost=scaling.boot_lost_quantile,
    )
