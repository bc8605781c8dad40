"""Clouds that tests make machines on, and providers of them, on whichever bed or cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A cloud under test.

    Parameters
    ----------
    login : mapping
        Options by which it is reached.
    size, image : str
        What machines are made of there.
    network : mapping
        Options that say which network they are in, or that one is made for them.
    wait_s_max : float
        How long one thing may take there [s].
    mark : str
        The service whose machines the tests make.
    is_bed : bool
        It is there for the tests alone.
    """

    login: Mapping[str, Any]
    size: str
    image: str
    network: Mapping[str, Any]
    wait_s_max: float
    mark: str = SERVICE_ID
    is_bed: bool = True

    def options(self, **given: Any) -> CloudOptions:
        """Return how it is reached, but for what is given."""
        return CloudOptions(**{**self.login, **given})

    def nodes(
        self, folder: Path, *, size: str = "", image: str = "", nodes_max: int = 2, **given: Any
    ) -> LibcloudNodes:
        """Return a provider of one node type."""
        kind = machine_type(size or self.size, image or self.image, nodes_max=nodes_max)
        return cloud_nodes(folder, self.options(**given), kind, service_id=self.mark)

    def bed(self) -> Cloud:
        """Return this, if it may be filled and broken; skip the test if it is somebody's own."""
        if not self.is_bed:
            pytest.skip("it fills or breaks what is there, so it wants the bed")
        return self
