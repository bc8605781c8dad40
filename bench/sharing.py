"""What sharing reads saves: overlapping subscriptions of one update, on several nodes.

Every subscription takes one part of the same reprocessing wave. The parts are pulled by the workers
of three nodes, once reading each for itself and once sharing; the archive is behind HTTP and counts
what is read of it, then it is a folder of this machine.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Self

import numpy as np

from bench.counting import CountingServer, counting_server
from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.extract import extract
from controller.apps.argo.orders import ArchiveAddress, ExtractOrder
from controller.demo.archive import make_archive, reprocess
from controller.shared_reads import share
from controller.sources.argo import ArgoSource
from planner.extent import Box, Extent
from planner.model import UpdateSpan, View

PROFILES, WAVE, SEED = 600, 150, 12003
SUBSCRIPTIONS = 30
NODES, WORKERS = 3, 2
ROUNDS = 5
READ_LATENCY_S = 0.01
ROOM_MB = 256.0
WISHES = (("PSAL", "TEMP"), ("TEMP",), ("PRES", "PSAL", "TEMP"))
CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it took to run some parts."""

    wall_s: float
    cpu_s: float
    fragments: tuple[str, ...]


def measure() -> dict[str, float]:
    """Return reads and times with and without sharing, and what sharing costs one alone."""
    with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder)) as fleet:
        load = Load(Path(folder, "archive"))
        with counting_server(load.folder) as server:
            figures = _far(fleet, load, server)
        return figures | _near(fleet, load)


class Load:
    """An archive in which one wave has come, and subscriptions that all want most of it."""

    def __init__(self, folder: Path) -> None:
        archive = make_archive(folder, profiles=PROFILES, seed=SEED)
        self.folder = folder
        self._source = ArgoSource(open_archive(ArchiveAddress(url=str(folder))), "argo")
        reprocess(archive, profiles=WAVE)
        assert self._source.look() is not None

    def orders(self, archive: ArchiveAddress, fragments: Path, count: int) -> list[ExtractOrder]:
        """Return one order for each subscription."""
        application = ArgoApplication(
            dataset="argo",
            archive=archive,
            fragments_url=str(fragments),
            staging_url="",
            catalogue=self._source.catalogue,
        )
        wave = UpdateSpan(after=0, upto=1)
        views = [View(dataset="argo", application="argo", extent=e) for e in extents(count)]
        return [
            application.part_order(view, view.extent, wave, f"s{number}")
            for number, view in enumerate(views)
        ]


def extents(count: int) -> list[Extent]:
    """Return what overlapping subscriptions ask for; the first asks for all there is."""
    drawn = np.random.default_rng(SEED).uniform(0.0, 60.0, (count, 4))
    west, south, east, north = (drawn * (0 if count == 1 else 1)).T
    return [
        Extent(
            box=Box(west=-180 + w, south=-90 + s / 2, east=180 - e, north=90 - n / 2),
            parameters=WISHES[number % len(WISHES)],
        )
        for number, (w, s, e, n) in enumerate(zip(west, south, east, north, strict=True))
    ]


class Fleet:
    """Workers that stand, so that no start is measured; each way gets its nodes' folders anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        seats = CONTEXT.SimpleQueue()
        for seat in range(NODES * WORKERS):
            seats.put(f"n{seat % NODES}")
        self._pool = ProcessPoolExecutor(
            NODES * WORKERS, CONTEXT, initializer=take_seat, initargs=(seats,)
        )
        self._ways = 0

    def __enter__(self) -> Self:
        """Return itself, its workers ready."""
        started = [self._pool.submit(time.sleep, 1.0) for _ in range(NODES * WORKERS)]
        for each in started:
            each.result()
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self._pool.shutdown()

    def run(self, load: Load, url: str, count: int, room_mb: float, latency_s: float = 0) -> Cost:
        """Run the parts of so many subscriptions in their order, whoever is free."""
        self._ways += 1
        way = self._folder / f"way{self._ways}"
        orders = load.orders(ArchiveAddress(url=url, read_latency_s=latency_s), way, count)
        began = time.perf_counter()
        ends = list(self._pool.map(run_part, orders, repeat(way), repeat(room_mb)))
        return Cost(
            wall_s=time.perf_counter() - began,
            cpu_s=sum(cpu_s for cpu_s, _ in ends),
            fragments=tuple(digest for _, digest in ends),
        )


NODE = ""
"""The node of this worker."""


def take_seat(seats: SimpleQueue[str]) -> None:
    """Be a worker of some node."""
    globals()["NODE"] = seats.get()
    import_module(extract.__module__)


def run_part(order: ExtractOrder, way: Path, room_mb: float) -> tuple[float, str]:
    """Run one part; return its CPU time [s] and its fragment's digest."""
    share(way / NODE, room_mb)
    began = time.process_time()
    fragment = extract(order)
    return time.process_time() - began, fragment.sha256


def _far(fleet: Fleet, load: Load, server: CountingServer) -> dict[str, float]:
    """Return figures of an archive behind HTTP, with a declared latency."""

    def cost(room_mb: float) -> tuple[Cost, Counter[str]]:
        server.gets.clear()
        spent = fleet.run(load, server.url, SUBSCRIPTIONS, room_mb, READ_LATENCY_S)
        return spent, server.profile_gets()

    (apart, apart_gets), (shared, shared_gets) = cost(0.0), cost(ROOM_MB)
    assert apart.fragments == shared.fragments
    return {
        "sharing_files": len(shared_gets),
        "sharing_far_reads_apart": apart_gets.total(),
        "sharing_far_reads": shared_gets.total(),
        "sharing_far_reads_a_file_max": max(shared_gets.values()),
        "sharing_far_cpu_s_apart": apart.cpu_s,
        "sharing_far_cpu_s": shared.cpu_s,
        "sharing_far_cpu_ratio": shared.cpu_s / apart.cpu_s,
        "sharing_far_wall_ratio": shared.wall_s / apart.wall_s,
    }


def _near(fleet: Fleet, load: Load) -> dict[str, float]:
    """Return figures of a folder of this machine: many subscriptions, then one alone."""
    url = str(load.folder)
    apart, shared = (fleet.run(load, url, SUBSCRIPTIONS, room) for room in (0.0, ROOM_MB))
    assert apart.fragments == shared.fragments
    alone = [
        [fleet.run(load, url, 1, room).cpu_s for room in (0.0, ROOM_MB)] for _ in range(ROUNDS)
    ]
    alone_apart_s, alone_shared_s = map(min, zip(*alone, strict=True))
    return {
        "sharing_near_cpu_s_apart": apart.cpu_s,
        "sharing_near_cpu_s": shared.cpu_s,
        "sharing_near_cpu_ratio": shared.cpu_s / apart.cpu_s,
        "sharing_near_wall_ratio": shared.wall_s / apart.wall_s,
        "sharing_near_alone_cpu_ratio": alone_shared_s / alone_apart_s,
    }
