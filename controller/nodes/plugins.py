"""Providers of nodes as plug-ins: what one is, what it is started with, and how it is opened.

A distribution adds a kind of provider by an entry point of the group ``slackwater.nodes`` that
names a `NodePlugin`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.config.providers import kind_of
from controller.ports import NodeProvider, WorkerConnection
from planner.errors import BrokenPlugin
from planner.model import NodeOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """One node type of a provider, as the settings have it.

    Parameters
    ----------
    name : str
    slots, slots_max : int
        Workers that it starts with, and that it can be grown to.
    speed : float
        Reference seconds of work done per second and slot.
    price_per_h : float
        Price of a node [currency per hour].
    quantum_s : float
        Billing unit [s].
    boot_s : float
        From request to workers, as far as it is known beforehand [s].
    nodes_max : int
        How many may stand at the same time.
    shared_reads_mb : float
        Room for what the workers of a node have read and share [MB]; 0 shares nothing.
    spot : bool
        The provider may take a node back at any time.
    options : object
        What the plug-in asks for beside: its own `NodePlugin.type_options`, checked.
    """

    name: str
    slots: int
    slots_max: int
    speed: float
    price_per_h: float
    quantum_s: float
    boot_s: float
    nodes_max: int
    shared_reads_mb: float
    spot: bool
    options: Any

    def offer(self, left: int) -> NodeOffer:
        """Return what is offered of this type while so many more of them can be had."""
        return NodeOffer(
            node_type=self.name,
            slots=self.slots,
            slots_max=self.slots_max,
            speed=self.speed,
            price_per_h=self.price_per_h,
            quantum_s=self.quantum_s,
            boot_s=self.boot_s,
            nodes_max=max(0, left),
            spot=self.spot,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStart:
    """What a provider is started with.

    Parameters
    ----------
    name : str
        As the settings call it.
    options : object
        What it is told: its own `NodePlugin.options`, checked.
    node_types : tuple of NodeType
    connection : WorkerConnection
        How workers join.
    folder : Path
        Its own private one below the data folder: credentials of nodes, keys, what it remembers.
    reachable_urls : tuple of str
        Folders (fsspec) that each worker must see before it joins.
    preload : tuple of str
        Modules that parts need and that take long to import.
    orphan_s : float or None
        Nodes outlive the service, and end when it was out of their reach for this long [s]; None
        if they are to end with it.
    service_id : str
        Says whose nodes they are, of all services on one account; the same after a restart.
    """

    name: str
    options: Any
    node_types: tuple[NodeType, ...]
    connection: WorkerConnection
    folder: Path
    reachable_urls: tuple[str, ...]
    preload: tuple[str, ...]
    orphan_s: float | None
    service_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlugin:
    """A kind of provider.

    Parameters
    ----------
    open : callable
        Makes a provider of this kind, without any input or output: a cloud that is away shows at
        the first call.
    options, type_options : type
        Dataclasses of what settings may say of a provider and of each of its node types. Values
        are checked as pydantic does (a ``SecretStr`` needs a sibling ``<name>_file``); what
        ``__post_init__`` raises as ValueError is told, too.
    """

    open: Callable[[ProviderStart], NodeProvider]
    options: type
    type_options: type


def plugin_of(kind: str) -> NodePlugin:
    """Return the plug-in of a kind.

    Raises
    ------
    UnknownPlugin
        No built-in or installed plug-in has this name.
    BrokenPlugin
        It cannot be imported, or is none.
    """
    found = kind_of(kind)
    if not isinstance(found, NodePlugin):
        raise BrokenPlugin(f"the plug-in {kind!r} is no NodePlugin", fix="Repair its distribution")
    return found
