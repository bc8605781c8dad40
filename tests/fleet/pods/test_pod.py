"""The pod of a node is what its options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.config.settings import read_settings
from controller.errors import FileFault, NodeError
from controller.nodes.kubernetes_options import KubernetesNodeOptions, KubernetesOptions
from controller.nodes.kubernetes_plugin import open_kubernetes
from controller.nodes.kubernetes_pod import pod_body, pod_type, toleration
from tests.fleet.pods.starting import node_type, start_of


def spec(options: KubernetesOptions, size: dict[str, Any]) -> dict[str, Any]:
    body = pod_body(
        service_id="s",
        node_id="n1",
        workers=2,
        kind=pod_type(node_type(size), options),
        options=options,
        owner=None,
    )
    return dict(body["spec"])


def test_what_a_node_type_says_goes_before_what_its_provider_says() -> None:
    options = KubernetesOptions(
        image="slackwater:1",
        command=("python3", "-m", "slackwater"),
        priority_class="low",
        node_selector={"zone": "a", "disc": "ssd"},
        tolerations=("dedicated=science:NoSchedule",),
    )
    made = spec(options, {"image": "slackwater:2", "node_selector": {"zone": "b"}})
    (container,) = made["containers"]
    assert container["image"] == "slackwater:2"
    assert container["command"] == ["python3", "-m", "slackwater"]
    assert made["priorityClassName"] == "low"
    assert made["nodeSelector"] == {"zone": "b", "disc": "ssd"}
    science = {
        "key": "dedicated",
        "operator": "Equal",
        "value": "science",
        "effect": "NoSchedule",
    }
    assert science in made["tolerations"]


def test_a_pod_is_as_large_as_its_slots_unless_it_is_told_otherwise() -> None:
    options = KubernetesOptions(image="slackwater:1")
    (container,) = spec(options, {"cpu": 0, "memory_mb": 0})["containers"]
    assert container["resources"]["limits"] == {
        "cpu": "3000m",
        "memory": "3072Mi",
        "ephemeral-storage": "1024Mi",
    }
    assert container["resources"]["requests"] == container["resources"]["limits"]


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ("a", {"key": "a", "operator": "Exists"}),
        ("a:NoSchedule", {"key": "a", "operator": "Exists", "effect": "NoSchedule"}),
        ("a=:NoSchedule", {"key": "a", "operator": "Equal", "value": "", "effect": "NoSchedule"}),
        (
            "x/a=b:NoExecute:30",
            {
                "key": "x/a",
                "operator": "Equal",
                "value": "b",
                "effect": "NoExecute",
                "tolerationSeconds": 30,
            },
        ),
    ],
)
def test_tolerations_are_written_as_kubectl_writes_taints(said: str, body: dict[str, Any]) -> None:
    assert toleration(said) == body


def test_spot_machines_are_selected_and_put_up_with() -> None:
    options = KubernetesOptions(image="slackwater:1")
    made = spec(options, {"spot_machines": "gke"})
    assert made["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    keys = [each["key"] for each in made["tolerations"]]
    assert "cloud.google.com/gke-spot" in keys


SETTINGS = """
providers:
  pods:
    kind: kubernetes
    namespace: Not_A_Name
    user: 0
    tolerations: ["dedicated:Sometimes"]
    imige: slackwater
nodes:
  pod:
    provider: pods
    options: {cpu: -1, spot_machines: moon}
"""


def test_all_faults_of_the_options_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(SETTINGS)
    with pytest.raises(FileFault) as caught:
        read_settings(path, {})
    faults = str(caught.value)
    for word in ("namespace", "user", "tolerations", "imige", "cpu", "spot_machines"):
        assert word in faults, faults


def test_pods_without_an_image_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    kind = node_type()
    assert isinstance(kind.options, KubernetesNodeOptions)
    with pytest.raises(NodeError, match=r"Name one in providers\.pods\.image"):
        open_kubernetes(start_of(tmp_path, {}, kind))
