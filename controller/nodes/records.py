"""What a folder of the registry says about one node on this machine, and which processes it has.

Each file has one writer: the provider writes what is wanted, the node's supervisor what stands. The
truth about a process is the process itself, so a record names it by number and start time, and is
believed only while such a process runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from controller.ports import NodeState

WANTED = "wanted.json"
STANDING = "standing.json"
DELETION = "deletion"
"""This empty file says that the node is to go; its age, since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMark:
    """One process of this machine, for ever: its number and its start time [ticks since boot]."""

    pid: int
    started: int

    def runs(self) -> bool:
        """Return whether this very process runs still."""
        return started(self.pid) == self.started

    def send(self, what: signal.Signals) -> None:
        """Send a signal to this very process, if it runs still."""
        with contextlib.suppress(ProcessLookupError):
            if self.runs():
                os.kill(self.pid, what)


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


Record = TypeVar("Record", Wanted, Standing)


def read(path: Path, kind: type[Record]) -> Record | None:
    """Return a record, or None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def write(path: Path, record: Wanted | Standing) -> None:
    """Write a record whole: who reads sees the old one or the new one.

    Raises
    ------
    FileNotFoundError
        The node's folder is gone.
    """
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def mark(pid: int) -> ProcessMark:
    """Return the mark of a process; one that is gone already gets a mark that never runs."""
    return ProcessMark(pid=pid, started=started(pid) or -1)


def started(pid: int) -> int | None:
    """Return when a process started [ticks since boot], or None when it does not run."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in brackets and may hold anything; what counts comes after it.
    fields = status.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else int(start_ticks)
