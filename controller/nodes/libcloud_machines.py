"""Machines as clouds list them, and what a cloud is asked for; each dialect reads and writes both.

What is ours says so itself: our node id, whose it is, its type and its workers are tags of the
machine (metadata on OpenStack). So any provider of the same service finds what another one made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from controller.nodes.records import NODE_ID

NODE, SERVICE, TYPE, WORKERS = (
    "slackwater-node",
    "slackwater-service",
    "slackwater-type",
    "slackwater-workers",
)
"""The tags of a machine of ours."""

PREFIX = "slackwater"
"""What names of ours begin with, of machines and of what is made beside them."""

_log = logging.getLogger(__name__)


class MachineState(StrEnum):
    """How a machine stands with its cloud."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of ours.

    Parameters
    ----------
    machine_id : str
        The cloud's own.
    node_id, node_type : str
    workers : int
    state : MachineState
    reason : str
        What the cloud says of one that failed.
    private, public : tuple of str
        Its addresses.
    handle : object
        Libcloud's.
    """

    machine_id: str
    node_id: str
    node_type: str
    workers: int
    state: MachineState
    reason: str = ""
    private: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    handle: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A machine to be made.

    Parameters
    ----------
    name : str
    size, image : object
        Libcloud's.
    tags : mapping of str to str
    token : str
        The same for the same node: a cloud that knows it makes one machine of two requests.
    key_name, user_data : str
    network : object or None
        Libcloud's.
    security_groups : tuple of str
        Names; on EC2 ids, where there is a network.
    spot : bool
    """

    name: str
    size: Any
    image: Any
    tags: Mapping[str, str]
    token: str
    key_name: str = ""
    user_data: str = field(default="", repr=False)
    network: Any = None
    security_groups: tuple[str, ...] = ()
    spot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What an account has left.

    Parameters
    ----------
    machines, cores, ram_mb : float
        Infinite where nothing bounds them.
    """

    machines: float = float("inf")
    cores: float = float("inf")
    ram_mb: float = float("inf")

    def holds(self, size: Any) -> float:
        """Return how many machines of a size fit."""
        cores = getattr(size, "vcpus", None)
        return min(
            self.machines,
            self.cores // cores if cores else self.machines,
            self.ram_mb // size.ram if getattr(size, "ram", None) else self.machines,
        )


class Dialect(Protocol):
    """What differs from cloud to cloud; each method is given a driver of Libcloud."""

    def size(self, driver: Any, name: str) -> Any:
        """Return a size by name or id, None if there is none."""

    def image(self, driver: Any, name: str) -> Any:
        """Return an image by name or id, None if there is none."""

    def machines(self, driver: Any, service_id: str) -> list[Machine]:
        """Return the machines of a service."""

    def create(self, driver: Any, order: Order) -> None:
        """Ask for a machine."""

    def retag(self, driver: Any, machine: Machine, tags: Mapping[str, str]) -> None:
        """Give a machine these tags."""

    def room(self, driver: Any) -> Room:
        """Return what the account has left."""


def tags_of(service_id: str, node_id: str, node_type: str, workers: int) -> dict[str, str]:
    """Return the tags of a machine."""
    return {NODE: node_id, SERVICE: service_id, TYPE: node_type, WORKERS: str(workers)}


def workers_in(tags: Mapping[str, str]) -> int:
    """Return how many workers tags tell of; somebody may have changed them."""
    told = tags.get(WORKERS, "")
    return int(told) if told.isdecimal() else 0


def with_ids_of_ours(machines: Iterable[Machine]) -> list[Machine]:
    """Return the machines whose tags hold an id that we may have given.

    Others of the account may write tags, and an id names files of ours.
    """
    found = list(machines)
    for each in found:
        if not NODE_ID.fullmatch(each.node_id):
            words = "machine %s is left alone: %r is no node of ours"
            _log.info(words, each.machine_id, each.node_id)
    return [each for each in found if NODE_ID.fullmatch(each.node_id)]


def named(things: list[Any], name: str) -> Any:
    """Return the one of these that has an id, or else a name; None if none has."""
    by_id = (each for each in things if each.id == name)
    return next(by_id, None) or next((each for each in things if each.name == name), None)
