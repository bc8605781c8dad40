"""The engine carries real parts to real worker processes; each attempt ends in one report."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from controller.engines.connection import DaskConnection, new_key_pair, security_of
from controller.engines.dask import DaskEngine
from controller.errors import EngineError
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.ports import NodeState, PartWork
from planner.events import AttemptLost, NodeReady, PartFailed, PartFinished
from planner.model import Fragment
from tests.controller.engines import works
from tests.controller.engines.inbox import Inbox

QUICK_S = 1.0
"""A killed worker is told sooner than this [s]."""

LEASE_S = 2.0
TYPES = (ProcessNodeType(name="local", slots=1, slots_max=4),)


def work(
    part_id: str,
    extract: Callable[[Any], Fragment],
    order: object = "order",
    *,
    node_id: str = "n1",
    attempt: int = 1,
    limit_s: float = 60.0,
) -> PartWork:
    return PartWork(
        part_id=part_id,
        attempt=attempt,
        node_id=node_id,
        limit_s=limit_s,
        extract=extract,
        order=order,
    )


class Carrier:
    """An engine and its nodes, wired as the service does it."""

    def __init__(self, *, lease_s: float = LEASE_S, restarts_max: int = 5, **settings: Any) -> None:
        self._others = set(psutil.Process().children(recursive=True))
        self.inbox = Inbox()
        self.engine = DaskEngine(
            self.inbox.put,
            lease_s=lease_s,
            restarts_max=restarts_max,
            on_hung=lambda name: self.nodes.kill_worker(name),
        )
        self.nodes = ProcessNodes(self.engine.connection, node_types=TYPES, **settings)

    def node(self, node_id: str = "n1", workers: int = 1) -> None:
        """Create a node and wait until its workers have joined."""
        self.nodes.create(node_id, "local", workers)
        self.inbox.ready(node_id, workers)

    def processes(self) -> list[psutil.Process]:
        """Return all processes that the engine and its nodes have started, and that run."""
        return [
            each for each in psutil.Process().children(recursive=True) if each not in self._others
        ]

    def scheduler(self) -> psutil.Process:
        """Return the scheduler's process, once there is one."""
        give_up_at = time.monotonic() + 10
        while time.monotonic() < give_up_at:
            for process in self.processes():
                if runs(process) and "controller.engines.scheduler" in process.cmdline():
                    return process
        raise AssertionError("no scheduler")

    def close(self) -> None:
        self.engine.close()
        self.nodes.close()


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    carrier = Carrier()
    yield carrier
    carrier.close()


def held(path: Path) -> int:
    """Wait until a part holds this file; return the number of its process."""
    give_up_at = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)
    return int(path.read_text())


def until_gone(processes: list[psutil.Process], s_max: float = 10.0) -> list[psutil.Process]:
    """Wait for the end of processes, however they are related; return those that run still."""
    give_up_at = time.monotonic() + s_max
    left = processes
    while left and time.monotonic() < give_up_at:
        left = [each for each in left if runs(each)]
        time.sleep(0.01)
    return left


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_batch_of_parts_runs_on_the_nodes_they_were_planned_for(carrier: Carrier) -> None:
    carrier.node("n1", 2)
    carrier.node("n2", 1)
    batch = [work(f"p{i}", works.fragment, i, node_id=f"n{1 + i % 2}") for i in range(20)]
    carrier.engine.submit(batch)
    finished = {event.part_id: event for event in carrier.inbox.ended(20)}
    pids: dict[str, set[str]] = {"n1": set(), "n2": set()}
    for each in batch:
        event = finished[each.part_id]
        assert isinstance(event, PartFinished)
        assert (event.attempt, event.node_id) == (1, each.node_id)
        assert event.fragment.url.endswith(f"/{each.order}")
        assert 0 <= event.run_s < 10
        assert abs(event.at - time.time()) < 60
        pids[event.node_id].add(event.fragment.url.split("/")[2])
    assert len(pids["n2"]) == 1
    assert 1 <= len(pids["n1"]) <= 2
    assert not pids["n1"] & pids["n2"]


@pytest.mark.parametrize(
    ("extract", "reason", "retry"),
    [
        (works.raise_value_error, "ValueError: cannot read order, in raise_value_error", True),
        (works.refuse_for_good, "order is forbidden", False),
        (works.refuse_now, "order is not there", False),
        (works.raise_unpicklable, "no way for order", True),
        (works.return_unpicklable, "returned lock, not a Fragment", False),
    ],
)
def test_a_part_that_fails_says_why_and_whether_to_retry(
    shared: Carrier, extract: Callable[[Any], Fragment], reason: str, retry: bool
) -> None:
    shared.engine.submit([work(f"p-{extract.__name__}", extract)])
    (event,) = shared.inbox.ended(1)
    assert isinstance(event, PartFailed)
    assert reason in event.reason
    assert event.retry is retry


def test_a_work_that_cannot_be_sent_fails_alone(shared: Carrier) -> None:
    unpicklable = work("p-lambda", lambda order: works.fragment(order))
    shared.engine.submit([work("p1", works.fragment), unpicklable, work("p2", works.fragment)])
    ended = {event.part_id: event for event in shared.inbox.ended(3)}
    assert isinstance(ended["p1"], PartFinished)
    assert isinstance(ended["p2"], PartFinished)
    failed = ended["p-lambda"]
    assert isinstance(failed, PartFailed)
    assert failed.retry is False
    assert "p-lambda" in failed.reason


def test_an_attempt_that_is_under_way_is_not_sent_twice(shared: Carrier, tmp_path: Path) -> None:
    holding = work("p-held", works.hold, tmp_path / "held")
    shared.engine.submit([holding])
    shared.engine.submit([holding])
    held(tmp_path / "held")
    (tmp_path / "held").unlink()
    shared.engine.submit([work("p-after", works.fragment)])
    assert [event.part_id for event in shared.inbox.ended(2)] == ["p-held", "p-after"]


def test_nothing_is_reported_of_a_stopped_attempt(shared: Carrier, tmp_path: Path) -> None:
    shared.engine.submit([work("p-stopped", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    shared.engine.stop("p-stopped", 1)
    shared.engine.stop("p-never", 1)
    (tmp_path / "held").unlink()
    shared.engine.submit([work("p-next", works.fragment)])
    (event,) = shared.inbox.ended(1)
    assert event.part_id == "p-next"


def test_a_node_without_workers_loses_what_it_is_sent(shared: Carrier) -> None:
    shared.engine.submit([work("p1", works.fragment, node_id="n-none")])
    (event,) = shared.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert "n-none has no worker" in event.reason


def test_a_killed_worker_loses_its_part_and_comes_back(carrier: Carrier, tmp_path: Path) -> None:
    carrier.node()
    carrier.engine.submit([work("p1", works.hold, tmp_path / "held")])
    pid = held(tmp_path / "held")
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert event.at - killed_at < QUICK_S
    assert "n1/0" in event.reason
    carrier.inbox.ready("n1", 1)
    carrier.engine.submit([work("p1", works.fragment, attempt=2)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFinished)
    assert event.attempt == 2


def test_a_killed_worker_takes_no_part_of_its_neighbour(carrier: Carrier, tmp_path: Path) -> None:
    carrier.node("n1", 2)
    paths = [tmp_path / name for name in ("a", "b")]
    carrier.engine.submit([work(path.name, works.hold, path) for path in paths])
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
def test_a_part_that_ends_its_worker_is_lost_once(
    carrier: Carrier, poison: Callable[[Any], Fragment]
) -> None:
    carrier.node("n1", 2)
    carrier.engine.submit([work("p-poison", poison)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost | PartFailed)
    carrier.engine.submit([work("p-next", works.fragment, attempt=2)])
    (event,) = carrier.inbox.ended(1)
    assert event.part_id == "p-next"


def test_a_frozen_worker_is_lost_after_its_lease_and_replaced(carrier: Carrier) -> None:
    carrier.node()
    sent_at = time.time()
    carrier.engine.submit([work("p1", works.stop_process), work("p2", works.fragment)])
    ended = carrier.inbox.ended(2)
    reasons = {event.part_id: event.reason for event in ended if isinstance(event, AttemptLost)}
    assert "n1/0 ended: no sign of life" in reasons["p1"]
    assert reasons["p2"] == "node n1 has no worker"
    assert all(LEASE_S <= event.at - sent_at < 3 * LEASE_S for event in ended)
    carrier.inbox.ready("n1", 1)


def test_a_part_that_never_lets_go_of_the_interpreter_is_lost(
    carrier: Carrier, tmp_path: Path
) -> None:
    carrier.node()
    carrier.engine.submit([work("p1", works.hold_interpreter, tmp_path / "held", limit_s=0.5)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert "no sign of life" in event.reason
    carrier.inbox.ready("n1", 1)
    assert not psutil.pid_exists(held(tmp_path / "held"))


def test_a_part_that_outruns_its_limit_is_lost_and_its_worker_replaced(
    carrier: Carrier, tmp_path: Path
) -> None:
    carrier.node()
    carrier.engine.submit([work("p1", works.hold, tmp_path / "held", limit_s=0.5)])
    pid = held(tmp_path / "held")
    began = time.time()
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert "outran its limit" in event.reason
    assert event.at - began < 0.5 + QUICK_S
    carrier.inbox.ready("n1", 1)
    assert not psutil.pid_exists(pid)


def test_a_limit_counts_from_the_start_of_the_part(shared: Carrier, tmp_path: Path) -> None:
    first = work("p1", works.hold, tmp_path / "held")
    shared.engine.submit([first, work("p2", works.fragment, limit_s=0.2)])
    held(tmp_path / "held")
    time.sleep(0.4)
    (tmp_path / "held").unlink()
    assert all(isinstance(event, PartFinished) for event in shared.inbox.ended(2))


def test_a_shrinking_node_lets_its_parts_end(carrier: Carrier, tmp_path: Path) -> None:
    carrier.node("n1", 2)
    paths = [tmp_path / name for name in ("a", "b")]
    carrier.engine.submit([work(path.name, works.hold, path) for path in paths])
    for path in paths:
        held(path)
    carrier.nodes.resize("n1", 1)
    for path in paths:
        path.unlink()
    assert all(isinstance(event, PartFinished) for event in carrier.inbox.ended(2))
    carrier.inbox.ready("n1", 1)
    carrier.nodes.resize("n1", 3)
    carrier.inbox.ready("n1", 3)


def test_a_deleted_node_loses_its_parts(tmp_path: Path) -> None:
    carrier = Carrier(end_s_max=0.2)
    carrier.node()
    carrier.engine.submit([work("p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    while not carrier.nodes.delete("n1"):
        time.sleep(0.01)
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    carrier.inbox.ready("n1", 0)
    carrier.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_scheduler_loses_the_attempts_and_is_replaced(
    carrier: Carrier, tmp_path: Path, how: signal.Signals
) -> None:
    carrier.node("n1", 2)
    paths = [tmp_path / name for name in ("a", "b")]
    carrier.engine.submit([work(path.name, works.hold, path) for path in paths])
    for path in paths:
        held(path)
    address = carrier.engine.connection.address
    carrier.scheduler().send_signal(how)
    for event in carrier.inbox.ended(2):
        assert isinstance(event, AttemptLost)
        assert "scheduler" in event.reason
    carrier.inbox.ready("n1", 0)
    carrier.inbox.ready("n1", 2)
    assert carrier.engine.connection.address == address
    carrier.engine.submit([work("a", works.fragment, attempt=2)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFinished)


def test_an_engine_gives_up_after_too_many_schedulers() -> None:
    carrier = Carrier(restarts_max=1)
    for _ in range(2):
        scheduler = carrier.scheduler()
        scheduler.kill()
        assert until_gone([scheduler]) == []
    give_up_at = time.monotonic() + 10
    with pytest.raises(EngineError, match="scheduler ended 2 times"):
        while time.monotonic() < give_up_at:
            carrier.engine.submit([])
            time.sleep(0.01)
    carrier.close()
    assert carrier.processes() == []


def test_the_state_of_joined_workers_is_told_once_per_change(carrier: Carrier) -> None:
    carrier.node("n1", 1)
    carrier.nodes.resize("n1", 2)
    carrier.inbox.ready("n1", 2)
    while not carrier.nodes.delete("n1"):
        time.sleep(0.01)
    carrier.inbox.ready("n1", 0)
    counts = [event.workers for event in carrier.inbox.seen if isinstance(event, NodeReady)]
    assert counts == [1, 2, 1, 0]


def test_two_engines_side_by_side_do_not_mix() -> None:
    carriers = [Carrier(), Carrier()]
    try:
        for carrier in carriers:
            carrier.node()
        for number, carrier in enumerate(carriers):
            carrier.engine.submit([work(f"p{i}", works.fragment, number) for i in range(10)])
        pids = []
        for number, carrier in enumerate(carriers):
            urls = {event.fragment.url for event in carrier.inbox.ended(10)}  # type: ignore[union-attr]
            assert len(urls) == 1
            assert urls.pop().endswith(f"/{number}")
            pids.append(carrier.nodes.list_nodes())
            assert carrier.inbox.rest() == []
    finally:
        for carrier in carriers:
            carrier.close()


def test_nobody_joins_without_the_certificate(shared: Carrier) -> None:
    address = shared.engine.connection.address
    strangers = [
        ("tls", Security.temporary(), "certificate does not match"),
        ("tcp", None, "Timed out|closed"),
    ]
    for scheme, security, why in strangers:
        with pytest.raises(OSError, match=why):
            Client(
                address.replace("tls", scheme), security=security, timeout=1, set_as_default=False
            )


def test_a_worker_with_another_certificate_is_refused(shared: Carrier) -> None:
    certificate, key = new_key_pair()
    stranger = dataclasses.replace(
        shared.engine.connection, certificate=certificate, key=key, orphan_s=1.0
    )
    assert "could not reach tls://127.0.0.1" in broken_with(stranger)
    assert shared.inbox.rest() == []


def test_a_worker_of_another_build_is_refused(shared: Carrier) -> None:
    ours = shared.engine.connection
    old = works.OldWorker(
        address=ours.address, certificate=ours.certificate, key=ours.key, orphan_s=ours.orphan_s
    )
    assert "version skew: slackwater 0.0.1 on the worker" in broken_with(old)
    assert shared.inbox.rest() == []


def broken_with(connection: DaskConnection) -> str:
    """Return why a node breaks whose workers join with this."""
    nodes = ProcessNodes(connection, node_types=TYPES)
    nodes.create("n-strange", "local", 1)
    give_up_at = time.monotonic() + 20
    (listing,) = nodes.list_nodes()
    while listing.state is not NodeState.BROKEN:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
        (listing,) = nodes.list_nodes()
    nodes.close()
    return listing.reason


def test_secrets_are_on_no_command_line_and_in_no_environment(shared: Carrier) -> None:
    secret = shared.engine.connection.key.splitlines()[1]
    processes = shared.processes()
    assert len(processes) >= 4
    for process in processes:
        assert secret not in " ".join(process.cmdline())
        assert secret not in " ".join(process.environ().values())
    assert secret not in repr(shared.engine.connection)


def test_everything_listens_on_the_loopback_and_speaks_tls(shared: Carrier) -> None:
    security = security_of(shared.engine.connection.certificate, shared.engine.connection.key)
    with Client(
        shared.engine.connection.address, security=security, set_as_default=False
    ) as client:
        addresses = [client.scheduler_info()["address"], *client.scheduler_info()["workers"]]
    assert len(addresses) >= 2
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    listening = [
        f"tls://{connection.laddr.ip}:{connection.laddr.port}"
        for process in shared.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert sorted(listening) == sorted(addresses)


def test_close_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    carrier = Carrier(folder=tmp_path / "nodes")
    carrier.node("n1", 2)
    carrier.engine.submit([work("p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    processes = carrier.processes()
    assert len(processes) >= 5
    carrier.close()
    carrier.close()
    assert [each for each in processes if runs(each)] == []
    assert [each.name for each in (tmp_path / "nodes").iterdir()] == [".nursery.log"]
    assert carrier.inbox.rest() == []


@pytest.fixture(scope="module")
def shared() -> Iterator[Carrier]:
    """An engine with one worker, for tests that leave it as they find it."""
    carrier = Carrier(lease_s=30.0)
    carrier.node()
    yield carrier
    carrier.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A service of its own in a process of its own, with a part that runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.controller.engines.lone_service", str(tmp_path / "held")],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    held(tmp_path / "held")
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_killed_service_leaves_no_process(service: subprocess.Popen[str]) -> None:
    processes = psutil.Process(service.pid).children(recursive=True)
    assert len(processes) >= 4
    service.kill()
    service.wait()
    assert until_gone(processes) == []


def test_an_interrupt_of_the_terminal_reaches_the_service_only(
    service: subprocess.Popen[str],
) -> None:
    processes = psutil.Process(service.pid).children(recursive=True)
    os.killpg(service.pid, signal.SIGINT)
    output, _ = service.communicate(timeout=20)
    assert output.split() == ["interrupted", "PartFinished"]
    assert service.returncode == 130
    assert [each for each in processes if runs(each)] == []
