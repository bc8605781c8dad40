"""Pods on a real control plane keep the provider's contract."""

from __future__ import annotations

import base64
import json

from controller.nodes.testing import check_node_provider
from controller.ports import NodeState
from tests.fleet.control_plane import until
from tests.fleet.kubelet import Kubelet
from tests.fleet.pods.conftest import Cluster, Make
from tests.fleet.pods.papers import Papers


def test_contract(make: Make, kubelet: Kubelet) -> None:
    check_node_provider(make(), reopen=make)


def test_a_node_has_its_join_folder_as_a_secret_that_goes_with_it(
    make: Make, kubelet: Kubelet, cluster: Cluster
) -> None:
    nodes = make()
    nodes.create("n1", "small", 2)
    (pod,) = cluster.core.list_namespaced_pod(cluster.namespace).items
    secret = cluster.core.read_namespaced_secret(pod.metadata.name, cluster.namespace)
    assert secret.metadata.owner_references[0].uid == pod.metadata.uid
    assert set(secret.data) == {"join.json", "authority.pem", "credentials.pem"}
    join = json.loads(base64.b64decode(secret.data["join.json"]))
    assert (join["node_id"], join["workers"], join["address"]) == (
        "n1",
        2,
        Papers.address,
    )
    until("it runs", lambda: nodes.list_nodes()[0].state is NodeState.RUNNING)
    until("it is gone", lambda: nodes.delete("n1"))

    def secrets() -> list[str]:
        names = [
            each.metadata.name
            for each in cluster.core.list_namespaced_secret(cluster.namespace).items
        ]
        return [name for name in names if name == pod.metadata.name]

    until("the cluster has collected its Secret", lambda: not secrets())
