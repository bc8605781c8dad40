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
from tests.controller.databases import Postgres
from tests.controller.disturbed import (
    NAMES,
    SETTINGS,
    SNAPSHOT_STEPS,
    WISHES,
    await_all,
    check_unharmed,
    in_peace,
    subscribe_operator,
)
from tests.controller.notify.receiver import receiving, status
from tests.controller.served import Serving
from tests.controller.stores import server

__all__ = ["server"]

SEEDS = range(100)
CI_SEEDS = range(10)
"""The slice of the seeds that runs with every `make test`, on each store."""

VICTIMS = ("service", "scheduler", "workers", "all", "service")
"""Who is killed; with a store in PostgreSQL its server is one more."""

KILLS_MAX = 3
"""In one run."""

LIVES_S = (0.5, 9.0)
"""A kill comes so long after the last [s]: while it starts, recovers, reads, combines, delivers."""


@pytest.fixture(scope="module")
def undisturbed(
    small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return the content digests of products that were made in peace."""
    return in_peace(tmp_path_factory.mktemp("undisturbed"), small_archive.folder)


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
                    serving.kill_rest()
                serving.start()

    def _kill_those(self, module: str) -> None:
        for each in self._serving.look():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(module in word for word in each.cmdline()):
                    each.send_signal(signal.SIGKILL)


def survives(
    serving: Serving, seed: int, undisturbed: dict[str, str], database: Postgres | None = None
) -> None:
    """Kill while a service serves, and prove that it makes no difference."""
    with receiving(status(200)) as receiver:
        subscribe_operator(serving, receiver.url)
        serving.start()
        killer = Killer(serving, seed, database)
        killer.work()
        await_all(serving, receiver)
        assert serving.stop() == 0
    assert serving.all_end()
    steps = check_unharmed(serving, undisturbed)
    killed = ", ".join(killer.told) or "nothing in time"
    print(f"| {seed} | {killed} | {serving.lives} | {steps} |")


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
