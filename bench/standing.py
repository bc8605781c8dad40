"""What a service bears that stands for months: memory, an update for all, clients that list.

Each figure is taken in a process of its own, since memory once taken is not given back. Sizes are
small here; the full ones of the issue are named on the command line:

python -m bench.standing [SUBSCRIPTIONS TASKS [CLIENTS]]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from bench.restoring import restoring
from bench.serving import DATASET, NOW, OFFER, _cut_of, _outcome, _service, restart
from controller.api.app import api
from controller.api.door import Door
from controller.api.server import listener, running_api
from controller.destinations import Destinations
from controller.garbage import set_aside
from controller.service import BATCH_MAX, Inbox, Letter, Service
from planner.events import OffersChanged, SubscriptionAdded, UpdateArrived
from planner.extent import ALWAYS, Box, Extent
from planner.model import NodeOffer, Observations, Subscription, View
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings

SUBSCRIPTIONS, TASKS, CLIENTS = 100_000, 10_000, 200
WAITING = 100_000
LISTING_S = 10.0
WARM_S = 2.0
"""Clients that list have connected by then [s]: what is measured is their asking."""

LETTER_S = 0.02
"""A letter comes so often while clients list [s]."""

DURABLE_S_MAX = 60.0
"""A loop that has not taken a letter in by then never will [s]."""


def measure() -> dict[str, float]:
    """Return the figures at small sizes."""
    return {
        **_apart("restart", WAITING),
        **_apart("restoring", SUBSCRIPTIONS, TASKS),
        **_apart("many", SUBSCRIPTIONS, TASKS),
        **_apart("listing", CLIENTS),
    }


def _apart(what: str, *sizes: int) -> dict[str, float]:
    """Return what a process of its own measures."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.standing", what, *map(str, sizes)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _restart(waiting: int) -> dict[str, float]:
    snapshot_s, tail_s = restart(waiting)
    return {f"restart_{waiting}_waiting_s": snapshot_s, f"replay_{waiting}_waiting_s": tail_s}


# --- many subscriptions


def _wish(number: int, tasks: int) -> Subscription:
    """Return a subscription whose view holds (5, 7), and (5, 2) too if it is one of the first."""
    shift = (number % 1000) / 1000.0
    west = 1.0 if number < tasks else 3.0
    box = Box(west=west + shift, south=shift, east=10.0 + shift, north=8.0 + shift)
    view = View(dataset=DATASET, application="bench", extent=Extent(box=box, period=ALWAYS))
    return Subscription(
        id=f"s{number}", views=(view,), destination=f"file:///d/s{number}", deadline_s=3600.0
    )


def _at(longitude: float) -> Observations:
    return Observations(
        time_s=(1.6e9,),
        latitude=(5.0,),
        longitude=(longitude,),
        parameter_set=(0,),
        parameter_sets=((),),
    )


class Paused:
    """Handles batches, and notes how long each held the loop up."""

    def __init__(self, service: Service, inbox: Inbox) -> None:
        self.service, self.inbox = service, inbox
        self.took_s: list[float] = []
        self.took_cpu_s: list[float] = []

    def play(self) -> None:
        """Handle all that is there, page by page, as the loop does."""
        while True:
            letters = self.inbox.batch(0.0)
            if not letters and not self.service.planner.books.desk.pages:
                return
            began, cpu_began_s = time.perf_counter(), time.thread_time()
            self.service.handle(letters, NOW)
            self.took_s.append(time.perf_counter() - began)
            self.took_cpu_s.append(time.thread_time() - cpu_began_s)


def _many(subscriptions: int, tasks: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name, _service(Path(name)) as (service, inbox, _, store):
        store.forgets = True
        service.is_winding_down = True
        paused = Paused(service, inbox)
        inbox.put(OffersChanged(at=NOW, offers=(OFFER,)))
        inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=0, observations=None))
        for first in range(0, subscriptions, BATCH_MAX):
            for number in range(first, min(subscriptions, first + BATCH_MAX)):
                wish = replace(_wish(number, tasks), backfill=False)
                inbox.put(SubscriptionAdded(at=NOW, subscription=wish))
            paused.play()
        found = {"subscribing_pause_max_ms": 1e3 * max(paused.took_s)}
        inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=1, observations=_at(2.0)))
        paused.play()
        waiting = list(service.planner.books.backlog.tasks)
        for first in range(0, len(waiting), BATCH_MAX):
            for task_id in waiting[first : first + BATCH_MAX]:
                for event in _outcome(_cut_of(task_id)):
                    inbox.put(event)
            paused.play()
        set_aside()
        found["waiting_tasks"] = len(waiting)
        found["resident_mb_of_a_service"] = _resident_mb()
        paused.took_s.clear()
        paused.took_cpu_s.clear()
        began = time.perf_counter()
        inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=2, observations=_at(7.0)))
        paused.play()
        found["update_for_all_s"] = time.perf_counter() - began
        found["update_for_all_tasks"] = len(service.planner.books.backlog.tasks) - len(waiting)
        found["update_for_all_pause_max_ms"] = 1e3 * max(paused.took_s)
        found["update_for_all_pause_max_cpu_ms"] = 1e3 * max(paused.took_cpu_s)
        found["update_for_all_resident_mb"] = _resident_mb()
        return found


def _resident_mb() -> float:
    with Path("/proc/self/status").open() as lines:
        kb = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(kb) / 1024.0


# --- clients that list


def _listing(clients: int) -> dict[str, float]:
    """Return how long the loop takes to make a letter durable while nobody and while many list.

    And how long each batch holds it up meanwhile.
    """
    pauses_ms: list[float] = []
    with tempfile.TemporaryDirectory() as name, _service(Path(name)) as (service, inbox, _, store):
        store.forgets = True
        _filled(service, inbox)
        service.board.listen(lambda batch: pauses_ms.append(1e3 * batch.took_s))
        door = Door(
            inbox=inbox,
            store=store,
            datasets=None,  # type: ignore[arg-type] # listings ask for none
            destinations=Destinations(roots=()),
            board=service.board,
            settings=PlannerSettings(),
            policies=BUILT_IN,
        )
        over = threading.Event()
        loop = threading.Thread(target=service.run, args=(lambda _: over.is_set(),))
        loop.start()
        try:
            with running_api(api(door), listener("127.0.0.1", 0), clients + 50) as url:
                alone = durable_ms(inbox, LISTING_S)
                listing = subprocess.Popen(
                    [sys.executable, "-m", "bench.standing", "clients", url, str(clients)],
                    stdout=subprocess.PIPE,
                )
                _warm(url)
                pauses_ms.clear()
                beside = durable_ms(inbox, LISTING_S)
                told, _ = listing.communicate(timeout=120.0)
        finally:
            over.set()
            loop.join()
    return {
        "letter_p99_ms_alone": p99(alone),
        "letter_p99_ms_with_clients": p99(beside),
        "letter_max_ms_with_clients": max(beside),
        "loop_pause_p99_ms_with_clients": p99(pauses_ms),
        "pages_per_s_to_clients": json.loads(told),
    }


def _filled(service: Service, inbox: Inbox) -> None:
    inbox.put(OffersChanged(at=NOW, offers=(OFFER,)))
    inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=0, observations=None))
    for number in range(1000):
        inbox.put(SubscriptionAdded(at=NOW, subscription=_wish(number, 1000)))
    Paused(service, inbox).play()


def _warm(url: str) -> None:
    httpx.get(f"{url}/v1/tasks", timeout=60.0).raise_for_status()
    time.sleep(WARM_S)


def durable_ms(inbox: Inbox, span_s: float, offer: NodeOffer = OFFER) -> list[float]:
    """Return how long each letter took to be durable, of those of so long a time [s]."""
    took: list[float] = []
    give_up_at = time.perf_counter() + span_s
    while time.perf_counter() < give_up_at:
        took.append(letter_ms(inbox, replace(offer, boot_s=1.0 + len(took) % 2)))
        time.sleep(LETTER_S)
    return took


def letter_ms(inbox: Inbox, offer: NodeOffer) -> float:
    """Return how long it takes until what is offered is durable [ms]."""
    settled = threading.Event()
    event = OffersChanged(at=NOW, offers=(offer,))
    began = time.perf_counter()
    inbox.post(Letter(event=event, settled=lambda _: settled.set()))
    assert settled.wait(DURABLE_S_MAX), "a letter was not taken in"
    return 1e3 * (time.perf_counter() - began)


def p99(values: list[float]) -> float:
    """Return what one value in a hundred is above."""
    return sorted(values)[int(0.99 * (len(values) - 1))]


async def _clients(url: str, count: int) -> float:
    """List again and again from so many clients; return how many pages a second they got."""
    give_up_at = time.perf_counter() + LISTING_S + 6.0
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    pages = 0

    async def lists(client: httpx.AsyncClient) -> None:
        nonlocal pages
        while time.perf_counter() < give_up_at:
            try:
                answer = await client.get(f"{url}/v1/tasks?limit=100")
            except httpx.TransportError:
                continue  # The server closes a connection that asks nothing for some seconds.
            pages += answer.status_code == 200

    began = time.perf_counter()
    async with httpx.AsyncClient(limits=limits, timeout=60.0) as client:
        await asyncio.gather(*(lists(client) for _ in range(count)))
    return pages / (time.perf_counter() - began)


PARTS = {"restart": _restart, "restoring": restoring, "many": _many, "listing": _listing}


def main(arguments: list[str]) -> None:
    """Measure one thing, or all of it at sizes that are named."""
    if arguments[:1] == ["clients"]:
        print(json.dumps(asyncio.run(_clients(arguments[1], int(arguments[2])))))
        return
    if arguments and arguments[0] in PARTS:
        measured: Any = PARTS[arguments[0]]
        print(json.dumps(measured(*map(int, arguments[1:]))))
        return
    sizes = [int(each) for each in arguments] or [1_000_000, 100_000]
    for name, value in (
        _apart("restart", sizes[1])
        | _apart("restoring", *sizes[:2])
        | _apart("many", *sizes[:2])
        | _apart("listing", *sizes[2:3] or [CLIENTS])
    ).items():
        print(f"{name:40} {value:14,.4g}")


if __name__ == "__main__":
    main(sys.argv[1:])
