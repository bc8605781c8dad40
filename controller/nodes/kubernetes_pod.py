"""The pod that is a node, and the Secret with which it joins, as the API takes them: pure data.

The pod satisfies the pod security standard "restricted": it runs as a user of its own, with no
capability, no token and a file system that it cannot write. What it writes goes to `STATE`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.nodes.kubernetes_options import (
    SPOT,
    KubernetesNodeOptions,
    KubernetesOptions,
    PodOptions,
)
from controller.nodes.kubernetes_reading import NODE_LABEL, SERVICE_LABEL, TYPE_LABEL, WORKERS
from controller.nodes.plugins import NodeType

JOIN = "/run/slackwater/join"
"""Where the join folder is in a pod, to be read only."""

STATE = "/run/slackwater/state"
"""Where a pod writes: its discs are emptied when it goes."""

COMMAND = ("slackwater",)

UNREACHABLE = (
    "node.kubernetes.io/not-ready:NoExecute:60",
    "node.kubernetes.io/unreachable:NoExecute:60",
)
"""A pod on a machine that is out of reach is told to end after a minute, not five: its parts run
elsewhere since its lease ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodType:
    """A node type as pods of it are made.

    Parameters
    ----------
    name : str
    slots_max : int
    shared_reads_mb : float
    pod : PodOptions
        The node type's own over those of the provider.
    size : KubernetesNodeOptions
    """

    name: str
    slots_max: int
    shared_reads_mb: float
    pod: PodOptions
    size: KubernetesNodeOptions

    def resources(self) -> dict[str, str]:
        """Return what a pod takes; it is given no less and no more."""
        cpu = self.size.cpu or float(self.slots_max)
        memory_mb = self.size.memory_mb or 1024.0 * self.slots_max
        return {
            "cpu": f"{round(cpu * 1000)}m",
            "memory": f"{round(memory_mb)}Mi",
            "ephemeral-storage": f"{self.disc_mb()}Mi",
        }

    def disc_mb(self) -> int:
        """Return the room for what is written [MB]."""
        return round(self.size.scratch_mb + self.shared_reads_mb)


def pod_type(kind: NodeType, options: KubernetesOptions) -> PodType:
    """Return a node type of the settings as pods of it are made."""
    assert isinstance(kind.options, KubernetesNodeOptions)
    return PodType(
        name=kind.name,
        slots_max=kind.slots_max,
        shared_reads_mb=kind.shared_reads_mb,
        pod=kind.options.over(options),
        size=kind.options,
    )


def pod_name(service_id: str, node_id: str) -> str:
    """Return the name of a node's pod and Secret: one of each in a namespace."""
    return f"slackwater-{hashlib.sha256(service_id.encode()).hexdigest()[:8]}-{node_id}"


def selector(service_id: str) -> str:
    """Return what selects the pods of one service."""
    return f"{SERVICE_LABEL}={service_label(service_id)},{NODE_LABEL}"


def service_label(service_id: str) -> str:
    """Return a service's id as a label can hold it."""
    return hashlib.sha256(service_id.encode()).hexdigest()[:16]


def labels(service_id: str, node_id: str, kind: PodType) -> dict[str, str]:
    """Return the labels by which a node is found again, and its type known."""
    return {
        **kind.pod.labels,
        "app.kubernetes.io/name": "slackwater",
        "app.kubernetes.io/component": "worker",
        SERVICE_LABEL: service_label(service_id),
        NODE_LABEL: node_id,
        TYPE_LABEL: kind.name,
    }


def pod_body(
    *,
    service_id: str,
    node_id: str,
    workers: int,
    kind: PodType,
    options: KubernetesOptions,
    owner: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the pod of a node."""
    metadata: dict[str, Any] = {
        "name": pod_name(service_id, node_id),
        "labels": labels(service_id, node_id, kind),
        "annotations": {**kind.pod.annotations, WORKERS: str(workers)},
    }
    if owner:
        metadata["ownerReferences"] = [dict(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": _spec(metadata["name"], kind, options),
    }


def _spec(name: str, kind: PodType, options: KubernetesOptions) -> dict[str, Any]:
    spot_selector, spot_tolerations = SPOT[kind.pod.spot_machines]
    tolerations = (*UNREACHABLE, *spot_tolerations, *kind.pod.tolerations)
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": round(options.grace_s),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": options.service_account,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": options.user,
            "runAsGroup": options.user,
            "fsGroup": options.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(kind, options)],
        "volumes": _volumes(name, kind),
        "nodeSelector": {**spot_selector, **kind.pod.node_selector},
        "tolerations": [toleration(each) for each in tolerations],
        "imagePullSecrets": [{"name": each} for each in options.pull_secrets],
        "priorityClassName": kind.pod.priority_class,
    }
    return {key: value for key, value in spec.items() if value not in ("", [], {})}


def _container(kind: PodType, options: KubernetesOptions) -> dict[str, Any]:
    container = {
        "name": "worker",
        "image": kind.pod.image,
        "imagePullPolicy": options.pull_policy,
        "command": list(kind.pod.command or COMMAND),
        "args": ["worker", JOIN, "--state", STATE],
        "env": [
            {"name": "HOME", "value": STATE},
            {"name": "TMPDIR", "value": STATE},
        ],
        "resources": {"requests": kind.resources(), "limits": kind.resources()},
        # What a worker said last tells why it ended, and costs no request for its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "join", "mountPath": JOIN, "readOnly": True},
            {"name": "state", "mountPath": STATE},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return {key: value for key, value in container.items() if value != ""}


def _volumes(name: str, kind: PodType) -> list[dict[str, Any]]:
    return [
        # Owned by root and the pod's group, which the kubelet lets read it.
        {"name": "join", "secret": {"secretName": name, "defaultMode": 0o400}},
        {"name": "state", "emptyDir": {"sizeLimit": f"{kind.disc_mb()}Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]


def toleration(said: str) -> dict[str, Any]:
    """Return a toleration as the API has it; see `controller.nodes.kubernetes_options`."""
    taint, effect, seconds = (*said.split(":"), "", "")[:3]
    key, equals, value = taint.partition("=")
    body: dict[str, Any] = {"key": key, "operator": "Equal" if equals else "Exists"}
    if equals:
        body["value"] = value
    if effect:
        body["effect"] = effect
    return {**body, "tolerationSeconds": int(seconds)} if seconds else body


def secret_body(pod: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the Secret that holds the join folder of a pod's node, and goes with the pod."""
    metadata = pod["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": metadata["name"],
            "labels": {
                key: value for key, value in metadata["labels"].items() if key != TYPE_LABEL
            },
            "ownerReferences": [reference],
        },
        "data": secret_data(files),
    }


def secret_data(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return files as a Secret holds them."""
    return {name: base64.b64encode(content).decode() for name, content in sorted(files.items())}
