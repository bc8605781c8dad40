"""Opens the providers that settings name, this machine among them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.authority import write_secret
from controller.config.providers import HERE
from controller.config.settings import NodeTypeSettings, Settings
from controller.errors import EngineError, NodeError, NodeFault
from controller.nodes.plugins import NodeType, ProviderStart, plugin_of
from controller.nodes.process import ProcessNodes, ProcessNodeType
from controller.nodes.several import SeveralProviders
from controller.ports import NodeProvider, WorkerConnection
from planner.model import NodeOffer

IDENTITY = "service-id"
"""In the data folder: what says of nodes that they are this service's."""

SERVICE_ID = re.compile(r"[0-9A-Za-z-]{1,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all providers of a service stand on.

    Parameters
    ----------
    near, connection : WorkerConnection
        How workers join on this machine, and from elsewhere.
    folder : Path
        Of the nodes of this machine; each other provider has one beside it.
    near_urls, reachable_urls : tuple of str
        Folders (fsspec) that workers must see on this machine, and elsewhere.
    preload : tuple of str
    orphan_s : float or None
    service_id : str
        See `controller.nodes.plugins.ProviderStart`.
    """

    near: WorkerConnection
    connection: WorkerConnection
    folder: Path
    near_urls: tuple[str, ...]
    reachable_urls: tuple[str, ...]
    preload: tuple[str, ...]
    orphan_s: float | None
    service_id: str


class NoConnection:
    """Joins no engine: for asking providers without one."""

    preload: tuple[str, ...] = ()
    address = ""

    def of_node(self, node_id: str, folder: Path) -> NoConnection:
        """Return this: no node is made with it."""
        return self

    def revoke(self, node_id: str) -> None:
        """Do nothing: nobody was given anything."""

    def join(self, worker_name: str, folder: Path) -> None:
        """Refuse, for there is nothing to join."""
        raise EngineError(f"worker {worker_name} has no engine to join")


def open_providers(settings: Settings, ground: Ground) -> SeveralProviders:
    """Return the providers that have node types in the settings."""
    types = settings.nodes
    providers: dict[str, NodeProvider] = {}
    for name in dict.fromkeys(each.provider for each in types.values()):
        own = {n: each for n, each in types.items() if each.provider == name}
        if name == HERE:
            providers[name] = _this_machine(own, ground)
        else:
            providers[name] = open_provider(settings, name, ground)
    return SeveralProviders(providers, {n: each.provider for n, each in types.items()})


def open_provider(settings: Settings, name: str, ground: Ground) -> NodeProvider:
    """Return a provider of the section ``providers``; nothing is asked of it yet."""
    said = settings.providers[name]
    folder = ground.folder.with_name("providers") / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    start = ProviderStart(
        name=name,
        options=said.options,
        node_types=tuple(
            node_type(n, each) for n, each in settings.nodes.items() if each.provider == name
        ),
        connection=ground.connection,
        folder=folder,
        reachable_urls=ground.reachable_urls,
        preload=ground.preload,
        orphan_s=ground.orphan_s,
        service_id=ground.service_id,
    )
    return plugin_of(said.kind).open(start)


def node_type(name: str, said: NodeTypeSettings) -> NodeType:
    """Return a node type of a provider as the settings have it."""
    return NodeType(
        name=name,
        slots=said.slots,
        slots_max=said.slots_max,
        speed=said.speed,
        price_per_h=said.price_per_h,
        quantum_s=said.quantum_s,
        boot_s=said.boot_s,
        nodes_max=said.nodes_max,
        shared_reads_mb=said.shared_reads_mb,
        spot=said.spot,
        options=said.options,
    )


def offers(settings: Settings) -> tuple[NodeOffer, ...]:
    """Return what the node types of the settings offer while no node stands."""
    return tuple(
        _local(name, each).offer(standing=0)
        if each.provider == HERE
        else node_type(name, each).offer(each.nodes_max)
        for name, each in settings.nodes.items()
    )


def service_id(folder: Path) -> str:
    """Return what marks the nodes of the service of a data folder, made once.

    Raises
    ------
    NodeError
        Its file says none, which would be taken for any service's.
    """
    path = folder / IDENTITY
    if not path.exists():
        # Durable: what a lost one has marked would be found by nobody again.
        write_secret(path, secrets.token_hex(8).encode())
    told = path.read_text().strip()
    if not SERVICE_ID.fullmatch(told):
        raise NodeError(
            f"{path} does not say which nodes are this service's",
            fault=NodeFault.OURS,
            fix="Restore it; or remove by hand the nodes of before, then remove it: "
            "it is made anew",
        )
    return told


def _this_machine(types: Mapping[str, NodeTypeSettings], ground: Ground) -> ProcessNodes:
    return ProcessNodes(
        ground.near,
        node_types=[_local(name, each) for name, each in types.items()],
        folder=ground.folder,
        preload=ground.preload,
        reachable_urls=ground.near_urls,
        orphan_s=ground.orphan_s,
    )


def _local(name: str, said: NodeTypeSettings) -> ProcessNodeType:
    return ProcessNodeType(
        name=name,
        slots=said.slots,
        slots_max=said.slots_max,
        speed=said.speed,
        price_per_h=said.price_per_h,
        quantum_s=said.quantum_s,
        boot_s=said.boot_s,
        cpu_quota=said.cpu_quota,
        nodes_max=said.nodes_max,
        shared_reads_mb=said.shared_reads_mb,
        spot=said.spot,
    )
