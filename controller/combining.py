"""A bounded pool of processes that combine fragments: priced work of the service's own machine."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from controller.children import end_with_parent, out_of_reach_of_ctrl_c
from controller.errors import StorageError
from planner.model import Product


class CombiningPool:
    """Runs an application's `combine`; a process that dies fails its product, only for now.

    Each process is in a pool of its own: a product that takes its process down (it may need more
    memory than there is, each time) must not fail those that wait.

    Parameters
    ----------
    staging : Path
        Where products wait for their delivery; also for temporary files, and those of a process
        that is ended stay there.
    preload : sequence of str, optional
        Modules imported once in the fork server, so that a fresh process combines at once.
    workers_max : int
        Products combined at the same time.

    Raises
    ------
    StorageError
        Where its sockets cannot be made.
    """

    def __init__(self, staging: Path, *, preload: Sequence[str] = (), workers_max: int = 1) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        with out_of_reach_of_ctrl_c():
            _start_fork_server()
        self.staging = staging
        self._lanes = [_Lane(context, staging) for _ in range(workers_max)]
        self._free: SimpleQueue[_Lane] = SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)
        self._threads = ThreadPoolExecutor(workers_max, thread_name_prefix="combining")

    def submit(self, combine: Callable[[Any], Product], order: object) -> Future[Product]:
        """Combine in the background; the future raises what `combine` raised."""
        return self._threads.submit(self._combine, combine, order)

    def close(self) -> None:
        """End the processes; what they were at is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes:
            lane.end()
        self._threads.shutdown(wait=True)

    def _combine(self, combine: Callable[[Any], Product], order: object) -> Product:
        lane = self._free.get()
        try:
            return lane.submit(combine, order).result()
        finally:
            self._free.put(lane)


class _Lane:
    """One process, and the next one when it died."""

    def __init__(self, context: BaseContext, scratch: Path) -> None:
        self._context = context
        self._scratch = scratch
        self._lock = Lock()
        self._pool = self._new_pool()

    def submit(self, combine: Callable[[Any], Product], order: object) -> Future[Product]:
        """Have the process combine; it is idle."""
        with self._lock:
            try:
                return self._pool.submit(combine, order)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = self._new_pool()
                return self._pool.submit(combine, order)

    def end(self) -> None:
        """End the process; there is no next one."""
        with self._lock:
            # CPython offers no public way to end running pool workers before 3.14.
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_begin, initargs=(str(self._scratch),)
        )


def _begin(scratch: str) -> None:
    """Prepare a fresh process of the pool."""
    end_with_parent()
    tempfile.tempdir = scratch


def _start_fork_server() -> None:
    try:
        forkserver.ensure_running()
    except OSError as error:
        folder = tempfile.gettempdir()
        raise StorageError(
            f"no socket can be made below {folder} ({error}); a path of more than some 70"
            " characters is too long for one",
            fix="Set TMPDIR to a folder with a shorter path",
        ) from error
