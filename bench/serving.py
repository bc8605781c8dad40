"""What the durable loop costs, against bare SQLite that writes the same rows as durably.

Tasks of one part arrive in bursts and are answered at once, so that batches are as large as they
get in a busy service. Then the very transactions that were written are written once more by
sqlite3 alone, into a new file.

python -m bench.serving [TASKS]: and how long a restart takes with so many waiting tasks.
"""

from __future__ import annotations

import gc
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from controller.recording import Recorder
from controller.service import Inbox, Service
from controller.store.named import queries
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Store, Write
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RemoveNode,
    RunPart,
)
from planner.core import Planner
from planner.events import (
    AnyEvent,
    NodeReady,
    NodeRemoved,
    OffersChanged,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    TaskCut,
    UpdateArrived,
)
from planner.extent import ALWAYS, Box, Extent
from planner.model import (
    Features,
    Fragment,
    NodeOffer,
    PartSpec,
    Product,
    Subscription,
    View,
)
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings

DATASET = "bench"
SUBSCRIPTIONS, UPDATES, NODES = 200, 5, 16
WAITING = 100_000
ROUNDS = 3
NOW = 1.7e9

OFFER = NodeOffer(node_type="vm", slots=16, slots_max=16, boot_s=1.0, nodes_max=NODES)
VIEW = View(
    dataset=DATASET,
    application="bench",
    extent=Extent(box=Box(west=0.0, south=0.0, east=10.0, north=10.0), period=ALWAYS),
)


def measure() -> dict[str, float]:
    """Return durable events/s, and their ratio to bare SQLite, the middle one of some rounds."""
    pairs = sorted((_round() for _ in range(ROUNDS)), key=lambda pair: pair[0] / pair[1])
    served, bare = pairs[ROUNDS // 2]
    return {
        "durable_events_per_s": served,
        "bare_sqlite_events_per_s": bare,
        "durable_to_bare_sqlite": served / bare,
        "commit_p99_ms": median(_commit_p99_ms() for _ in range(ROUNDS)),
    }


class Recording(Store):
    """A store that remembers what it was asked to write."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, "bench")
        self.written: list[tuple[Write, ...]] = []
        self.took_s: list[float] = []
        self.forgets = False

    def commit(self, writes: Iterable[Write]) -> None:
        """Write, and remember."""
        kept = tuple(writes)
        if not self.forgets:
            self.written.append(kept)
        began = time.perf_counter()
        super().commit(kept)
        self.took_s.append(time.perf_counter() - began)


class Hands:
    """Answers every command at once."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        """Put the outcomes into the inbox."""
        for command in commands:
            for event in _outcome(command):
                self.inbox.put(event)


def _outcome(command: AnyCommand) -> Iterator[AnyEvent]:
    match command:
        case CutTask(task_id=task_id):
            spec = PartSpec(extent=VIEW.extent, features=Features(files=100))
            yield TaskCut(at=NOW, task_id=task_id, parts=(spec,), partitioner="one", version="1")
        case ProvisionNode(node_id=node_id):
            yield NodeReady(at=NOW, node_id=node_id, workers=command.workers)
        case RemoveNode(node_id=node_id):
            yield NodeRemoved(at=NOW, node_id=node_id)
        case RunPart():
            yield PartFinished(
                at=NOW,
                part_id=command.part_id,
                attempt=command.attempt,
                node_id=command.node_id,
                run_s=1.0,
                fragment=Fragment(url="file:///f", rows=1, size_bytes=1, sha256=""),
            )
        case CombineProduct(task_id=task_id, attempt=attempt):
            product = Product(url="file:///p.nc", rows=1, size_bytes=1, sha256="", digest="")
            yield ProductCombined(
                at=NOW, task_id=task_id, attempt=attempt, run_s=1.0, product=product
            )
        case DeliverProduct(task_id=task_id, attempt=attempt):
            yield ProductDelivered(
                at=NOW, task_id=task_id, attempt=attempt, run_s=1.0, manifest_url="file:///p.json"
            )


@contextmanager
def _service(folder: Path) -> Iterator[tuple[Service, Inbox, Recorder, Recording]]:
    database = SqliteDatabase(folder / "store.db")
    upgrade(database, "bench")
    store = Recording(database)
    store.take_lease()
    scaling = ScalingSettings(nodes_max=NODES, put_off_launches=False)
    recorder = Recorder(store, "bench", PlannerSettings(scaling=scaling), BUILT_IN)
    inbox = Inbox()
    service = Service(recorder.recover().planner, recorder, inbox, Hands(inbox))
    try:
        yield service, inbox, recorder, store
    finally:
        database.close()


def _wish(number: int, *, deadline_s: float = 3600.0) -> Subscription:
    return Subscription(
        id=f"s{number}", views=(VIEW,), destination="file:///d", deadline_s=deadline_s
    )


def _open(inbox: Inbox, count: int) -> None:
    inbox.put(OffersChanged(at=NOW, offers=(OFFER,)))
    inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=0, observations=None))
    for number in range(count):
        inbox.put(SubscriptionAdded(at=NOW, subscription=_wish(number)))


def _play(service: Service, inbox: Inbox) -> None:
    while letters := inbox.batch(0.0):
        service.handle(letters, NOW)


def _served(folder: Path) -> tuple[float, Recording, int]:
    """Return events/s of a service, what it wrote, and how many events that were."""
    with _service(folder) as (service, inbox, recorder, store):
        _open(inbox, SUBSCRIPTIONS)
        _play(service, inbox)
        store.written.clear()
        store.took_s.clear()
        first = recorder.seq
        gc.collect()
        began = time.perf_counter()
        for number in range(1, UPDATES + 1):
            inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=number, observations=None))
            _play(service, inbox)
        spent_s = time.perf_counter() - began
        events = recorder.seq - first
    return events / spent_s, store, events


def _round() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        served, store, events = _served(Path(name))
        return served, events / _bare_s(Path(name, "bare.db"), store.written)


def _commit_p99_ms() -> float:
    with tempfile.TemporaryDirectory() as name:
        _, store, _ = _served(Path(name))
    ordered = sorted(store.took_s)
    return 1e3 * ordered[int(0.99 * (len(ordered) - 1))]


def _bare_s(path: Path, transactions: Sequence[Sequence[Write]]) -> float:
    """Return how long sqlite3 alone takes to write the same rows in the same transactions [s]."""
    database = SqliteDatabase(path)
    upgrade(database, "bench")
    database.close()
    texts = queries("controller.store")
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    began = time.perf_counter()
    for writes in transactions:
        file.execute("BEGIN IMMEDIATE")
        for write in writes:
            file.executemany(texts[write.query], write.rows)
        file.execute("COMMIT")
    spent_s = time.perf_counter() - began
    file.close()
    return spent_s


def restart(waiting: int) -> tuple[float, float]:
    """Return how long a restart takes with waiting tasks, from a snapshot and from the tail [s]."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _service(folder) as (service, inbox, recorder, _):
            service.is_winding_down = True
            _open(inbox, waiting)
            _play(service, inbox)
            inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=1, observations=None))
            _play(service, inbox)
            while service.planner.books.desk.pages:
                service.handle([], NOW)
            for task_id in list(service.planner.books.backlog.tasks):
                for event in _outcome(_cut_of(task_id)):
                    inbox.put(event)
            inbox.put(OffersChanged(at=NOW, offers=()))
            _play(service, inbox)
            tail_s = _recovery_s(recorder)
            recorder.keep_snapshot(service.planner.snapshot(), recorder.seq)
            return _recovery_s(recorder), tail_s


def _cut_of(task_id: str) -> CutTask:
    return CutTask(
        task_id=task_id,
        subscription_id="",
        version=1,
        selections=(),
        partitioner="",
        parts_wanted=1,
        part_s_min=0.0,
        part_s_max=1.0,
        parts_max=1,
        costs=(),
    )


def _recovery_s(recorder: Recorder) -> float:
    gc.collect()
    began = time.perf_counter()
    planner: Planner = recorder.recover().planner
    spent_s = time.perf_counter() - began
    assert planner.books.backlog.tasks
    return spent_s


def main(arguments: list[str]) -> None:
    """Print how long a restart takes."""
    waiting = int(arguments[0]) if arguments else WAITING
    snapshot_s, tail_s = restart(waiting)
    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(f"restart with {waiting:,} waiting tasks: {snapshot_s:.1f} s from a snapshot,", end=" ")
    print(f"{tail_s:.1f} s from an empty store's journal; {used_mb:.0f} MB at most")


if __name__ == "__main__":
    main(sys.argv[1:])
