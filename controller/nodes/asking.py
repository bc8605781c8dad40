"""What may be asked of any provider: a node with a sound id, of a type that holds its workers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, TypeVar

from controller.errors import NodeError, NodeFault
from controller.nodes.records import NODE_ID


class Holding(Protocol):
    """A node type, in as far as it limits what can be asked of it."""

    @property
    def slots_max(self) -> int:
        """Return how many workers a node of it can hold."""


Kind = TypeVar("Kind", bound=Holding)


def type_that_holds(
    types: Mapping[str, Kind],
    node_id: str,
    node_type: str,
    workers: int,
    *,
    ids: re.Pattern[str] = NODE_ID,
) -> Kind:
    """Return the node type of this name, when it can hold so many workers under such an id.

    Parameters
    ----------
    types : mapping of str to node type
        All that the provider has.
    node_id, node_type : str
    workers : int
    ids : re.Pattern
        What can name a node with this provider.

    Raises
    ------
    NodeError
        No such type, too many or too few workers, or an id that names no node (ours).
    """
    kind = types.get(node_type)
    if kind is None:
        fix = f"There are: {', '.join(types)}"
        raise NodeError(f"node {node_id}: no type {node_type}", fault=NodeFault.OURS, fix=fix)
    if not 0 < workers <= kind.slots_max:
        raise NodeError(
            f"node {node_id}: {workers} workers on type {node_type}",
            fault=NodeFault.OURS,
            fix=f"It holds 1 to {kind.slots_max}",
        )
    if not ids.fullmatch(node_id):
        raise NodeError(f"{node_id!r} cannot name a node", fault=NodeFault.OURS)
    return kind
