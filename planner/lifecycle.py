"""How a task, a part and a node live: states, and what leads from one to the next, as tables.

The docs' diagrams are drawn from these tables, and the books move only along them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class TaskState(StrEnum):
    """A task is the delivery of some updates to one subscription."""

    CUTTING = "cutting"
    RUNNING = "running"
    COMBINING = "combining"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    EMPTY = "empty"
    EXPIRED = "expired"
    FAILED = "failed"
    DROPPED = "dropped"


class PartState(StrEnum):
    """A part is one piece of a task, tried until one attempt finishes."""

    WAITING = "waiting"
    RUNNING = "running"
    RESTING = "resting"
    FINISHED = "finished"


class NodeState(StrEnum):
    """A node is a machine, pod or process group that holds workers."""

    BOOTING = "booting"
    READY = "ready"
    DRAINING = "draining"
    REMOVING = "removing"
    GONE = "gone"


State = TypeVar("State", bound=StrEnum)
Table = Mapping[State, Mapping[str, State]]

_ENDS_EARLY = {
    "expired": TaskState.EXPIRED,
    "failed": TaskState.FAILED,
    "dropped": TaskState.DROPPED,
}

TASK_LIFE: Table[TaskState] = {
    TaskState.CUTTING: {"cut": TaskState.RUNNING, "empty": TaskState.EMPTY, **_ENDS_EARLY},
    TaskState.RUNNING: {"all parts finished": TaskState.COMBINING, **_ENDS_EARLY},
    TaskState.COMBINING: {"combined": TaskState.DELIVERING, **_ENDS_EARLY},
    TaskState.DELIVERING: {"delivered": TaskState.DELIVERED, **_ENDS_EARLY},
    TaskState.DELIVERED: {},
    TaskState.EMPTY: {},
    TaskState.EXPIRED: {},
    TaskState.FAILED: {},
    TaskState.DROPPED: {},
}

PART_LIFE: Table[PartState] = {
    PartState.WAITING: {"sent": PartState.RUNNING},
    PartState.RUNNING: {
        "finished": PartState.FINISHED,
        "lost": PartState.WAITING,
        "failed": PartState.RESTING,
    },
    PartState.RESTING: {"rested": PartState.WAITING},
    PartState.FINISHED: {},
}

NODE_LIFE: Table[NodeState] = {
    NodeState.BOOTING: {
        "ready": NodeState.READY,
        "released": NodeState.REMOVING,
        "refused": NodeState.GONE,
        "lost": NodeState.GONE,
    },
    NodeState.READY: {
        "drained": NodeState.DRAINING,
        "released": NodeState.REMOVING,
        "lost": NodeState.GONE,
    },
    NodeState.DRAINING: {
        "kept": NodeState.READY,
        "released": NodeState.REMOVING,
        "lost": NodeState.GONE,
    },
    NodeState.REMOVING: {"removed": NodeState.GONE, "lost": NodeState.GONE},
    NodeState.GONE: {},
}


def moved(table: Table[State], state: State, by: str) -> State:
    """Return the state that follows; a move that the table does not hold is our bug."""
    assert by in table[state], f"no way from {state} by {by!r}"
    return table[state][by]
