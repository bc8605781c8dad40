"""Ctrl-C, SIGTERM and SIGKILL at any moment: no process is left, and nothing torn is delivered."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.cli import Exit
from controller.demo.archive import DemoArchive
from planner.journal import decode_header, read_steps, replay
from tests.controller.runs import Order, Running, children_of, delivered

END_S_MAX = 10.0
"""All processes of a run that is told to end are gone after this long [s]."""

LATER_S_MAX = 0.3
"""A signal comes up to this long [s] after its landmark, as its seed has it."""

WISHES = """
subscriptions:
  - {id: mediterranean, dataset: argo, bbox: "-6,30,36.5,46", parameters: TEMP, deadline: PT1M}
  - {id: world, dataset: argo, parameters: [TEMP, PSAL]}
"""

SETTINGS = """
archive: {read_latency_s: 0.05}
nodes: {local: {slots: 2, nodes_max: 1}}
"""
"""The small product is delivered in the midst of the reading for the large one, some 7 s."""


@pytest.fixture
def order(tmp_path: Path, small_archive: DemoArchive) -> Order:
    return Order(
        folder=tmp_path / "place",
        archive=small_archive.folder,
        wishes=WISHES,
        settings=SETTINGS,
        options=("--journal", "journal.jsonl"),
    )


def imports(running: Running) -> bool:
    """Tell whether it is importing what it needs: a library of numpy's is there."""
    return "numpy" in Path(f"/proc/{running.process.pid}/maps").read_text()


def scheduler_starts(running: Running) -> bool:
    return running.running("controller.engines.scheduler") is not None


def nursery_starts(running: Running) -> bool:
    return running.running("controller.nodes.nursery") is not None


def node_boots(running: Running) -> bool:
    return bool(running.supervisors())


def parts_run(running: Running) -> bool:
    return bool(running.fragments())


def product_is_combined(running: Running) -> bool:
    fork_server = running.running("multiprocessing.forkserver")
    return fork_server is not None and bool(children_of(fork_server.pid))


def product_is_delivered(running: Running) -> bool:
    return any(running.order.products.rglob("*.nc"))


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a run is interrupted, and how."""

    landmark: Callable[[Running], bool]
    number: signal.Signals = signal.SIGINT
    group: bool = False
    again: bool = False

    def __str__(self) -> str:
        """Name the case."""
        how = [self.number.name, *(["group"] if self.group else []), *(["twice"] * self.again)]
        return f"{self.landmark.__name__}-{'-'.join(how)}"

    def come(self, running: Running) -> None:
        """Wait for the moment and interrupt the run."""
        running.until(self.landmark.__name__, lambda: self.landmark(running))
        chance = random.Random(str(self))
        time.sleep(chance.uniform(0.0, LATER_S_MAX))
        running.send(self.number, group=self.group)
        for _ in range(3 if self.again else 0):
            time.sleep(chance.uniform(0.0, LATER_S_MAX))
            running.send(self.number, group=self.group)


MOMENTS = [
    Moment(landmark=imports),
    Moment(landmark=scheduler_starts, group=True),
    Moment(landmark=nursery_starts, number=signal.SIGTERM, again=True),
    Moment(landmark=node_boots, group=True),
    Moment(landmark=parts_run, again=True),
    Moment(landmark=parts_run, number=signal.SIGTERM, group=True),
    Moment(landmark=product_is_combined, group=True, again=True),
    Moment(landmark=product_is_delivered),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_an_interrupted_run_ends_whole(moment: Moment, order: Order) -> None:
    with order.start() as running:
        moment.come(running)
        ended = running.wait()
        assert running.left(within_s=END_S_MAX) == []
    assert ended.code == Exit.INTERRUPTED
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert [line for line in ended.err.splitlines() if line.startswith("interrupted:")] == [
        ended.err.splitlines()[-1]
    ]
    delivered(order.products)
    assert list(order.products.rglob("*.part")) == []
    assert list(order.scratch.iterdir()) == []
    assert_journal_is_whole(order.journal)


def assert_journal_is_whole(journal: Path) -> None:
    """See that what was decided until the end replays."""
    if journal.exists():
        with journal.open("rb") as lines:
            _, difference = replay(decode_header(lines.readline()), read_steps(lines))
        assert difference is None
        assert journal.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("landmark", [scheduler_starts, parts_run, product_is_combined])
def test_nothing_outlives_a_run_that_is_killed(
    landmark: Callable[[Running], bool], order: Order
) -> None:
    with order.start() as running:
        Moment(landmark=landmark, number=signal.SIGKILL).come(running)
        assert running.wait().code == -signal.SIGKILL
        assert running.left(within_s=END_S_MAX) == []
    delivered(order.products)


def test_a_run_after_a_killed_one_delivers_all(order: Order) -> None:
    with order.start() as running:
        Moment(landmark=product_is_delivered, number=signal.SIGKILL).come(running)
        running.wait()
    ended = replace(order, settings="").run()
    assert ended.code == 0, ended.err
    assert len(delivered(order.products)) == 2
    assert list(order.products.rglob("*.part")) == []
