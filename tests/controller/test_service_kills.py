"""Whatever is killed while a service serves, each product is delivered once, as in peace.

And each is told of at least once, always under the same id.

`make service-kill-campaign` runs all seeds on both stores and prints docs/reference/campaigns.md's
table.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from controller.demo.archive import DemoArchive
from controller.notify.address_book import AddressBook
from controller.notify.guard import Guard
from controller.notify.letters import OPERATOR
from controller.snapshotting import archived_lines
from controller.store.schema import upgrade
from planner.journal import decode_step, replay
from planner.scaling.catalogue import Policies
from tests.controller.databases import Postgres
from tests.controller.notify.receiver import Receiver, receiving, status
from tests.controller.served import Serving
from tests.controller.stores import server

__all__ = ["server"]

SEEDS = range(100)
CI_SEEDS = range(10)
"""The slice of the seeds that runs with every `make test`, on each store."""

VICTIMS = ("service", "scheduler", "workers", "all", "service")
"""Who is killed; with a store in PostgreSQL its server is one more."""

HOST = "127.0.0.1"

KILLS_MAX = 3
"""In one run."""

LIVES_S = (0.5, 9.0)
"""A kill comes so long after the last [s]: while it starts, recovers, reads, combines, delivers."""

SETTINGS = """
archive: {read_latency_s: 0.01}
nodes: {local: {slots: 2, nodes_max: 2}}
engine: {lease_s: 2}
notify: {hosts_allowed: [127.0.0.1], webhook_attempts_s: [0.2, 0.5, 1, 2, 4, 8]}
planner:
  scaling: {nodes_min: 1, nodes_max: 2}
  dispatch: {attempts_max: 9, retry_s: 0.2}
"""
"""Some 5 s of work for four workers; a part may lose every worker that is killed."""

SNAPSHOT_STEPS = 12
"""A run has some 45 steps: it is killed while snapshots are made, and restarts from them."""

WISHES = """
subscriptions:
  - {id: world, dataset: argo, parameters: [TEMP, PSAL], deadline: PT10M}
  - {id: mediterranean, dataset: argo, bbox: "-6,30,36.5,46", parameters: TEMP}
  - {id: north, dataset: argo, bbox: "-180,0,180,90", parameters: TEMP, deadline: PT5M}
  - {id: south, dataset: argo, bbox: "-180,-90,180,0", parameters: PSAL, deadline: PT20M}
"""
NAMES = frozenset(f"{name}-v1-to-u0" for name in ("world", "mediterranean", "north", "south"))


@pytest.fixture(scope="module")
def undisturbed(
    small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return the content digests of products that were made in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    serving = Serving(folder=folder, archive=small_archive.folder, wishes=WISHES, settings=SETTINGS)
    try:
        serving.start()
        serving.until("all is delivered", lambda: serving.delivered(len(NAMES)))
        assert serving.stop() == 0
        digests = serving.products()
    finally:
        serving.close()
    assert digests.keys() == NAMES
    return digests


@pytest.fixture
def serving(
    tmp_path: Path, small_archive: DemoArchive, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serving]:
    monkeypatch.setenv("SLACKWATER_SERVICE__SNAPSHOT_STEPS", str(SNAPSHOT_STEPS))
    served = Serving(
        folder=tmp_path / "place", archive=small_archive.folder, wishes=WISHES, settings=SETTINGS
    )
    yield served
    served.close()


class Killer:
    """Kills at seeded moments, and starts again what nobody else does."""

    def __init__(self, serving: Serving, seed: int, database: Postgres | None) -> None:
        self._serving = serving
        self._database = database
        self._chance = random.Random(seed)
        self.told: list[str] = []

    def work(self) -> None:
        """Kill until enough was killed or nothing is left to be disturbed."""
        victims = (*VICTIMS, *(("database",) if self._database else ()))
        for _ in range(self._chance.randint(1, KILLS_MAX)):
            self._let_live(self._chance.uniform(*LIVES_S))
            if self._serving.delivered(len(NAMES)):
                return
            victim = self._chance.choice(victims)
            self.told.append(victim)
            self._kill(victim)

    def _let_live(self, life_s: float) -> None:
        end_at = time.monotonic() + life_s
        self._serving.until("its time", lambda: time.monotonic() >= end_at)
        self._serving.look()

    def _kill(self, victim: str) -> None:
        serving = self._serving
        assert serving.process is not None
        match victim:
            case "scheduler":
                self._kill_those("controller.engines.scheduler")
            case "workers":
                self._kill_those("controller.nodes")
            case "database":
                assert self._database is not None
                serving.restarts_max += 3
                self._database.stop("immediate")
                self._database.start()
            case _:
                serving.kill()
                if victim == "all":
                    for each in serving.look():
                        with suppress(psutil.NoSuchProcess):
                            each.send_signal(signal.SIGKILL)
                serving.start()

    def _kill_those(self, module: str) -> None:
        for each in self._serving.look():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(module in word for word in each.cmdline()):
                    each.send_signal(signal.SIGKILL)


def subscribe_operator(serving: Serving, url: str) -> None:
    """Have all notices sent to a URL, from the first on."""
    serving.data.mkdir(mode=0o700, parents=True)
    with serving.reading() as store:
        upgrade(store.database, "test")
        AddressBook(store.database, Guard(hosts_allowed=(HOST,))).add_endpoint(OPERATOR, url)


def all_told(receiver: Receiver, told: set[str]) -> bool:
    """Tell whether the operator has heard of every product under its id."""
    while receiver.heard:
        told.add(receiver.next().headers["webhook-id"])
    return told >= NAMES


def survives(
    serving: Serving, seed: int, undisturbed: dict[str, str], database: Postgres | None = None
) -> None:
    """Kill while a service serves, and prove that it makes no difference."""
    with receiving(status(200)) as receiver:
        subscribe_operator(serving, receiver.url)
        serving.start()
        killer = Killer(serving, seed, database)
        killer.work()
        serving.until("all is delivered", lambda: serving.delivered(len(NAMES)))
        told: set[str] = set()
        serving.until("all is told", lambda: all_told(receiver, told))
        assert serving.stop() == 0
    assert serving.all_end()
    assert serving.products() == undisturbed
    tasks = serving.tasks()
    assert {task.product_id for task in tasks} == NAMES
    assert {task.state for task in tasks} <= {"delivered", "late"}
    with serving.reading() as store:
        # What was not begun when it was told to stop: a node that is to stand, at most.
        assert {key.split()[0] for key, _ in store.open_commands()} <= {"provision"}
        header, lines = store.header(0), dict(archived_lines(serving.data / "journal"))
        lines |= dict(store.lines(0))
    assert header is not None
    steps = [decode_step(line, number) for number, line in lines.items()]
    assert replay(header, steps, Policies()) == (len(lines), None)
    killed = ", ".join(killer.told) or "nothing in time"
    print(f"| {seed} | {killed} | {serving.lives} | {len(lines)} |")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", CI_SEEDS)
def test_kills_make_no_difference_with_sqlite(
    serving: Serving, seed: int, undisturbed: dict[str, str]
) -> None:
    survives(serving, seed, undisturbed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", CI_SEEDS)
def test_kills_make_no_difference_with_postgresql(
    serving: Serving, seed: int, undisturbed: dict[str, str], server: Postgres
) -> None:
    serving.use_store(server.make())
    survives(serving, seed, undisturbed, server)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_campaign_with_sqlite(serving: Serving, seed: int, undisturbed: dict[str, str]) -> None:
    survives(serving, seed, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_campaign_with_postgresql(
    serving: Serving, seed: int, undisturbed: dict[str, str], server: Postgres
) -> None:
    serving.use_store(server.make())
    survives(serving, seed, undisturbed, server)
