"""What a folder of the registry says about one node on this machine, and which processes it has.

Each file has one writer: the provider writes what is wanted, the node's supervisor what stands. The
truth about a process is the process itself (`controller.processes`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from controller.ports import NodeState
from controller.processes import ProcessMark

NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A node's id names its folder."""

WANTED = "wanted.json"
STANDING = "standing.json"
DELETION = "deletion"
"""This empty file says that the node is to go; its age, since when."""

ATTACHED = ".attached.json"
"""In the registry: the service that the nodes stand for. No node can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the provider wants of a node."""

    node_type: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a node's supervisor says of it.

    Parameters
    ----------
    supervisor : ProcessMark
    state : NodeState
    reason : str
        Why it is broken.
    note : str
        What is not as wanted, though it works.
    workers : dict of str to ProcessMark
        By name.
    """

    supervisor: ProcessMark
    state: NodeState
    reason: str = ""
    note: str = ""
    workers: dict[str, ProcessMark] = field(default_factory=dict)

    def running(self) -> list[ProcessMark]:
        """Return the node's processes that run, its supervisor first."""
        return [each for each in (self.supervisor, *self.workers.values()) if each.runs()]


Record = TypeVar("Record", Wanted, Standing, ProcessMark)


def read(path: Path, kind: type[Record]) -> Record | None:
    """Return a record, or None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def write(path: Path, record: Wanted | Standing | ProcessMark) -> None:
    """Write a record whole: who reads sees the old one or the new one.

    Raises
    ------
    FileNotFoundError
        The node's folder is gone.
    """
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)
