"""What is shipped for Kubernetes fits together, and asks for no more than it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.config.settings import Settings, read_settings
from controller.nodes.kubernetes_pod import pod_body, pod_type
from controller.nodes.libcloud import END_S_MAX
from controller.nodes.opening import node_type

DEPLOY = Path(__file__).parent.parent / "deploy"
MANIFESTS = DEPLOY / "kubernetes"
ENGINE_PORT, API_PORT = 8786, Settings().service.port


def documents() -> list[dict[str, Any]]:
    """Return what `kubectl apply --kustomize` would bring there."""
    names = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    assert {*names, "kustomization.yaml"} == {each.name for each in MANIFESTS.iterdir()}
    return [each for name in names for each in yaml.safe_load_all((MANIFESTS / name).read_text())]


def the(kind: str, name: str = "slackwater") -> dict[str, Any]:
    (found,) = (
        each for each in documents() if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return found


def pod() -> dict[str, Any]:
    # As the API has it: without the anchors by which containers share what they say.
    return dict(json.loads(json.dumps(the("StatefulSet")["spec"]["template"]["spec"])))


def restricted_faults(spec: dict[str, Any]) -> list[str]:
    """Return what the pod security standard "restricted" (v1.36) finds wrong with a pod."""
    context = spec.get("securityContext", {})
    kinds = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI"}
    faults = [each for each in ("hostNetwork", "hostPID", "hostIPC") if spec.get(each)]
    faults += [
        f"volume {each['name']}"
        for each in spec.get("volumes", [])
        if not (set(each) - {"name"}) <= kinds
    ]
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        faults.append("seccompProfile")
    if context.get("runAsUser") == 0:
        faults.append("runAsUser")
    for each in (*spec["containers"], *spec.get("initContainers", [])):
        own = each.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            faults.append(f"{each['name']}: allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            faults.append(f"{each['name']}: capabilities")
        if not (own.get("runAsNonRoot") or context.get("runAsNonRoot")):
            faults.append(f"{each['name']}: runAsNonRoot")
        if own.get("privileged") or any("hostPort" in port for port in each.get("ports", [])):
            faults.append(f"{each['name']}: privileged or hostPort")
    return faults


def test_the_namespace_refuses_what_is_less_than_restricted() -> None:
    labels = the("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    elsewhere = [each for each in documents() if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in elsewhere} == {"slackwater"}


def test_the_service_is_restricted() -> None:
    assert restricted_faults(pod()) == []
    for each in (*pod()["containers"], *pod()["initContainers"]):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert set(each["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_a_pod_that_is_not_restricted_would_be_told() -> None:
    spec = pod()
    del spec["containers"][0]["securityContext"]["capabilities"]
    spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert restricted_faults(spec) == ["volume host", "service: capabilities"]


def test_rights_are_few_and_only_here() -> None:
    assert not [each for each in documents() if each["kind"].startswith("Cluster")]
    rules = {tuple(each["resources"]): set(each["verbs"]) for each in the("Role")["rules"]}
    assert rules == {
        ("pods",): {"create", "get", "list", "watch", "patch", "delete"},
        ("secrets",): {"create", "patch"},
        ("configmaps",): {"get"},
        ("resourcequotas",): {"list"},
    }
    accounts = [each for each in documents() if each["kind"] == "ServiceAccount"]
    assert [each["automountServiceAccountToken"] for each in accounts] == [False, False]
    assert [each["name"] for each in the("RoleBinding")["subjects"]] == ["slackwater"]


def test_what_selects_pods_finds_them() -> None:
    labels = the("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert the("Service")["spec"]["selector"] == labels
    assert the("StatefulSet")["spec"]["selector"]["matchLabels"] == labels
    assert (
        the("NetworkPolicy", "slackwater-service")["spec"]["podSelector"]["matchLabels"] == labels
    )


def test_ports_are_the_same_everywhere() -> None:
    ports = {each["name"]: each["containerPort"] for each in pod()["containers"][0]["ports"]}
    assert ports == {"api": API_PORT, "engine": ENGINE_PORT}
    assert {each["port"] for each in the("Service")["spec"]["ports"]} == set(ports.values())
    settings = yaml.safe_load(the("ConfigMap")["data"]["slackwater.yaml"])
    assert settings["engine"]["port"] == ENGINE_PORT
    allowed = {
        port["port"]
        for rule in the("NetworkPolicy", "slackwater-worker")["spec"]["egress"]
        for port in rule["ports"]
    }
    assert allowed == {ENGINE_PORT, 53, 443}


def test_the_cluster_waits_longer_than_the_service_drains() -> None:
    drain_s = Settings().service.drain_s_max
    assert pod()["terminationGracePeriodSeconds"] > drain_s + END_S_MAX


@pytest.fixture
def worker(tmp_path: Path) -> dict[str, Any]:
    """Return a worker's pod as the settings of the manifests make it."""
    settings = yaml.safe_load(the("ConfigMap")["data"]["slackwater.yaml"])
    told = {"providers": settings["providers"], "nodes": settings["nodes"]}
    path = tmp_path / "slackwater.yaml"
    path.write_text(yaml.safe_dump(told))
    read = read_settings(path, {})
    options, kind = read.providers["pods"].options, node_type("pod", read.nodes["pod"])
    return pod_body(
        service_id="s",
        node_id="n1",
        workers=2,
        kind=pod_type(kind, options),
        options=options,
        owner=None,
    )


def test_workers_are_restricted_and_found_by_the_policy(worker: dict[str, Any]) -> None:
    spec = worker["spec"]
    assert restricted_faults(spec) == []
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"] == container["resources"]["requests"]
    selected = the("NetworkPolicy", "slackwater-worker")["spec"]["podSelector"]["matchLabels"]
    assert selected.items() <= worker["metadata"]["labels"].items()
    assert (
        spec["serviceAccountName"] == the("ServiceAccount", "slackwater-worker")["metadata"]["name"]
    )


def test_nothing_of_the_fleet_goes_beyond_the_example_of_a_quota(worker: dict[str, Any]) -> None:
    hard = the("ResourceQuota")["spec"]["hard"]
    settings = yaml.safe_load(the("ConfigMap")["data"]["slackwater.yaml"])
    count = settings["nodes"]["pod"]["nodes_max"]
    assert count < int(hard["pods"])
    cpu_m = int(worker["spec"]["containers"][0]["resources"]["limits"]["cpu"].removesuffix("m"))
    assert count * cpu_m + 2000 <= 1000 * int(hard["limits.cpu"])
