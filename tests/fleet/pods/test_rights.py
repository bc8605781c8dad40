"""The rights that are shipped are enough for the whole contract, and none of them is idle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.errors import NodeError
from controller.nodes.testing import check_node_provider
from tests.fleet.control_plane import kubernetes, until
from tests.fleet.kubelet import Kubelet
from tests.fleet.pods.conftest import Cluster, Make

RIGHTS = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rights.yaml"

REQUESTS = {
    ("pods", "create"): "create pod",
    ("pods", "get"): "get pod",
    ("pods", "list"): "list pods",
    ("pods", "watch"): "watch pods",
    ("pods", "patch"): "patch pod",
    ("pods", "delete"): "delete pod",
    ("secrets", "create"): "create secret",
    ("secrets", "patch"): "patch secret",
    ("configmaps", "get"): "get configmap",
    ("resourcequotas", "list"): "list quotas",
}


@pytest.fixture
def service(cluster: Cluster) -> str:
    """Apply the shipped rights in the test's namespace; return the account's kubeconfig."""
    text = RIGHTS.read_text().replace("namespace: slackwater", f"namespace: {cluster.namespace}")
    for document in yaml.safe_load_all(text):
        kubernetes.utils.create_from_dict(cluster.bed.client(), document)
    asked = cluster.core.create_namespaced_service_account_token(
        "slackwater", cluster.namespace, {"spec": {"audiences": []}}
    )
    return cluster.kubeconfig(token=asked.status.token)


def given(cluster: Cluster) -> set[tuple[str, str]]:
    (role,) = (
        kubernetes.client.RbacAuthorizationV1Api(cluster.bed.client())
        .list_namespaced_role(cluster.namespace)
        .items
    )
    return {(what, verb) for rule in role.rules for what in rule.resources for verb in rule.verbs}


def test_they_are_enough_for_the_contract_and_none_is_idle(
    make: Make, kubelet: Kubelet, cluster: Cluster, service: str
) -> None:
    options: dict[str, Any] = {
        "kubeconfig": service,
        "owner": "slackwater-fleet",
        "service_account": "slackwater-worker",
    }
    nodes = make(**options)
    check_node_provider(nodes, reopen=lambda: make(**options))
    used = set(nodes.requests())
    assert {REQUESTS[each] for each in given(cluster)} == used


def test_what_they_do_not_name_is_refused(cluster: Cluster, service: str) -> None:
    core = kubernetes.client.CoreV1Api(cluster.bed.client(service))
    refused = (
        lambda: core.list_namespaced_secret(cluster.namespace),
        lambda: core.list_namespaced_pod("kube-system"),
        core.list_node,
        lambda: core.read_namespaced_config_map("slackwater", cluster.namespace),
    )
    for request in refused:
        with pytest.raises(kubernetes.client.ApiException) as caught:
            request()
        assert caught.value.status == 403


def test_with_its_owner_the_whole_fleet_goes(
    make: Make, kubelet: Kubelet, cluster: Cluster, service: str
) -> None:
    nodes = make(kubeconfig=service, owner="slackwater-fleet")
    for node_id in ("n1", "n2"):
        nodes.create(node_id, "small", 1)
    cluster.core.delete_namespaced_config_map("slackwater-fleet", cluster.namespace)
    until("the cluster has collected the pods", lambda: not cluster.pods())
    until("the listing says so", lambda: not nodes.list_nodes())


def test_an_owner_that_is_not_there_is_told(make: Make) -> None:
    with pytest.raises(NodeError, match="Make the ConfigMap that owner names"):
        make(owner="nobody").create("n1", "small", 1)
