"""What clients that list do to the decision loop: how long it hears nobody, with and without them.

A service on SQLite takes an update in at short intervals and carries it out at once, while clients
of another process ask for pages of tasks as fast as they are answered.

python -m bench.listing [CLIENTS [SECONDS]]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.serving import DATASET, NOW, Hands, opening
from controller.api.app import api
from controller.api.door import Door
from controller.api.server import running_api
from controller.config.settings import Settings
from controller.datasets import Datasets, Places
from controller.destinations import Destinations
from controller.recording import Recorder
from controller.service import Inbox, Service
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Store
from planner.events import UpdateArrived
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings

CLIENTS, SECONDS = 200, 20.0
SUBSCRIPTIONS = 20
UPDATE_S = 0.1
PAGE = "/v1/tasks?limit=100"


def measure(clients: int = CLIENTS, seconds: float = SECONDS) -> dict[str, float]:
    """Return the loop's pauses [ms] without clients and with them, and what those were answered."""
    with tempfile.TemporaryDirectory() as name, _served(Path(name)) as (service, inbox, url):
        took_ms: list[float] = []
        service.board.listen(lambda batch: took_ms.append(1e3 * batch.took_s))
        numbers = count(1)
        _pauses_ms(took_ms, inbox, numbers, seconds / 4)  # The first batches are slower.
        alone = _pauses_ms(took_ms, inbox, numbers, seconds)
        listing = subprocess.Popen(
            [sys.executable, "-m", "bench.listing", "--ask", url, str(clients), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        among = _pauses_ms(took_ms, inbox, numbers, seconds)
        told, _ = listing.communicate()
    answered, refused, p99_ms = map(float, told.split())
    return {
        "loop_pause_p99_ms_alone": _quantile(alone, 0.99),
        "loop_pause_p50_ms_with_clients": _quantile(among, 0.5),
        "loop_pause_p99_ms_with_clients": _quantile(among, 0.99),
        "loop_pause_max_ms_with_clients": max(among),
        "pages_per_s": answered / seconds,
        "pages_refused": refused,
        "page_p99_ms": p99_ms,
    }


@contextmanager
def _served(folder: Path) -> Iterator[tuple[Service, Inbox, str]]:
    database = SqliteDatabase(folder / "store.db")
    upgrade(database, "bench")
    store = Store(database, "bench")
    store.take_lease()
    settings = PlannerSettings(scaling=ScalingSettings(nodes_min=1, put_off_launches=False))
    recorder = Recorder(store, "bench", settings, BUILT_IN)
    inbox, over = Inbox(), threading.Event()
    service = Service(recorder.recover().planner, recorder, inbox, Hands(inbox))
    opening(inbox, SUBSCRIPTIONS)
    loop = threading.Thread(target=service.run, args=(lambda planner: over.is_set(),), daemon=True)
    loop.start()
    door = Door(
        inbox=inbox,
        store=store,
        datasets=Datasets(Settings(), Places(archive=None, fragments_url="", staging_url="")),
        destinations=Destinations(roots=(str(folder),), schemes=("file",)),
        board=service.board,
        settings=settings,
        policies=BUILT_IN,
    )
    with running_api(api(door), "127.0.0.1", 0, CLIENTS + 56) as url:
        yield service, inbox, url
    over.set()
    loop.join()
    database.close()


def _pauses_ms(
    took_ms: list[float], inbox: Inbox, numbers: Iterator[int], seconds: float
) -> list[float]:
    """Keep the loop busy for so long [s]; return how long its batches took [ms]."""
    took_ms.clear()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number = next(numbers)
        inbox.put(UpdateArrived(at=NOW, dataset=DATASET, number=number, observations=None))
        time.sleep(UPDATE_S)
    return took_ms.copy()


def _quantile(values: list[float], quantile: float) -> float:
    return sorted(values)[int(quantile * (len(values) - 1))]


async def _ask(url: str, clients: int, seconds: float) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    request = f"GET {PAGE} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    took: list[float] = []
    refused = 0

    async def client() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection(host, int(port))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            refused += not head.startswith(b"HTTP/1.1 200")
            took.append(1e3 * (time.monotonic() - began))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    print(len(took), refused, _quantile(took, 0.99))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        asyncio.run(_ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    else:
        asked = [float(each) for each in sys.argv[1:]] or [CLIENTS]
        for what, amount in measure(int(asked[0]), *asked[1:]).items():
            print(f"{what:36} {amount:10.1f}")
