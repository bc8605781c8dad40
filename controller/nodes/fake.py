"""A provider in memory whose faults are fields, for tests of what stands on a provider."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from controller.errors import NodeError, NodeFault
from controller.ports import NodeListing, NodeState
from planner.model import NodeOffer


@dataclass(slots=True, kw_only=True)
class FakeNodes:
    """Provides nodes that run at once and exist nowhere.

    Parameters
    ----------
    offer : NodeOffer
        The one type; its `nodes_max` counts those that stand, too.
    next_create_error, next_list_error, next_delete_error : NodeError, optional
        Raised by the next call of that kind, once.
    nodes : dict of str to NodeListing
        What is listed: change it, and nodes break or vanish.
    """

    name = "fake"
    calls_max = 1
    poll_s = 0.25

    offer: NodeOffer
    next_create_error: NodeError | None = None
    next_list_error: NodeError | None = None
    next_delete_error: NodeError | None = None
    nodes: dict[str, NodeListing] = field(default_factory=dict)

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the one offer, less what stands."""
        return (replace(self.offer, nodes_max=self.offer.nodes_max - len(self.nodes)),)

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Create a node, as far as can be seen."""
        error, self.next_create_error = self.next_create_error, None
        if error:
            raise error
        if node_type != self.offer.node_type or not 0 < workers <= self.offer.slots_max:
            raise NodeError(
                f"node {node_id}: {workers} workers on {node_type}", fault=NodeFault.OURS
            )
        if node_id in self.nodes:
            return
        if len(self.nodes) >= self.offer.nodes_max:
            raise NodeError(f"node {node_id}: no more nodes", fault=NodeFault.QUOTA)
        self.nodes[node_id] = NodeListing(
            node_id=node_id, node_type=node_type, state=NodeState.RUNNING, workers=workers
        )

    def resize(self, node_id: str, workers: int) -> None:
        """Make a node list this many workers."""
        if node_id not in self.nodes:
            raise NodeError(f"node {node_id} is not there", fault=NodeFault.GONE)
        if not 0 < workers <= self.offer.slots_max:
            raise NodeError(f"node {node_id}: {workers} workers", fault=NodeFault.OURS)
        self.nodes[node_id] = replace(self.nodes[node_id], workers=workers)

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return what is listed."""
        error, self.next_list_error = self.next_list_error, None
        if error:
            raise error
        return tuple(self.nodes.values())

    def delete(self, node_id: str) -> bool:
        """Forget a node."""
        error, self.next_delete_error = self.next_delete_error, None
        if error:
            raise error
        self.nodes.pop(node_id, None)
        return True

    def close(self, *, end: bool | None = None) -> None:
        """Forget all nodes, if they are to end."""
        if end:
            self.nodes.clear()
