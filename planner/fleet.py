"""The book of nodes: what was asked for, what stands, what runs on it, and what it costs."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from planner.durations import TIME_S_MIN
from planner.lifecycle import NODE_LIFE, NodeState, moved
from planner.model import NodeOffer
from planner.scaling.view import NodePhase, NodeView

OVERDUE_FRACTION = 0.1
"""A part that outran its prediction is expected to take this fraction of its age more."""

_ENDED = (-math.inf, -math.inf)

RESERVED_S = 600.0
"""Money for this long [s] beside its boot is set aside for a node: enough for some parts."""


@dataclass(slots=True, kw_only=True)
class Node:
    """One node that is there or was asked for.

    Parameters
    ----------
    id : str
    offer : NodeOffer
    requested_at : float
        [POSIX s]
    workers : int
        Workers that it was told to hold.
    joined : int
        Workers that stand.
    emptied_at : float or None
        When the last of its workers left [POSIX s].
    idle_since : float or None
        Since when workers stand and nothing runs [POSIX s].
    running : dict of str to (float, float)
        For each part on it, when it was sent and is predicted to end [POSIX s].
    dismissed : bool
        Whether the operator wants it gone: no policy counts on it any more.
    """

    id: str
    offer: NodeOffer
    requested_at: float
    workers: int
    state: NodeState = NodeState.BOOTING
    joined: int = 0
    emptied_at: float | None = None
    idle_since: float | None = None
    running: dict[str, tuple[float, float]] = field(default_factory=dict)
    dismissed: bool = False

    def move(self, by: str) -> None:
        """Go one step along `NODE_LIFE`."""
        self.state = moved(NODE_LIFE, self.state, by)

    @property
    def workless_since(self) -> float | None:
        """Since when it is waited for a worker to join [POSIX s]; None when it is not."""
        if self.state is NodeState.REMOVING or self.joined > 0:
            return None
        return self.requested_at if self.emptied_at is None else self.emptied_at

    @property
    def free_slots(self) -> int:
        """Workers that nothing was sent to."""
        return max(0, self.joined - len(self.running))

    def busy_until(self, now: float) -> tuple[float, ...]:
        """Return when each busy slot is expected to be free [POSIX s], never in the past."""
        slots: list[float] = []
        for began_at, end_at in self.running.values():
            left_s = max(end_at - now, OVERDUE_FRACTION * (now - began_at))
            if len(slots) < max(1, self.joined):
                heapq.heappush(slots, now + left_s)
            else:
                heapq.heapreplace(slots, slots[0] + (end_at - began_at))
        return tuple(sorted(slots))


_PHASES = {
    NodeState.BOOTING: NodePhase.BOOTING,
    NodeState.READY: NodePhase.READY,
    NodeState.DRAINING: NodePhase.DRAINING,
}


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Money spent on nodes that are gone: pairs of removal instant and price paid.

    Payments that no budget period reaches back to are dropped as new ones come.
    """

    paid: list[tuple[float, float]] = field(default_factory=list)


Place = tuple[float, int]
"""Where a node stands among others; no two stand at the same."""


class Roll:
    """Some nodes in the order of their places, so that a tick asks them and not the whole fleet."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Node]] = []

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._entries)

    def first(self) -> Node | None:
        """Return the first node, None when there is none."""
        return self._entries[0][2] if self._entries else None

    def nodes(self) -> list[Node]:
        """Return all, in order."""
        return [node for _, _, node in self._entries]

    def enter(self, place: Place, node: Node) -> None:
        """Let a node stand in the roll."""
        insort(self._entries, (*place, node))

    def strike(self, place: Place) -> None:
        """Let the node of a place stand in it no longer."""
        del self._entries[bisect_left(self._entries, place)]


class Fleet:
    """All nodes that were asked for and are not yet gone.

    Attributes
    ----------
    nodes : dict of str to Node
        By id, in the order in which they were asked for.
    standing : Counter of str
        How many there are of each node type.
    free, full : Roll
        Nodes with a free slot, and those whose slots hold one part each, fastest and oldest first.
    awaited : Roll
        Nodes that drain, or that a worker is waited for, oldest first.
    """

    def __init__(self, nodes: Iterable[Node] = (), ledger: Ledger | None = None) -> None:
        self.nodes: dict[str, Node] = {}
        self.ledger = ledger or Ledger()
        self.standing: Counter[str] = Counter()
        self.free, self.full, self.awaited = Roll(), Roll(), Roll()
        self._asked = 0
        self._numbers: dict[str, int] = {}
        self._filed: dict[str, tuple[Roll, Place]] = {}
        self._views: dict[str, tuple[float, NodeView]] = {}
        # Predicted ends, the next first; one that is not in its node's table any more is stale.
        self._ends: list[tuple[float, str, str]] = []
        for node in nodes:
            self._enter(node)
            for part_id, (_, end_at) in node.running.items():
                heapq.heappush(self._ends, (end_at, node.id, part_id))

    def request(self, node_id: str, offer: NodeOffer, workers: int, at: float) -> None:
        """Note that a node was asked for."""
        self._enter(Node(id=node_id, offer=offer, requested_at=at, workers=workers))

    def ready(self, node: Node, workers: int, at: float) -> bool:
        """Note how many workers of a node stand; return whether it has just come up."""
        came_up = node.state is NodeState.BOOTING and workers > 0
        if came_up:
            node.move("ready")
        if node.joined > 0 and workers == 0:
            node.emptied_at = at
        node.joined = workers
        self._note_idle(node, at)
        self._note_change(node)
        return came_up

    def move(self, node: Node, by: str) -> None:
        """Let a node that stays in the book go one step along `NODE_LIFE`."""
        node.move(by)
        self._note_change(node)

    def dismiss(self, node: Node) -> None:
        """Note that the operator wants a node gone."""
        node.dismissed = True
        self._note_change(node)

    def grow(self, node: Node, workers: int) -> None:
        """Note that a node was told to hold so many workers."""
        node.workers = workers
        self._note_change(node)

    def start(self, node: Node, part_id: str, at: float, run_s: float) -> None:
        """Note that a part was sent to a node and is predicted to run this long [s]."""
        node.running[part_id] = (at, at + run_s)
        heapq.heappush(self._ends, (at + run_s, node.id, part_id))
        node.idle_since = None
        self._note_change(node)

    def expect(self, node_id: str, part_id: str, length_s: float) -> None:
        """Note that a part that runs is predicted to be so long in all [reference s]."""
        node = self.nodes.get(node_id)
        if node is not None and part_id in node.running:
            began_at, _ = node.running[part_id]
            end_at = began_at + length_s / node.offer.speed
            node.running[part_id] = (began_at, end_at)
            heapq.heappush(self._ends, (end_at, node_id, part_id))
            self._views.pop(node_id, None)

    def outrun(self, now: float) -> list[str]:
        """Return the parts that have come to run for longer than was predicted.

        Each is expected to take `OVERDUE_FRACTION` of its age more, and told again after that.
        """
        parts: list[str] = []
        while self._ends and self._ends[0][0] <= now:
            end_at, node_id, part_id = heapq.heappop(self._ends)
            node = self.nodes.get(node_id)
            if node is None or node.running.get(part_id, _ENDED)[1] != end_at:
                continue
            began_at = node.running[part_id][0]
            lasts_s = (1.0 + OVERDUE_FRACTION) * (now - began_at)
            self.expect(node_id, part_id, max(lasts_s, TIME_S_MIN) * node.offer.speed)
            parts.append(part_id)
        return parts

    def end(self, node_id: str, part_id: str, at: float) -> None:
        """Note that nothing of a part runs on a node any more."""
        node = self.nodes.get(node_id)
        if node is not None and node.running.pop(part_id, None) is not None:
            self._note_idle(node, at)
            self._note_change(node)

    def gone(self, node: Node, by: str, at: float, period_s: float) -> list[str]:
        """Strike a node out; return the parts that ran on it.

        What it cost is kept for a budget's period [s].
        """
        node.move(by)
        self.ledger.paid = [each for each in self.ledger.paid if each[0] + period_s > at]
        cost = billed_s(node, at) / 3600.0 * node.offer.price_per_h
        if cost > 0:
            self.ledger.paid.append((at, cost))
        self._strike(node)
        return list(node.running)

    def ready_nodes(self) -> list[Node]:
        """Return the nodes that parts may be sent to, fastest first, then oldest first."""
        standing = [node for node in self.nodes.values() if node.state is NodeState.READY]
        return sorted(standing, key=lambda node: -node.offer.speed)

    def view(self, now: float) -> tuple[NodeView, ...]:
        """Return what a policy sees of the fleet, in the order in which nodes were asked for."""
        nodes = (node for node in self.nodes.values() if not node.dismissed)
        return tuple(self._view(node, now) for node in nodes if node.state in _PHASES)

    def committed(self, now: float, period_s: float) -> float:
        """Return the money [currency] spent in the last period and set aside for what stands."""
        spent = math.fsum(cost for at, cost in self.ledger.paid if at + period_s > now)
        owed = (
            max(billed_s(node, now), reserved_s(node.offer)) / 3600.0 * node.offer.price_per_h
            for node in self.nodes.values()
        )
        return spent + math.fsum(owed)

    def _view(self, node: Node, now: float) -> NodeView:
        """Return what a policy sees of a node: the same as before, if neither it nor time moved."""
        seen_at, seen = self._views.get(node.id, (now, None))
        if seen is None or (node.running and seen_at != now):
            seen = _view(node, now)
            self._views[node.id] = now, seen
        return seen

    def _enter(self, node: Node) -> None:
        self.nodes[node.id] = node
        self.standing[node.offer.node_type] += 1
        self._asked += 1
        self._numbers[node.id] = self._asked
        self._note_change(node)

    def _strike(self, node: Node) -> None:
        del self.nodes[node.id]
        self.standing[node.offer.node_type] -= 1
        self._note_change(node)
        del self._numbers[node.id]

    def _note_change(self, node: Node) -> None:
        """Keep the rolls right after anything about a node has changed; forget how it looked."""
        self._views.pop(node.id, None)
        number = self._numbers[node.id]
        before, roll = self._filed.pop(node.id, None), self._roll_of(node)
        if before is not None:
            before[0].strike(before[1])
        if roll is not None:
            place = (0.0 if roll is self.awaited else -node.offer.speed, number)
            roll.enter(place, node)
            self._filed[node.id] = roll, place

    def _roll_of(self, node: Node) -> Roll | None:
        if node.state in (NodeState.REMOVING, NodeState.GONE):
            return None
        if node.state is not NodeState.READY or node.joined == 0:
            return self.awaited
        if len(node.running) < node.joined:
            return self.free
        return self.full if len(node.running) == node.joined else None

    def _note_idle(self, node: Node, at: float) -> None:
        if node.running or node.joined == 0:
            node.idle_since = None
        elif node.idle_since is None:
            node.idle_since = at


def _view(node: Node, now: float) -> NodeView:
    return NodeView(
        node_id=node.id,
        node_type=node.offer.node_type,
        phase=_PHASES[node.state],
        slots=node.workers,
        slots_max=node.offer.slots_max,
        speed=node.offer.speed,
        requested_at=node.requested_at,
        busy_until=node.busy_until(now),
        idle_since=node.idle_since,
        price_per_h=node.offer.price_per_h,
        quantum_s=node.offer.quantum_s,
    )


def billed_s(node: Node, at: float) -> float:
    """Return the time that a node has been billed for by an instant [s], in whole quanta."""
    return billed_for_s(max(0.0, at - node.requested_at), node.offer.quantum_s)


def billed_for_s(stood_s: float, quantum_s: float) -> float:
    """Return what is billed for a node that stood so long [s], in whole quanta [s]."""
    return stood_s if quantum_s <= 0 else max(1, math.ceil(stood_s / quantum_s)) * quantum_s


def reserved_s(offer: NodeOffer) -> float:
    """Return the time for which a new node's money is set aside [s]."""
    return max(offer.quantum_s, offer.boot_s + RESERVED_S)


def reservation(offer: NodeOffer) -> float:
    """Return the money that is set aside for a new node [currency]."""
    return offer.price_per_h / 3600.0 * reserved_s(offer)
