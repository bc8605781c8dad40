"""What our engine costs beside plain Dask, and what forking from the nursery saves at boot.

Both carriers use the same scheduler and workers, the same part, and the same number in flight; they
take turns, so that what else the machine does strikes both.
"""

from __future__ import annotations

import pickle
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from distributed import Client, as_completed

from controller.engines.connection import RenewableSecurity
from controller.engines.dask import DaskEngine
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.ports import PartWork
from planner.events import AnyEvent, NodeReady, PartFinished
from planner.model import Fragment

PARTS = 1_000
WORKERS = 2
IN_FLIGHT = 8
ROUNDS = 5
BOOTED_NODES = 4
WAIT_S_MAX = 60.0
FRAGMENT = Fragment(url="memory://nothing", rows=0, size_bytes=0, sha256="0" * 64)

SPAWNED = """
import pickle, sys
connection, name, folder = pickle.load(sys.stdin.buffer)
connection.join(name, folder)
"""
"""A worker that imports everything itself."""


def measure() -> dict[str, float]:
    """Return the time of 1,000 no-op parts, the best of five rounds, and times to boot [s]."""
    with fleet() as here:
        cold_s, warm_s, spawned_s = here.boot("cold"), here.boot("warm"), here.boot_spawned()
        here.nodes.create("n1", "local", WORKERS)
        here.until_joined(WORKERS)
        with here.plain_client() as client, tempfile.TemporaryDirectory() as folder:
            rounds, outliving = measure_carrying(here, client, Path(folder))
    engine_s, plain_s, outliving_s = map(min, zip(*rounds, strict=True))
    return {
        "engine_1000_parts_outliving_s": outliving_s,
        "engine_ratio_outliving_to_not": outliving_s / engine_s,
        "engine_scheduler_cpu_ms_a_part": outliving[0],
        "engine_scheduler_cpu_ms_a_part_outliving": outliving[1],
        "engine_1000_parts_s": engine_s,
        "engine_1000_parts_plain_dask_s": plain_s,
        "engine_ratio_to_plain_dask": engine_s / plain_s,
        "boot_8_workers_first_s": cold_s,
        "boot_8_workers_s": warm_s,
        "boot_8_workers_not_forked_s": spawned_s,
    }


def measure_carrying(
    here: Fleet, client: Client, folder: Path
) -> tuple[list[tuple[float, float, float]], tuple[float, float]]:
    """Return the times of each round [s]: as it is, plainly, and by an engine that outlives this.

    Beside them the processor time of the schedulers of the first and the last [ms a part].
    """
    with fleet(folder) as lasting:
        lasting.nodes.create("n1", "local", WORKERS)
        lasting.until_joined(WORKERS)
        rounds = []
        used_s = [0.0, 0.0]
        for number in range(ROUNDS):
            before = here.scheduler_s(), lasting.scheduler_s()
            ours_s, theirs_s = here.carry(number), lasting.carry(number)
            used_s[0] += here.scheduler_s() - before[0]
            used_s[1] += lasting.scheduler_s() - before[1]
            rounds.append((ours_s, carry_plainly(client), theirs_s))
    each_ms = [1000 * each / PARTS / ROUNDS for each in used_s]
    return rounds, (each_ms[0], each_ms[1])


class Fleet:
    """An engine, its nodes, and what they report; in a folder, an engine that outlives this."""

    def __init__(self, folder: Path | None = None) -> None:
        self._reports: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
        self._joined: dict[str, int] = {}
        others = schedulers()
        self.engine = DaskEngine(self._reports.put, folder=folder)
        (self._scheduler,) = schedulers() - others
        kind = ProcessNodeType(name="local", slots=WORKERS, slots_max=WORKERS)
        self.nodes = ProcessNodes(self.engine.connection, node_types=[kind])

    def next(self) -> AnyEvent:
        """Return the next report."""
        event = self._reports.get(timeout=WAIT_S_MAX)
        if isinstance(event, NodeReady):
            self._joined[event.node_id] = event.workers
        return event

    def until_joined(self, workers: int) -> None:
        """Wait until so many workers have joined in all."""
        while sum(self._joined.values()) != workers:
            self.next()

    def boot(self, name: str) -> float:
        """Return the time from the request of some nodes until all workers have joined [s]."""
        ids = [f"{name}{number}" for number in range(BOOTED_NODES)]
        began = time.perf_counter()
        for node_id in ids:
            self.nodes.create(node_id, "local", WORKERS)
        self.until_joined(BOOTED_NODES * WORKERS)
        booted_s = time.perf_counter() - began
        while ids:
            ids = [node_id for node_id in ids if not self.nodes.delete(node_id)]
        self.until_joined(0)
        return booted_s

    def boot_spawned(self) -> float:
        """Return the same for as many workers that are not forked."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            workers = [self._spawn(number, folder) for number in range(BOOTED_NODES * WORKERS)]
            self.until_joined(len(workers))
            booted_s = time.perf_counter() - began
            for worker in workers:
                worker.terminate()
                worker.wait()
        self.until_joined(0)
        return booted_s

    def _spawn(self, number: int, folder: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", SPAWNED], stdin=subprocess.PIPE)
        assert process.stdin is not None
        connection = self.engine.connection.of_node("spawned", Path(folder))
        pickle.dump((connection, f"spawned/{number}", Path(folder)), process.stdin)
        process.stdin.close()
        return process

    def scheduler_s(self) -> float:
        """Return the processor time of the scheduler so far [s]."""
        used = self._scheduler.cpu_times()
        return used.user + used.system

    def carry(self, attempt: int) -> float:
        """Carry the parts as the service does: drain what is reported, send as many new ones."""
        works = iter([work(part, attempt) for part in range(PARTS)])
        began = time.perf_counter()
        self.engine.submit([next(works) for _ in range(IN_FLIGHT)])
        finished = 0
        while finished < PARTS:
            batch = [self.next()]
            while not self._reports.empty():
                batch.append(self.next())
            assert all(isinstance(event, PartFinished) for event in batch), batch
            finished += len(batch)
            ended = [each for each in batch if isinstance(each, PartFinished)]
            self.engine.acknowledge((each.part_id, each.attempt) for each in ended)
            self.engine.submit([each for _, each in zip(batch, works, strict=False)])
        return time.perf_counter() - began

    def plain_client(self) -> Client:
        """Return a client of Dask's own on the same scheduler."""
        connection = self.engine.connection
        security = RenewableSecurity(connection.credentials)
        return Client(connection.address, security=security, set_as_default=False)


def schedulers() -> set[psutil.Process]:
    """Return the schedulers that this process has started."""
    children = psutil.Process().children()
    return {each for each in children if "controller.engines.scheduler" in each.cmdline()}


@contextmanager
def fleet(folder: Path | None = None) -> Iterator[Fleet]:
    """Open a fleet for the block."""
    here = Fleet(folder)
    try:
        yield here
    finally:
        here.engine.close(end=True)
        here.nodes.close()


def nothing(order: int) -> Fragment:
    """Return a fragment, having done nothing."""
    return FRAGMENT


def work(part: int, attempt: int) -> PartWork:
    """Return one part that does nothing."""
    return PartWork(
        part_id=f"p{part}",
        attempt=attempt,
        node_id="n1",
        limit_s=WAIT_S_MAX,
        extract=nothing,
        order=part,
    )


def carry_plainly(client: Client) -> float:
    """Carry the same with Dask's client: each result that is there is followed by a new task."""
    began = time.perf_counter()
    first = [client.submit(nothing, part, pure=False) for part in range(IN_FLIGHT)]
    under_way = as_completed(first, loop=client.loop, with_results=True)
    sent, finished = IN_FLIGHT, 0
    for _, fragment in under_way:
        assert fragment == FRAGMENT
        finished += 1
        if sent < PARTS:
            under_way.add(client.submit(nothing, sent, pure=False))
            sent += 1
    assert finished == PARTS
    return time.perf_counter() - began
