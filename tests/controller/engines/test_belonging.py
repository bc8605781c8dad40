"""Who has the certificate and our build is in, nobody else; and nothing outlives its service."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from controller.authority import Authority
from controller.engines.connection import DaskConnection, RenewableSecurity
from controller.nodes.process import ProcessNodes
from planner.events import PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import LOCAL, Carrier, break_of, held, runs, until, work


def test_two_engines_side_by_side_do_not_mix(carrier: Carrier) -> None:
    other = Carrier()
    carriers = {0: (carrier, carrier.node()), 1: (other, other.node())}
    for number, (each, node_id) in carriers.items():
        each.engine.submit([work(node_id, f"p{i}", works.fragment, number) for i in range(10)])
    pids = set()
    for number, (each, _) in carriers.items():
        ended = each.inbox.ended(10)
        (url,) = {event.fragment.url for event in ended if isinstance(event, PartFinished)}
        assert url.endswith(f"/{number}")
        pids.add(url.split("/")[2])
        assert each.inbox.rest() == []
    assert len(pids) == 2
    other.close()


def test_nobody_joins_without_the_certificate(carrier: Carrier) -> None:
    address = carrier.engine.connection.address
    strangers = [
        ("tls", Security.temporary(), "certificate does not match"),
        ("tcp", None, "Timed out|closed"),
    ]
    for scheme, security, why in strangers:
        with pytest.raises(OSError, match=why):
            Client(
                address.replace("tls", scheme), security=security, timeout=1, set_as_default=False
            )


def test_a_worker_with_another_certificate_is_refused(carrier: Carrier, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    stranger = dataclasses.replace(carrier.engine.connection, issue=other.credentials, orphan_s=1.0)
    assert "do not go together: CERTIFICATE_VERIFY_FAILED" in broken_with(stranger)
    assert carrier.inbox.rest() == []


def test_a_worker_of_another_build_is_refused(carrier: Carrier) -> None:
    ours = carrier.engine.connection
    old = works.OldWorker(
        address=ours.address,
        credentials=ours.credentials,
        orphan_s=ours.orphan_s,
        issue=ours.issue,
    )
    assert "version skew: slackwater 0.0.1 on the worker" in broken_with(old)
    assert carrier.inbox.rest() == []


def test_a_worker_with_the_certificate_of_another_node_is_refused(carrier: Carrier) -> None:
    ours = carrier.engine.connection
    assert ours.issue is not None
    issue = ours.issue
    taken_over = dataclasses.replace(ours, issue=lambda _, own: issue("n-other", own))
    assert "n-strange/0 shows the certificate of n-other" in broken_with(taken_over)
    assert carrier.inbox.rest() == []


def broken_with(connection: DaskConnection) -> str:
    """Return why a node breaks whose workers join with this."""
    nodes = ProcessNodes(connection, node_types=[LOCAL])
    nodes.create("n-strange", "local", 1)
    reason = break_of(nodes, "n-strange")
    nodes.close()
    return reason


def test_secrets_are_on_no_command_line_and_in_no_environment(carrier: Carrier) -> None:
    carrier.node()
    secret = Path(carrier.engine.connection.credentials.own).read_text().splitlines()[-2]
    processes = carrier.processes()
    assert len(processes) == 4  # Scheduler, nursery, supervisor, worker.
    for process in processes:
        assert secret not in " ".join(process.cmdline())
        assert secret not in " ".join(process.environ().values())
    assert secret not in repr(carrier.engine.connection)


def test_everything_listens_on_the_loopback_and_speaks_tls(carrier: Carrier) -> None:
    carrier.node(2)
    ours = carrier.engine.connection
    security = RenewableSecurity(ours.credentials)
    with Client(ours.address, security=security, set_as_default=False) as client:
        addresses = [ours.address, *client.scheduler_info()["workers"]]
    listening = [
        f"tls://{connection.laddr.ip}:{connection.laddr.port}"
        for process in carrier.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(addresses) == 3
    assert sorted(listening) == sorted(addresses)


def test_close_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    carrier = Carrier(folder=tmp_path / "nodes")
    carrier.engine.submit([work(carrier.node(2), "p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    processes = carrier.processes()
    assert len(processes) == 5
    carrier.close()
    carrier.close()
    assert [each for each in processes if runs(each)] == []
    assert [each.name for each in (tmp_path / "nodes").iterdir()] == [".nursery.log"]
    assert carrier.inbox.rest() == []


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A service in a process of its own, with a part that runs."""
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
    assert len(processes) == 4
    service.kill()
    service.wait()
    until(lambda: not any(map(runs, processes)))


def test_an_interrupt_of_the_terminal_reaches_the_service_only(
    service: subprocess.Popen[str],
) -> None:
    processes = psutil.Process(service.pid).children(recursive=True)
    os.killpg(service.pid, signal.SIGINT)
    output, _ = service.communicate(timeout=20)
    assert output.split() == ["interrupted", "PartFinished"]
    assert service.returncode == 130
    assert [each for each in processes if runs(each)] == []
