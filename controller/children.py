"""The service's own child processes: Ctrl-C is not for them, and they end with the service."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from threading import Thread


@contextmanager
def out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Start processes inside the block that SIGINT never reaches, not even while they import.

    A terminal sends Ctrl-C to all processes at once; the service ends its children in its order.
    What is sent to the service itself meanwhile is heard after the block.
    """
    # Its start would lift the block in the midst of ours.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Have this process end with the one that started it, whatever this one is at then."""
    Thread(target=_follow_parent, name="end-with-parent", daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
