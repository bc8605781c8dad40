"""A bounded pool of processes that combine fragments: priced work of the service's own machine."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from controller.children import end_with_parent, out_of_reach_of_ctrl_c
from planner.model import Product


class CombiningPool:
    """Runs an application's `combine`; a process that dies fails its product only for now.

    Parameters
    ----------
    scratch : Path
        For temporary files; those of a process that is ended stay there.
    preload : sequence of str, optional
        Modules imported once in the fork server, so that a fresh process combines at once.
    workers_max : int
        Products combined at the same time.
    """

    def __init__(self, scratch: Path, *, preload: Sequence[str] = (), workers_max: int = 1) -> None:
        self._scratch = scratch
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        with out_of_reach_of_ctrl_c():
            forkserver.ensure_running()
        self._workers_max = workers_max
        self._pool = self._new_pool()

    def submit(self, combine: Callable[[Any], Product], order: object) -> Future[Product]:
        """Combine in the background; the future raises what `combine` raised."""
        try:
            return self._pool.submit(combine, order)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._new_pool()
            return self._pool.submit(combine, order)

    def close(self) -> None:
        """End the processes; what they were at is given up."""
        # CPython offers no public way to end running pool workers before 3.14.
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers_max,
            mp_context=self._context,
            initializer=_begin,
            initargs=(str(self._scratch),),
        )


def _begin(scratch: str) -> None:
    """Prepare a fresh process of the pool."""
    end_with_parent()
    tempfile.tempdir = scratch
