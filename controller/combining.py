"""A bounded pool of processes that combine fragments: priced work of the service's own machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from planner.model import Product

PRELOADED = ["controller.apps.argo.combine"]
"""Imported once in the fork server, so that a fresh process combines at once."""


class CombiningPool:
    """Runs an application's `combine`; a process that dies fails its product only for now.

    Parameters
    ----------
    workers_max : int
        Products combined at the same time.
    """

    def __init__(self, workers_max: int = 1) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
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
        return ProcessPoolExecutor(self._workers_max, mp_context=self._context)
