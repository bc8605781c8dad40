"""Whatever is killed in the middle of a run, its products are those of an undisturbed one.

`make kill-campaign` runs all seeds and prints the table of docs/reference/campaigns.md.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from controller.demo.archive import DemoArchive
from planner.events import AttemptLost, NodeLost
from planner.journal import decode_header, read_steps, replay
from tests.controller.runs import PRODUCTS, Order, Running, delivered

KILL_SEEDS = range(20)
CI_SEEDS = range(3)
"""The slice of the seeds that runs with every `make test`."""

KILLS_MAX = 6
"""In one run: fewer than would break a node, which has five restarts a minute for each worker."""

PAUSE_S_MAX = 0.6
"""Between two kills [s]: about the time that two parts take."""

SETTINGS = f"""
archive: {{read_latency_s: 0.025}}
nodes: {{local: {{slots: 2, nodes_max: 2}}}}
engine: {{lease_s: 2}}
planner:
  scaling: {{nodes_min: 2, nodes_max: 2}}
  dispatch: {{attempts_max: {KILLS_MAX + 1}}}
"""
"""Some 7 s of work for four workers on two nodes; a part may lose every worker that is killed."""


@pytest.fixture(scope="module")
def undisturbed(
    small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return the content digests of products that were made in peace."""
    order = Order(folder=tmp_path_factory.mktemp("undisturbed"), archive=small_archive.folder)
    assert order.run().code == 0
    digests = delivered(order.products)
    assert digests.keys() == PRODUCTS
    return digests


@pytest.fixture
def order(tmp_path: Path, small_archive: DemoArchive) -> Order:
    return Order(
        folder=tmp_path / "place",
        archive=small_archive.folder,
        settings=SETTINGS,
        options=("--journal", "journal.jsonl"),
    )


class Losses:
    """What the journal of a run tells of losses; reading it proves that it replays."""

    def __init__(self, journal: Path) -> None:
        with journal.open("rb") as lines:
            header, steps = decode_header(lines.readline()), list(read_steps(lines))
        assert replay(header, steps) == (len(steps), None)
        self.attempts = [step.event for step in steps if isinstance(step.event, AttemptLost)]
        self.nodes = [step.event for step in steps if isinstance(step.event, NodeLost)]


def kill_at_random_moments(running: Running, seed: int) -> list[str]:
    """Kill workers with SIGKILL until there is nothing left to kill; return what and when."""
    chance = random.Random(seed)
    running.until("the first worker", lambda: bool(running.workers()))
    began = time.monotonic()
    kills: list[str] = []
    for _ in range(chance.randint(3, KILLS_MAX)):
        time.sleep(chance.uniform(0.0, PAUSE_S_MAX))
        workers = sorted(running.workers(), key=lambda worker: worker.pid)
        if not workers:
            continue
        place = chance.randrange(len(workers))
        with suppress(psutil.NoSuchProcess):
            workers[place].kill()
            kills.append(f"{time.monotonic() - began:.1f} s: {place + 1} of {len(workers)}")
    return kills


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=() if seed in CI_SEEDS else pytest.mark.slow) for seed in KILL_SEEDS],
)
def test_products_are_equal_when_workers_are_killed(
    seed: int, order: Order, undisturbed: dict[str, str]
) -> None:
    with order.start() as running:
        kills = kill_at_random_moments(running, seed)
        ended = running.wait()
    losses = Losses(order.journal)
    equal = delivered(order.products) == undisturbed
    row = (seed, "; ".join(kills), len(losses.attempts), "yes" if equal else "NO")
    print(f"\n| {' | '.join(map(str, row))} |")
    assert ended.code == 0, ended.err
    assert kills
    assert equal


def scheduler(running: Running) -> psutil.Process | None:
    return running.running("controller.engines.scheduler")


def nursery(running: Running) -> psutil.Process | None:
    return running.running("controller.nodes.nursery")


def first_supervisor(running: Running) -> psutil.Process | None:
    return next(iter(running.supervisors()), None)


@pytest.mark.parametrize("victim", [scheduler, nursery, first_supervisor])
def test_products_are_equal_when_what_carries_the_workers_is_killed(
    victim: Callable[[Running], psutil.Process | None],
    order: Order,
    undisturbed: dict[str, str],
) -> None:
    with order.start() as running:
        running.until("a part", lambda: bool(running.fragments()))
        killed = victim(running)
        assert killed is not None
        killed.kill()
        ended = running.wait()
        assert running.left(within_s=5.0) == []
    assert ended.code == 0, ended.err
    losses = Losses(order.journal)
    assert losses.attempts or losses.nodes
    assert delivered(order.products) == undisturbed


def test_products_are_equal_when_a_worker_hangs(order: Order, undisturbed: dict[str, str]) -> None:
    with order.start() as running:
        running.until("a part", lambda: bool(running.fragments()))
        hung = running.workers()[0]
        hung.send_signal(signal.SIGSTOP)
        ended = running.wait()
        assert running.left(within_s=5.0) == []
    assert ended.code == 0, ended.err
    reasons = [lost.reason for lost in Losses(order.journal).attempts]
    assert any("no sign of life" in reason for reason in reasons), reasons
    assert delivered(order.products) == undisturbed
