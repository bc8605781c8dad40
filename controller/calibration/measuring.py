"""Reads the requests of a calibration as a worker would, and takes the time.

Every request is read twice, in two random orders. The first round finds files far away on disc
that the second finds in the system's cache; in a random order that is an error of single times, not
an effect of what was asked. What is compared is the lesser of the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.apps.argo.application import KIND_OPTION, ArgoApplication
from controller.apps.argo.archive import Archive
from controller.apps.argo.orders import ExtractOrder
from controller.calibration.requests import BASE, Request
from controller.errors import ArchiveError
from controller.interruption import deferred
from planner.model import View

ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request and what reading it took.

    Parameters
    ----------
    request : Request
    wall_s, cpu_s : tuple of float, length 2
        In each round [s].
    size_bytes : int
        Of the files read.
    rows, left_out : int
        Observations kept, files that could not be read [count].
    """

    request: Request
    wall_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    size_bytes: int
    rows: int
    left_out: int

    @property
    def run_s(self) -> float:
        """The lesser of its times [s]."""
        return min(self.wall_s)


def measure(
    application: ArgoApplication,
    archive: Archive,
    requests: Sequence[Request],
    *,
    folder: Path,
    seed: int,
    advance: Callable[[int], None] = lambda files: None,
) -> list[Sample]:
    """Return what reading each request takes.

    Parameters
    ----------
    application : ArgoApplication
        Over the archive as it is: no declared latency, which is added where costs are used.
    archive : Archive
        The same, to ask for sizes.
    requests : sequence of Request
    folder : Path
        Fragments are written here and deleted at once.
    seed : int
        Of the orders.
    advance : callable
        Is told how many files were read.

    Raises
    ------
    ArchiveError, StorageError
        As `controller.apps.argo.extract.extract`.
    """
    orders = [_order(application, request, folder, n) for n, request in enumerate(requests)]
    if orders:
        # The first call of a process imports and fills caches of libraries; workers are past that.
        with deferred():
            _read(application, orders[0])
    readings: list[list[_Reading]] = [[] for _ in orders]
    rng = np.random.default_rng(seed)
    for _ in range(ROUNDS):
        for place in rng.permutation(len(orders)).tolist():
            # An exception that a signal raises inside a library's callback would be lost there.
            with deferred():
                readings[place].append(_read(application, orders[place]))
            advance(len(orders[place].files))
    sizes = _Sizes(archive)
    return [
        Sample(
            request=request,
            wall_s=tuple(reading.wall_s for reading in taken),
            cpu_s=tuple(reading.cpu_s for reading in taken),
            size_bytes=sum(sizes.of(file.path) for file in order.files),
            rows=taken[-1].rows,
            left_out=taken[-1].left_out,
        )
        for request, order, taken in zip(requests, orders, readings, strict=True)
    ]


def _order(
    application: ArgoApplication, request: Request, folder: Path, number: int
) -> ExtractOrder:
    view = View(
        dataset="",
        application=application.name,
        extent=request.extent,
        options=((KIND_OPTION, str(request.kind)),),
    )
    order = application.part_order(view, request.extent, BASE, f"calibration-{number}")
    assert Path(order.fragment_url).parent == folder
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    wall_s: float
    cpu_s: float
    rows: int
    left_out: int


def _read(application: ArgoApplication, order: ExtractOrder) -> _Reading:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    fragment = application.extract(order)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    Path(order.fragment_url).unlink(missing_ok=True)
    return _Reading(wall_s=wall_s, cpu_s=cpu_s, rows=fragment.rows, left_out=fragment.left_out)


class _Sizes:
    """Sizes of files, each asked for once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[str, int] = {}

    def of(self, path: str) -> int:
        """Return the size of a file [bytes], 0 where there is none."""
        if path not in self._known:
            self._known[path] = 0
            with suppress(ArchiveError):
                self._known[path] = self._archive.size_bytes(path)
        return self._known[path]
