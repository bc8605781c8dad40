"""What a snapshot weighs, and what a restart from it takes, with many subscriptions.

The store is made without the loop, which would need most of the time; who restarts is a process of
its own, so that its memory is that of a restart.

python -m bench.restoring [SUBSCRIPTIONS TASKS]
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from bench.serving import DATASET, NOW, OFFER, _service
from controller.recording import Recorder
from controller.store.database import Row
from controller.store.listed import TaskRow
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Store, Write
from planner.core import Planner
from planner.events import OffersChanged, SubscriptionAdded, TaskCut, Ticked, UpdateArrived
from planner.extent import ALWAYS, Box, Extent
from planner.model import Features, Observations, PartSpec, Subscription, View
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings

SUBSCRIPTIONS, TASKS = 1_000_000, 100_000
SEQ = 1
HALF_S = 1.6e9
"""Parts are cut here, so that none has the extent of its view [POSIX s]."""


def restoring(subscriptions: int, tasks: int) -> dict[str, float]:
    """Return size and processor time of a snapshot, and what a restart from it takes."""
    gc.disable()
    with tempfile.TemporaryDirectory() as name:
        with _service(Path(name)) as (service, _, recorder, store):
            store.forgets = True
            planner = service.planner
            _fill(planner, subscriptions, tasks)
            for query, rows in (
                ("put_subscription", _rows(planner)),
                ("put_task", _tasks(planner)),
            ):
                store.commit([Write(query=query, rows=tuple(rows))])
            began = time.process_time()
            recorder.keep_snapshot(planner.snapshot(), SEQ)
            cpu_s = time.process_time() - began
            kept = store.snapshot()
            assert kept is not None
        told = {"snapshot_mb": len(kept.state) / 1e6, "snapshot_cpu_s": cpu_s}
        del planner, service, recorder, kept
        done = subprocess.run(
            [sys.executable, "-m", "bench.restoring", "restart", name],
            check=True,
            stdout=subprocess.PIPE,
        )
    return {f"restoring_{what}": each for what, each in (told | json.loads(done.stdout)).items()}


def _fill(planner: Planner, subscriptions: int, tasks: int) -> None:
    """Enter subscriptions, and let one update make a task with one part of each of the first."""
    planner.handle(OffersChanged(at=NOW, offers=(OFFER,)))
    planner.handle(UpdateArrived(at=NOW, dataset=DATASET, number=0, observations=None))
    for number in range(subscriptions):
        planner.handle(SubscriptionAdded(at=NOW, subscription=_wish(number, number < tasks)))
    seen = Observations(
        time_s=(HALF_S,),
        latitude=(5.0,),
        longitude=(5.0,),
        parameter_set=(0,),
        parameter_sets=((),),
    )
    planner.handle(UpdateArrived(at=NOW, dataset=DATASET, number=1, observations=seen))
    while planner.books.desk.pages:
        planner.handle(Ticked(at=NOW))
    features = Features(files=100, size_bytes=5_000_000, values=200)
    for task in list(planner.books.backlog.tasks.values()):
        extent = task.selections[0].view.extent.cut_time([HALF_S])[1]
        specs = (PartSpec(extent=extent, features=features),)
        cut = TaskCut(at=NOW, task_id=task.id, parts=specs, partitioner="one", version="1")
        planner.handle(cut)


def _wish(number: int, matches: bool) -> Subscription:
    shift = (number % 1000) / 1000.0
    west = shift if matches else 20.0 + shift
    box = Box(west=west, south=shift, east=west + 10.0, north=10.0 + shift)
    view = View(dataset=DATASET, application="bench", extent=Extent(box=box, period=ALWAYS))
    return Subscription(
        id=f"s{number}", views=(view,), destination=f"file:///d/s{number}", deadline_s=3600.0
    )


def _rows(planner: Planner) -> Iterator[Row]:
    for key, row in planner.books.registry.state.rows.items():
        document = msgspec.json.encode(row.subscription).decode()
        told = {"id": row.subscription.id, "version": 1, "owner": "", "paused": 0}
        yield told | {"document": document, "at": NOW, "key": key, "seq": SEQ, "covered": ""}


def _tasks(planner: Planner) -> Iterator[Row]:
    for place, task in enumerate(planner.books.backlog.tasks.values()):
        row = TaskRow(
            id=task.id,
            place=place,
            subscription_id=task.subscription.id,
            owner="",
            product_id=f"{task.subscription.id}-v1-u1",
            state=task.state.value,
            arrived_at=task.arrived_at,
            deadline_at=task.deadline_at,
        )
        yield msgspec.to_builtins(replace(row))


def _restarted(folder: Path) -> dict[str, float]:
    database = SqliteDatabase(folder / "store.db")
    upgrade(database, "bench")
    store = Store(database, "bench")
    store.take_lease()
    recorder = Recorder(store, "bench", PlannerSettings(), BUILT_IN)
    began, cpu_began = time.perf_counter(), time.process_time()
    recovered = recorder.recover()
    told = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_began}
    with Path("/proc/self/status").open() as lines:
        kb = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    books = recovered.planner.books
    told |= {"mb": int(kb["VmRSS"]) / 1024.0, "mb_max": int(kb["VmHWM"]) / 1024.0}
    return told | {"subscriptions": len(books.registry), "tasks": len(books.backlog)}


def main(arguments: list[str]) -> None:
    """Print what is found, at sizes that may be named."""
    if arguments[:1] == ["restart"]:
        print(json.dumps(_restarted(Path(arguments[1]))))
        return
    sizes = [int(each) for each in arguments] or [SUBSCRIPTIONS, TASKS]
    for name, value in restoring(*sizes).items():
        print(f"{name:40} {value:14,.4g}")


if __name__ == "__main__":
    main(sys.argv[1:])
