"""Pods on a real control plane keep the provider's contract."""

from __future__ import annotations

import base64
import json

from controller.nodes.testing import check_node_provider
from controller.ports import NodeState
from tests.fleet.control_plane import until
from tests.fleet.pods.conftest import Api, Cluster, Make
from tests.fleet.pods.papers import Papers


def test_contract(make: Make, places: None, api: Api) -> None:
    check_node_provider(make(), reopen=make, wait_s_max=api.wait_s_max)


def test_a_node_has_its_join_folder_as_a_secret_that_goes_with_it(
    make: Make, places: None, api: Api, cluster: Cluster
) -> None:
    nodes = make()
    nodes.create("n1", "small", 2)
    (pod,) = cluster.pods()
    secret = cluster.core.read_namespaced_secret(pod, cluster.namespace)
    found = cluster.core.read_namespaced_pod(pod, cluster.namespace)
    assert secret.metadata.owner_references[0].uid == found.metadata.uid
    assert set(secret.data) == {"join.json", "authority.pem", "credentials.pem"}
    join = json.loads(base64.b64decode(secret.data["join.json"]))
    assert (join["node_id"], join["workers"], join["address"]) == ("n1", 2, Papers.address)

    def runs() -> bool:
        return nodes.list_nodes()[0].state is NodeState.RUNNING

    until("it runs", runs, wait_s_max=api.wait_s_max)
    until("it is gone", lambda: nodes.delete("n1"), wait_s_max=api.wait_s_max)
    until("the cluster has collected its Secret", lambda: not cluster.secrets())
