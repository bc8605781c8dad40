"""What goes wrong with pods is told as what it is, and leaves nothing behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes.keeper import NodeKeeper
from controller.ports import NodeListing, NodeState
from planner.commands import ProvisionNode, RemoveNode
from planner.events import AnyEvent, NodeRefused, NodeRemoved
from tests.fleet.control_plane import until
from tests.fleet.faulty_api import Fault, faulty_api
from tests.fleet.kubelet import Kubelet, machines
from tests.fleet.pods.conftest import Cluster, Make


def refusal(act: Callable[[], object]) -> NodeError:
    with pytest.raises(NodeError) as caught:
        act()
    return caught.value


def listed(nodes: Any, node_id: str) -> NodeListing | None:
    return next((each for each in nodes.list_nodes() if each.node_id == node_id), None)


def until_runs(nodes: Any, node_id: str) -> None:
    def runs() -> bool:
        found = listed(nodes, node_id)
        return found is not None and found.state is NodeState.RUNNING

    until(f"{node_id} runs", runs)


def until_broken(nodes: Any, node_id: str) -> str:
    def broken() -> str:
        found = listed(nodes, node_id)
        return found.reason if found and found.state is NodeState.BROKEN else ""

    return str(until(f"{node_id} is broken", broken))


def test_who_has_no_rights_is_told_so_by_every_call(make: Make, cluster: Cluster) -> None:
    nodes = make(kubeconfig=cluster.bed.nobody)
    for act in (
        nodes.list_nodes,
        lambda: nodes.create("n1", "small", 1),
        lambda: nodes.delete("n1"),
    ):
        error = refusal(act)
        assert error.fault is NodeFault.CREDENTIALS
        assert "nobody" in str(error)
        assert "Bind the Role" in str(error)


def test_expired_credentials_are_told_as_credentials(
    make: Make, cluster: Cluster, tmp_path: Path
) -> None:
    path = Path(cluster.kubeconfig(token="expired-token"))
    nodes = make(kubeconfig=str(path))
    error = refusal(nodes.list_nodes)
    assert error.fault is NodeFault.CREDENTIALS
    assert "expired-token" not in str(error)
    # Once they are renewed nobody has to start the service again.
    path.write_text(path.read_text().replace("expired-token", "admintok"))
    until("it is let in", lambda: quietly(lambda: nodes.list_nodes() == ()))


def test_a_kubeconfig_that_is_not_there_is_told_at_the_first_call(
    make: Make, tmp_path: Path
) -> None:
    error = refusal(make(kubeconfig=str(tmp_path / "none")).list_nodes)
    assert error.fault is NodeFault.CREDENTIALS


def test_a_namespace_that_is_not_there_is_ours_to_make(make: Make) -> None:
    error = refusal(lambda: make(namespace="no-such-namespace").create("n1", "small", 1))
    assert error.fault is NodeFault.OURS
    assert "Make the namespace" in str(error)


@pytest.mark.parametrize(
    "options",
    [{"priority_class": "no-such-class"}, {"service_account": "no-such-account"}],
    ids=["priority", "account"],
)
def test_what_the_cluster_does_not_know_is_ours(
    make: Make, cluster: Cluster, options: dict[str, str]
) -> None:
    nodes = make(**options)
    error = refusal(lambda: nodes.create("n1", "small", 1))
    assert error.fault is NodeFault.OURS
    assert "no-such" in str(error)
    assert cluster.pods() == []


def test_a_quota_is_a_quota(make: Make, kubelet: Kubelet, cluster: Cluster) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    cluster.core.create_namespaced_resource_quota(cluster.namespace, quota)
    get = cluster.core.read_namespaced_resource_quota
    until(
        "the quota counts",
        lambda: (get("few", cluster.namespace).status.used or {}).get("pods") == "0",
    )
    nodes = make()
    assert [each.nodes_max for each in nodes.describe()] == [1]
    nodes.create("n1", "small", 1)
    error = refusal(lambda: nodes.create("n2", "small", 1))
    assert error.fault is NodeFault.QUOTA
    until("it is described", lambda: nodes.describe()[0].nodes_max == 0)
    assert "exceeded quota" in str(error)
    assert listed(nodes, "n2") is None


def test_no_room_is_capacity_and_ends_after_the_launch_limit(
    make: Make, cluster: Cluster, tmp_path: Path
) -> None:
    with machines(cluster.bed, tmp_path / "kubelet", "tiny", cpu=1):
        nodes = make(size={"cpu": 4.0}, launch_s_max=3.0)
        nodes.create("n1", "small", 1)

        def told() -> bool:
            found = listed(nodes, "n1")
            return found is not None and found.reason.startswith("no capacity: 0/1 nodes")

        until("it is told that there is no room", told)
        assert listed(nodes, "n1").state is NodeState.BOOTING  # type: ignore[union-attr]
        assert "Insufficient cpu" in until_broken(nodes, "n1")
        until("it is gone", lambda: nodes.delete("n1"))


def test_an_image_that_is_not_there_breaks_the_node(make: Make, kubelet: Kubelet) -> None:
    nodes = make(image="nowhere/slackwater:0")
    nodes.create("n1", "small", 1)
    assert until_broken(nodes, "n1") == "ImagePullBackOff: image nowhere/slackwater:0 not found"
    until("it is gone", lambda: nodes.delete("n1"))


def test_how_a_pod_ended_is_the_reason_of_the_loss(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    nodes = make()
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "small", 1)
    until("both run", lambda: {each.state for each in nodes.list_nodes()} == {NodeState.RUNNING})
    first, second = sorted(cluster.pods())
    kubelet.oom(first)
    assert until_broken(nodes, "n1") == "OOMKilled (exit code 137)"
    kubelet.evict(second, "The node was low on resource: memory.")
    assert until_broken(nodes, "n2").startswith("Evicted: The node was low on resource: memory.")


def test_a_pod_on_a_machine_that_does_not_answer_is_struck_out(
    make: Make, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.nodes.kubernetes.FORCE_S", 1.0)
    nodes = make(grace_s=1.0)
    nodes.create("n1", "small", 1)
    until_runs(nodes, "n1")
    kubelet.silent.add("machine-0")
    assert nodes.delete("n1") is False
    assert until_broken(nodes, "n1") == "its pod was told to end"
    until("it is struck out", lambda: nodes.delete("n1"))


def test_what_the_server_has_forgotten_is_listed_anew(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    nodes = make(kind={"nodes_max": 5})
    nodes.create("n1", "small", 1)
    until("it is followed", nodes.list_nodes)
    began, errors = time.monotonic(), []
    cluster.bed.stop()
    # Nobody sees what happens now but the store: what the watch saw last is gone from it.
    cluster.bed.start()
    cluster.end(cluster.pods()[0])
    while True:
        try:
            if not nodes.list_nodes():
                break
        except NodeError as error:
            errors.append(error)
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    assert {each.fault for each in errors} <= {NodeFault.RETRY}
    assert nodes.requests()["list pods"] == 2
    nodes.create("n2", "small", 1)
    until_runs(nodes, "n2")


def test_an_api_that_is_away_is_worth_another_try_and_loses_nothing(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    nodes = make(call_s_max=2.0)
    nodes.create("n1", "small", 1)
    until_runs(nodes, "n1")
    cluster.bed.stop()
    # For a while, what was known is believed: a node is not lost because nobody can be asked.
    assert [each.node_id for each in nodes.list_nodes()] == ["n1"]
    assert refusal(lambda: nodes.create("n2", "small", 1)).fault is NodeFault.RETRY
    assert refusal(lambda: nodes.delete("n1")).fault is NodeFault.RETRY
    cluster.bed.start()
    until("n1 is gone", lambda: quietly(lambda: nodes.delete("n1")))
    until("nothing of n2 is left", lambda: quietly(lambda: not nodes.list_nodes()))
    assert cluster.pods() == []


def test_a_long_time_without_the_api_loses_no_node(
    make: Make, kubelet: Kubelet, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.nodes.kubernetes_watch.STALE_S_MAX", 0.5)
    nodes = make(call_s_max=2.0)
    nodes.create("n1", "small", 1)
    until_runs(nodes, "n1")
    told: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
    keeper = NodeKeeper(nodes, told.put, poll_s=0.02)
    keeper.expect(["n1"], [])
    cluster.bed.stop()
    # What is known is too old to be believed from now on, look after look.
    until("nothing is believed any more", lambda: not quietly(lambda: bool(nodes.list_nodes())))
    for _ in range(100):
        assert refusal(nodes.list_nodes).fault is NodeFault.RETRY
        time.sleep(0.02)
    keeper.carry_out(RemoveNode(node_id="n1", reason=""))
    cluster.bed.start()
    removed = told.get(timeout=60)
    assert isinstance(removed, NodeRemoved), removed
    keeper.close()
    assert cluster.pods() == []


def quietly(look: Callable[[], bool]) -> bool:
    """Return what a look says, False while it cannot be made."""
    try:
        return look()
    except NodeError:
        return False


def test_a_creation_that_succeeds_and_is_answered_by_500_is_found(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    with faulty_api(cluster.bed.server) as api:
        api.faults = [
            Fault(method="POST", path="/pods", status=500, done=True),
            Fault(method="POST", path="/secrets", done=True),
            Fault(method="POST", path="/pods", status=429, after_s=1),
        ]
        nodes = make(kubeconfig=cluster.kubeconfig(api.url))
        began = time.monotonic()
        nodes.create("n1", "small", 2)
        assert time.monotonic() > began + 1.0  # It was asked to wait so long.
        assert len(api.met) == 3
        until_runs(nodes, "n1")
        assert len(cluster.pods()) == 1
        nodes.close()


def test_a_creation_that_is_given_up_is_collected(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    with faulty_api(cluster.bed.server) as api:
        api.faults = [
            Fault(method="POST", path="/pods", status=503, done=True, times=4),
            Fault(method="DELETE", path="/pods", status=503, times=4),
        ]
        nodes = make(kubeconfig=cluster.kubeconfig(api.url))
        told: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
        keeper = NodeKeeper(nodes, told.put, poll_s=0.1, unknown_s_max=1.0)
        keeper.carry_out(ProvisionNode(node_id="n1", node_type="small", workers=2, reason="due"))
        refused = told.get(timeout=60)
        assert isinstance(refused, NodeRefused)
        assert refused.retry
        until("it is collected", lambda: not api.faults[1].times and not cluster.pods())
        keeper.close()
        nodes.close()


def test_a_slow_api_holds_up_no_listing(make: Make, cluster: Cluster, tmp_path: Path) -> None:
    with faulty_api(cluster.bed.server) as api:
        nodes = make(kubeconfig=cluster.kubeconfig(api.url), call_s_max=1.0)
        assert nodes.list_nodes() == ()
        api.faults = [Fault(method="POST", path="/pods", delay_s=30.0, times=9)]
        assert refusal(lambda: nodes.create("n1", "small", 1)).fault is NodeFault.RETRY
        api.faults = [Fault(method="GET", path="/pods", delay_s=30.0, times=9)]
        began = time.monotonic()
        for _ in range(100):
            nodes.list_nodes()
        assert time.monotonic() - began < 1.0
        nodes.close()


def test_creations_at_the_same_time_are_no_more_than_may_stand(
    make: Make, cluster: Cluster
) -> None:
    with faulty_api(cluster.bed.server) as api:
        nodes = make(kubeconfig=cluster.kubeconfig(api.url))
        assert nodes.list_nodes() == ()
        api.faults = [Fault(method="POST", path="/pods", delay_s=2.0, times=4)]
        with ThreadPoolExecutor(4) as lanes:
            asked = [lanes.submit(nodes.create, f"n{number}", "small", 1) for number in range(4)]
        errors = [error for each in asked if (error := each.exception())]
        assert [getattr(error, "fault", error) for error in errors] == [NodeFault.QUOTA] * 2
        assert len(cluster.pods()) == 2
        nodes.close()


KILLED = """
import sys
from pathlib import Path
from tests.fleet.pods.starting import pod_nodes
kubeconfig, namespace, folder = sys.argv[1:]
nodes = pod_nodes(Path(folder), image="pause", kubeconfig=kubeconfig, namespace=namespace)
nodes.create("n1", "small", 1)
"""


def test_a_service_that_is_killed_before_the_answer_leaves_a_node_that_the_next_one_finds(
    make: Make, kubelet: Kubelet, cluster: Cluster, tmp_path: Path
) -> None:
    with faulty_api(cluster.bed.server) as api:
        api.faults = [Fault(method="POST", path="/secrets", delay_s=60.0)]
        kubeconfig = cluster.kubeconfig(api.url)
        folder = str(tmp_path / "killed")
        service = subprocess.Popen(
            [sys.executable, "-c", KILLED, kubeconfig, cluster.namespace, folder],
            cwd=Path(__file__).parents[3],
            start_new_session=True,
        )
        try:
            until("its pod is there and its Secret not yet", lambda: api.met)
        finally:
            os.killpg(service.pid, signal.SIGKILL)
            service.wait()
    nodes = make()
    assert [each.node_id for each in nodes.list_nodes()] == ["n1"]
    nodes.create("n1", "small", 2)  # As the outbox says it again: it gets what it lacks.
    until_runs(nodes, "n1")
    until("it is gone", lambda: nodes.delete("n1"))
    assert cluster.pods() == []
