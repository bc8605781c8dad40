"""Nodes of real processes keep the provider's contract, and nothing of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes import cgroup, process
from controller.nodes.nursery import preload
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.nodes.records import ATTACHED, STANDING, Standing, read, write
from controller.nodes.supervisor import OUT_OF_REACH, REFUSED
from controller.nodes.testing import check_node_provider
from controller.ports import NodeListing, NodeState, WorkerConnection
from controller.processes import mark
from tests.controller.nodes.connections import (
    Issuing,
    Parent,
    Sharing,
    ShortLived,
    Stubborn,
    Unwelcome,
    Waiting,
)

WAIT_S_MAX = 60.0
LOCAL = ProcessNodeType(name="local", slots=2, slots_max=3, nodes_max=2)
Make = Callable[..., ProcessNodes]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make providers on one registry, closed in the end."""
    made = []

    def make(
        connection: WorkerConnection | None = None, kind: ProcessNodeType = LOCAL, **settings: Any
    ) -> ProcessNodes:
        given: dict[str, Any] = {"folder": tmp_path / "nodes", "end_s_max": 1.0} | settings
        made.append(ProcessNodes(connection or Waiting(), node_types=[kind], **given))
        return made[-1]

    yield make
    for nodes in made:
        nodes.close()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def only(nodes: ProcessNodes) -> NodeListing:
    (listing,) = nodes.list_nodes()
    return listing


def runs(nodes: ProcessNodes, workers: int) -> Callable[[], bool]:
    def condition() -> bool:
        listing = only(nodes)
        return (listing.state, listing.workers) == (NodeState.RUNNING, workers)

    return condition


def broken(nodes: ProcessNodes) -> Callable[[], bool]:
    return lambda: only(nodes).state is NodeState.BROKEN


def standing(tmp_path: Path, node_id: str = "n1") -> Standing:
    found = read(tmp_path / "nodes" / node_id / STANDING, Standing)
    assert found is not None
    return found


def test_the_provider_keeps_the_contract(make: Make) -> None:
    check_node_provider(make(), reopen=make, wait_s_max=WAIT_S_MAX)


def test_a_declared_boot_time_passes_before_a_worker_starts(make: Make, tmp_path: Path) -> None:
    nodes = make(kind=ProcessNodeType(name="local", boot_s=0.5))
    assert nodes.describe()[0].boot_s >= 0.5
    began = time.monotonic()
    nodes.create("n1", "local", 1)
    assert only(nodes).state is NodeState.BOOTING
    until(runs(nodes, 1))
    assert time.monotonic() - began >= 0.5


def test_a_killed_worker_is_replaced_by_one_with_another_name(make: Make, tmp_path: Path) -> None:
    nodes = make()
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    assert sorted(standing(tmp_path).workers) == ["n1/0", "n1/1"]
    nodes.kill_worker("n1/0")
    until(lambda: sorted(standing(tmp_path).workers) == ["n1/1", "n1/2"])
    nodes.kill_worker("n1/0")
    nodes.kill_worker("n-never/0")
    assert runs(nodes, 2)()


@pytest.mark.parametrize("room_mb", [1.0, 0.0])
def test_the_workers_of_a_node_share_their_reads(
    make: Make, tmp_path: Path, room_mb: float
) -> None:
    nodes = make(
        Sharing(), kind=ProcessNodeType(name="local", slots_max=3, shared_reads_mb=room_mb)
    )
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "local", 3)

    def told(node_id: str) -> list[str]:
        return [path.read_text() for path in (tmp_path / "nodes" / node_id).glob("told-*")]

    until(lambda: all(len(told(node_id)) == 3 and all(told(node_id)) for node_id in ("n1", "n2")))
    makers = [set(told(node_id)) for node_id in ("n1", "n2")]
    if not room_mb:
        assert makers == [{"nobody"}, {"nobody"}]
    else:
        assert [len(each) for each in makers] == [1, 1]
        assert makers[0] <= {"n1/0", "n1/1", "n1/2"}
    until(lambda: nodes.delete("n1"))
    assert not (tmp_path / "nodes" / "n1").exists()


def test_a_frozen_worker_can_be_killed(make: Make, tmp_path: Path) -> None:
    nodes = make()
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    frozen = standing(tmp_path).workers["n1/0"]
    os.kill(frozen.pid, signal.SIGSTOP)
    nodes.kill_worker("n1/0")
    until(lambda: "n1/1" in standing(tmp_path).workers)
    assert not frozen.runs()


@pytest.mark.parametrize("code", [3, OUT_OF_REACH, REFUSED])
def test_a_node_whose_workers_keep_dying_is_broken(make: Make, code: int) -> None:
    nodes = make(ShortLived(code), restarts_max=3)
    nodes.create("n1", "local", 1)
    until(broken(nodes))
    assert only(nodes).reason == f"its workers ended 4 times in 60 s, the last: exit code {code}"
    assert only(nodes).workers == 0


def test_a_node_whose_workers_are_refused_is_broken_at_once(make: Make) -> None:
    nodes = make(Unwelcome())
    nodes.create("n1", "local", 1)
    until(broken(nodes))
    assert only(nodes).reason == "n1/0 is not welcome"


def test_a_node_that_does_not_see_the_archive_is_broken(make: Make, tmp_path: Path) -> None:
    there, missing = (tmp_path / name for name in ("there", "missing"))
    there.mkdir()
    nodes = make(reachable_urls=[there.as_uri(), missing.as_uri()])
    nodes.create("n1", "local", 1)
    until(broken(nodes))
    assert only(nodes).reason.startswith(f"{missing.as_uri()} does not exist")
    until(lambda: nodes.delete("n1"))
    missing.mkdir()
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))


def test_a_node_whose_supervisor_is_killed_is_broken_and_leaves_no_worker(
    make: Make, tmp_path: Path
) -> None:
    nodes = make()
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    left = standing(tmp_path)
    left.supervisor.send(signal.SIGKILL)
    until(lambda: not left.running())
    assert only(nodes).state is NodeState.BROKEN
    assert only(nodes).reason == "its supervisor is gone"
    assert nodes.delete("n1") is True
    assert nodes.list_nodes() == ()


def test_nodes_of_a_killed_nursery_are_broken_and_new_ones_are_made(
    make: Make, tmp_path: Path
) -> None:
    nodes = make()
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    left = standing(tmp_path)
    psutil.Process(left.supervisor.pid).parent().kill()  # type: ignore[union-attr]
    until(lambda: not left.running())
    assert only(nodes).state is NodeState.BROKEN
    until(lambda: nodes.delete("n1"))
    nodes.create("n2", "local", 1)
    until(runs(nodes, 1))


def test_a_worker_that_does_not_listen_is_killed_in_time(make: Make, tmp_path: Path) -> None:
    nodes = make(Stubborn(), end_s_max=0.3)
    nodes.create("n1", "local", 2)
    folder = tmp_path / "nodes" / "n1"
    until(lambda: all((folder / f"scratch-{k}" / "here").exists() for k in (0, 1)))
    until(runs(nodes, 2))  # A worker may be quicker than what is written of it.
    left = standing(tmp_path)
    began = time.monotonic()
    nodes.resize("n1", 1)
    until(runs(nodes, 1))
    assert time.monotonic() - began >= 0.3
    until(lambda: nodes.delete("n1"))
    assert not left.running()


def test_even_a_frozen_node_is_deleted(make: Make, tmp_path: Path) -> None:
    nodes = make(end_s_max=0.3)
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    left = standing(tmp_path)
    for each in (left.supervisor, *left.workers.values()):
        os.kill(each.pid, signal.SIGSTOP)
    until(lambda: nodes.delete("n1"))
    assert not left.running()
    assert nodes.list_nodes() == ()


def test_what_a_worker_has_started_ends_with_it(make: Make, tmp_path: Path) -> None:
    nodes = make(Parent())
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    worker = psutil.Process(standing(tmp_path).workers["n1/0"].pid)
    until(lambda: len(worker.children()) == 1)
    (child,) = worker.children()
    nodes.kill_worker("n1/0")
    until(lambda: child.status() == psutil.STATUS_ZOMBIE if child.is_running() else True)


def test_a_node_that_leaves_is_not_taken_for_one_that_stands(make: Make) -> None:
    nodes = make(Stubborn())
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    assert nodes.delete("n1") is False
    with pytest.raises(NodeError, match="is being deleted") as refused:
        nodes.create("n1", "local", 1)
    assert refused.value.retry
    until(lambda: nodes.delete("n1"))
    nodes.create("n1", "local", 1)


def test_limits_are_told_as_what_they_are(make: Make) -> None:
    nodes = make()
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "local", 1)
    assert nodes.describe()[0].nodes_max == 0
    for node_id, kind, workers, fault in (
        ("n3", "local", 1, NodeFault.QUOTA),
        ("n3", "local", 4, NodeFault.OURS),
        ("n3", "local", 0, NodeFault.OURS),
        ("n3", "huge", 1, NodeFault.OURS),
        ("../n3", "local", 1, NodeFault.OURS),
    ):
        with pytest.raises(NodeError, match="n3") as refused:
            nodes.create(node_id, kind, workers)
        assert refused.value.fault is fault


def test_close_leaves_no_process_and_no_private_folder() -> None:
    before = set(psutil.Process().children(recursive=True))
    nodes = ProcessNodes(Waiting(), node_types=[LOCAL])
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "local", 2)
    until(lambda: all(each.workers == 2 for each in nodes.list_nodes()))
    started = set(psutil.Process().children(recursive=True)) - before
    assert len(started) == 1 + 2 + 4
    nodes.close()
    assert not [each for each in started if each.is_running()]
    nodes.close()


def test_nodes_outlive_their_provider_and_are_found_again(make: Make, tmp_path: Path) -> None:
    nodes = make(orphan_s=60.0)
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    before = standing(tmp_path)
    nodes.close()
    assert len(before.running()) == 3
    again = make(orphan_s=60.0)
    assert runs(again, 2)()
    again.resize("n1", 1)
    until(runs(again, 1))
    assert standing(tmp_path).supervisor == before.supervisor
    again.create("n2", "local", 1)
    again.close(end=True)
    assert not before.running()
    assert again.list_nodes() == ()


def test_nodes_end_when_no_provider_comes_back(make: Make, tmp_path: Path) -> None:
    nodes = make(orphan_s=0.5)
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    left = standing(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as gone:
        write(tmp_path / "nodes" / ATTACHED, mark(gone.pid))  # As if that had been their service.
        gone.kill()
    until(lambda: not left.running())
    assert only(nodes).reason == "no service was there for 0 s"
    assert nodes.delete("n1")


def test_the_credentials_of_nodes_are_renewed_while_they_stand(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Issuing(tmp_path / "issued")
    nodes = make(issued)
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    assert issued.count() == 1
    nodes.list_nodes()
    assert issued.count() == 1
    monkeypatch.setattr(process, "RENEW_S", 0.0)
    nodes = make(issued)
    nodes.list_nodes()
    assert issued.count() == 2


def test_a_node_is_under_its_quota_and_its_group_goes_with_it(make: Make, tmp_path: Path) -> None:
    if reason := cgroup.fault():
        pytest.skip(reason)
    nodes = make(kind=ProcessNodeType(name="local", cpu_quota=0.5))
    nodes.create("n1", "local", 2)
    until(runs(nodes, 2))
    name = cgroup.group_name(tmp_path / "nodes" / "n1")
    for each in standing(tmp_path).running():
        assert f"/{name}\n" in Path("/proc", str(each.pid), "cgroup").read_text()
    home = cgroup.find_home()
    assert (home.folder / name).is_dir()
    until(lambda: nodes.delete("n1"))
    assert not (home.folder / name).exists()


def test_the_group_of_a_killed_supervisor_is_swept(make: Make, tmp_path: Path) -> None:
    if reason := cgroup.fault():
        pytest.skip(reason)
    nodes = make(kind=ProcessNodeType(name="local", cpu_quota=0.5))
    nodes.create("n1", "local", 1)
    until(runs(nodes, 1))
    standing(tmp_path).supervisor.send(signal.SIGKILL)
    until(lambda: nodes.delete("n1"))
    assert not (cgroup.find_home().folder / cgroup.group_name(tmp_path / "nodes/n1")).exists()


def test_a_process_mark_means_that_process_only() -> None:
    own = mark(os.getpid())
    assert own.runs()
    assert not type(own)(pid=own.pid, started=own.started + 1).runs()
    with subprocess.Popen(["sleep", "60"]) as child:
        theirs = mark(child.pid)
        assert theirs.runs()
        theirs.send(signal.SIGKILL)
    assert not theirs.runs()
    theirs.send(signal.SIGKILL)


def test_preloading_skips_what_is_missing_and_tells_of_threads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    preload(("json", "no_such_module"))
    stop.set()
    thread.join()
    assert "json started threads" in caplog.text


def test_a_name_that_a_worker_gave_itself_names_no_other_folder(make: Make, tmp_path: Path) -> None:
    nodes = make()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "elsewhere").mkdir()
        process_mark, name = mark(bystander.pid), "../elsewhere/0"
        standing = Standing(
            supervisor=process_mark, state=NodeState.RUNNING, workers={name: process_mark}
        )
        write(tmp_path / "elsewhere" / STANDING, standing)
        nodes.kill_worker(name)
        with pytest.raises(subprocess.TimeoutExpired):
            bystander.wait(0.1)
    finally:
        bystander.kill()
        bystander.wait()
