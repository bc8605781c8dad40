"""Starts providers of pods as the service would from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.nodes.kubernetes import KubernetesNodes
from controller.nodes.kubernetes_options import KubernetesNodeOptions, KubernetesOptions
from controller.nodes.plugins import NodeType, ProviderStart
from tests.fleet.pods.papers import Papers

SERVICE_ID = "a-service"
SIZE = {"cpu": 0.1, "memory_mb": 16.0}


def node_type(size: dict[str, Any] | None = None, **said: Any) -> NodeType:
    """Return a small node type, but for what is said of it."""
    shape: dict[str, Any] = {
        "name": "small",
        "slots": 2,
        "slots_max": 3,
        "speed": 1.0,
        "price_per_h": 0.0,
        "quantum_s": 0.0,
        "boot_s": 5.0,
        "nodes_max": 2,
        "shared_reads_mb": 0.0,
        "spot": False,
    }
    options = KubernetesNodeOptions(**(SIZE | (size or {})))
    return NodeType(options=options, **(shape | said))


def start_of(
    folder: Path,
    options: dict[str, Any],
    kind: NodeType,
    connection: Any = None,
    mark: str = SERVICE_ID,
) -> ProviderStart:
    """Return what a provider of one node type is started with."""
    return ProviderStart(
        name="pods",
        options=KubernetesOptions(**options),
        node_types=(kind,),
        connection=connection or Papers(),
        folder=folder,
        reachable_urls=(),
        preload=(),
        orphan_s=300.0,
        service_id=mark,
    )


def pod_nodes(
    folder: Path,
    kind: NodeType | None = None,
    connection: Any = None,
    mark: str = SERVICE_ID,
    **options: Any,
) -> KubernetesNodes:
    """Return a provider of one node type."""
    return KubernetesNodes(start_of(folder, options, kind or node_type(), connection, mark))
