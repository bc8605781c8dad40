"""Whatever is killed, frozen or too long loses its attempts, soon and once, and is replaced."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.authority import Authority
from controller.engines import launch
from controller.engines.dask import DaskEngine
from controller.errors import EngineError
from planner.events import AttemptLost, PartFailed, PartFinished
from planner.model import Fragment
from tests.controller.engines import works
from tests.controller.engines.carrier import Carrier, break_of, held, runs, until, work
from tests.controller.engines.conftest import ALERT_S
from tests.controller.engines.inbox import Inbox

QUICK_S = 1.0
"""A killed worker is told sooner than this [s]."""


def test_a_killed_worker_loses_its_part_and_comes_back(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    carrier.engine.submit([work(node_id, "p1", works.hold, tmp_path / "held")])
    pid = held(tmp_path / "held")
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert event.at - killed_at < QUICK_S
    assert f"worker {node_id}/0 ended" in event.reason
    carrier.inbox.ready(node_id, 1)
    carrier.engine.submit([work(node_id, "p1", works.fragment, attempt=2)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFinished)
    assert event.attempt == 2


def test_a_killed_worker_takes_no_part_of_its_neighbour(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node(2)
    paths = [tmp_path / name for name in ("a", "b")]
    carrier.engine.submit([work(node_id, path.name, works.hold, path) for path in paths])
    pids = [held(path) for path in paths]
    os.kill(pids[0], signal.SIGKILL)
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert event.part_id == "a"
    paths[1].unlink()
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFinished)
    assert event.part_id == "b"


@pytest.mark.parametrize("poison", [works.kill_process, works.exit_interpreter])
def test_a_part_that_ends_its_worker_takes_no_other_with_it(
    carrier: Carrier, poison: Callable[[Any], Fragment]
) -> None:
    node_id = carrier.node(2)
    carrier.engine.submit([work(node_id, "p-poison", poison)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost | PartFailed)
    carrier.engine.submit([work(node_id, "p-next", works.fragment)])
    (event,) = carrier.inbox.ended(1)
    assert event.part_id == "p-next"
    assert isinstance(event, PartFinished)


def test_a_part_that_outruns_its_limit_is_lost_and_its_worker_replaced(
    carrier: Carrier, tmp_path: Path
) -> None:
    node_id = carrier.node()
    carrier.engine.submit([work(node_id, "p1", works.hold, tmp_path / "held", limit_s=0.5)])
    pid = held(tmp_path / "held")
    began = time.time()
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert "outran its limit" in event.reason
    assert event.at - began < 0.5 + QUICK_S
    carrier.inbox.ready(node_id, 1)
    assert not psutil.pid_exists(pid)


def test_a_deleted_node_loses_its_parts(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    works_of_it = [
        work(node_id, "p1", works.hold, tmp_path / "held"),
        work(node_id, "p2", works.fragment),
    ]
    carrier.engine.submit(works_of_it)
    held(tmp_path / "held")
    until(lambda: carrier.nodes.delete(node_id))
    assert all(isinstance(event, AttemptLost) for event in carrier.inbox.ended(2))
    carrier.inbox.ready(node_id, 0)


def test_a_frozen_worker_is_lost_after_its_lease_and_replaced(alert: Carrier) -> None:
    node_id = alert.node()
    sent_at = time.time()
    parts = {"p1": works.stop_process, "p2": works.fragment}
    alert.engine.submit([work(node_id, part_id, extract) for part_id, extract in parts.items()])
    ended = alert.inbox.ended(2)
    reasons = {event.part_id: event.reason for event in ended if isinstance(event, AttemptLost)}
    assert f"worker {node_id}/0 ended: no sign of life" in reasons["p1"]
    assert reasons["p2"] == f"node {node_id} has no worker"
    assert all(ALERT_S <= event.at - sent_at < 3 * ALERT_S for event in ended)
    alert.inbox.ready(node_id, 1)


def test_a_part_that_never_lets_go_of_the_interpreter_is_lost(
    alert: Carrier, tmp_path: Path
) -> None:
    node_id = alert.node()
    endless = work(node_id, "p1", works.hold_interpreter, tmp_path / "held", limit_s=0.5)
    alert.engine.submit([endless])
    (event,) = alert.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert "no sign of life" in event.reason
    alert.inbox.ready(node_id, 1)
    assert not psutil.pid_exists(held(tmp_path / "held"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_scheduler_loses_the_attempts_and_is_replaced(
    alert: Carrier, tmp_path: Path, how: signal.Signals
) -> None:
    node_id = alert.node(2)
    paths = [tmp_path / name for name in ("a", "b")]
    alert.engine.submit([work(node_id, path.name, works.hold, path) for path in paths])
    for path in paths:
        held(path)
    address = alert.engine.connection.address
    alert.scheduler().send_signal(how)
    for event in alert.inbox.ended(2):
        assert isinstance(event, AttemptLost)
        assert "the scheduler" in event.reason
    alert.inbox.ready(node_id, 0)
    alert.inbox.ready(node_id, 2)
    assert alert.engine.connection.address == address
    alert.engine.submit([work(node_id, "a", works.fragment, attempt=2)])
    (event,) = alert.inbox.ended(1)
    assert isinstance(event, PartFinished)


def test_an_engine_gives_up_after_too_many_schedulers() -> None:
    carrier = Carrier(restarts_max=1)
    for _ in range(2):
        scheduler = carrier.scheduler()
        scheduler.kill()
        until(lambda gone=scheduler: not runs(gone))  # type: ignore[misc]
    with pytest.raises(EngineError, match="scheduler ended 2 times"):
        until(lambda: carrier.engine.submit([]))
    carrier.close()
    assert carrier.processes() == []


def test_workers_whose_engine_is_gone_end_by_themselves() -> None:
    carrier = Carrier(orphan_s=0.5)
    node_id = carrier.node(2)
    carrier.engine.close()
    assert "could not reach" in break_of(carrier.nodes, node_id)
    carrier.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_whose_own_thread_ends_says_so(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    engine = DaskEngine(Inbox().put, folder=tmp_path / "engine", authority=authority)
    # None of the faults that a lost scheduler has: its successor is given no certificate.
    authority.revoke("scheduler")
    record = launch.recorded(tmp_path / "engine")
    assert record is not None
    os.kill(record.process.pid, signal.SIGKILL)
    until(lambda: engine.fault)
    with pytest.raises(EngineError, match="own thread has ended: NodeError") as caught:
        engine.submit([work("n1", "p1", works.fragment)])
    assert caught.value.retry
    engine.close(end=True)
