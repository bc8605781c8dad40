"""Providers of machines for the tests, on whichever bed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.nodes.libcloud import LibcloudNodes
from controller.nodes.libcloud_dialects import dialect_of
from controller.nodes.libcloud_options import CloudOptions, CloudTypeOptions
from controller.nodes.libcloud_setup import NoPreparation, Preparation
from controller.nodes.opening import NoConnection
from controller.nodes.plugins import NodeType, ProviderStart

SERVICE_ID = "5ea1e55"


def machine_type(size: str, image: str, **given: Any) -> NodeType:
    """Return a node type of a cloud."""
    values: dict[str, Any] = {
        "name": "small",
        "slots": 1,
        "slots_max": 2,
        "speed": 1.0,
        "price_per_h": 0.1,
        "quantum_s": 0.0,
        "boot_s": 30.0,
        "nodes_max": 2,
        "shared_reads_mb": 0.0,
        "spot": False,
        "options": CloudTypeOptions(size=size, image=image),
    }
    return NodeType(**(values | given))


def start_of(
    folder: Path,
    options: CloudOptions,
    *node_types: NodeType,
    service_id: str = SERVICE_ID,
    orphan_s: float | None = 300.0,
) -> ProviderStart:
    """Return what a provider is made from."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ProviderStart(
        name="cloud",
        options=options,
        node_types=node_types,
        connection=NoConnection(),
        folder=folder,
        reachable_urls=(),
        preload=(),
        orphan_s=orphan_s,
        service_id=service_id,
    )


def cloud_nodes(
    folder: Path,
    options: CloudOptions,
    *node_types: NodeType,
    preparation: Preparation | None = None,
    **given: Any,
) -> LibcloudNodes:
    """Return a provider whose machines need no setting up, unless told how."""
    start = start_of(folder, options, *node_types, **given)
    return LibcloudNodes(start, dialect_of(options.driver), preparation or NoPreparation())
