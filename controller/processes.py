"""Processes of this machine that are found again: by number and start time, never by memory.

The truth about a process is the process itself, so what is written of one is believed only while
that very process runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A worker is one slot, and numerical libraries would start threads before the fork."""


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
