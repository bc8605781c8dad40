"""How OpenStack, EC2 and all other clouds are spoken to through Libcloud."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from libcloud.compute.types import NodeState

from controller.nodes.libcloud_machines import (
    NODE,
    PREFIX,
    SERVICE,
    TYPE,
    Dialect,
    Machine,
    MachineState,
    Order,
    Room,
    named,
    workers_in,
)

STATES: dict[Any, MachineState] = {
    NodeState.RUNNING: MachineState.RUNNING,
    NodeState.ERROR: MachineState.FAILED,
    NodeState.STOPPED: MachineState.STOPPED,
    NodeState.SUSPENDED: MachineState.STOPPED,
    NodeState.PAUSED: MachineState.STOPPED,
    NodeState.TERMINATED: MachineState.LEAVING,
}
"""What Libcloud calls a state; any other is on its way."""

EC2_STATES = ("pending", "running", "shutting-down", "stopped")
"""Those of machines that are there: terminated ones stay listed for an hour."""


class OpenStack:
    """Nova's metadata holds the tags; it cannot be searched, so the whole project is listed."""

    def size(self, driver: Any, name: str) -> Any:
        """Return a flavour."""
        return named(driver.list_sizes(), name)

    def image(self, driver: Any, name: str) -> Any:
        """Return an image of Glance."""
        return named(driver.list_images(), name)

    def machines(self, driver: Any, service_id: str) -> list[Machine]:
        """Return our servers."""
        found = []
        for node in driver.list_nodes():
            tags = node.extra["metadata"]
            if tags.get(SERVICE) == service_id and NODE in tags:
                fault = (node.extra.get("fault") or {}).get("message", "")
                is_leaving = node.extra.get("task_state") == "deleting"
                state = MachineState.LEAVING if is_leaving else _state(node)
                found.append(_machine(node, tags, state, fault))
        return found

    def create(self, driver: Any, order: Order) -> None:
        """Ask for a server."""
        groups = [SimpleNamespace(name=each) for each in order.security_groups]
        driver.create_node(
            name=order.name,
            size=order.size,
            image=order.image,
            ex_metadata=dict(order.tags),
            ex_keyname=order.key_name or None,
            ex_userdata=order.user_data or None,
            networks=[order.network] if order.network else None,
            ex_security_groups=groups or None,
        )

    def retag(self, driver: Any, machine: Machine, tags: Mapping[str, str]) -> None:
        """Replace a server's metadata."""
        driver.ex_set_metadata(machine.handle, dict(tags))

    def room(self, driver: Any) -> Room:
        """Return what Nova's quotas leave."""
        limits = driver.connection.request("/limits").object["limits"]["absolute"]

        def left(most: str, used: str) -> float:
            bound = limits.get(most, -1)
            return float("inf") if bound < 0 else max(0, bound - limits.get(used, 0))

        return Room(
            machines=left("maxTotalInstances", "totalInstancesUsed"),
            cores=left("maxTotalCores", "totalCoresUsed"),
            ram_mb=left("maxTotalRAMSize", "totalRAMUsed"),
        )


class Ec2:
    """Tags are searched by the cloud, and a client token makes one machine of two requests."""

    def size(self, driver: Any, name: str) -> Any:
        """Return an instance type, as far as Libcloud knows the region's."""
        return named(driver.list_sizes(), name)

    def image(self, driver: Any, name: str) -> Any:
        """Return an image by its id."""
        return next(iter(driver.list_images(ex_image_ids=[name])), None)

    def machines(self, driver: Any, service_id: str) -> list[Machine]:
        """Return our instances."""
        filters = {f"tag:{SERVICE}": service_id, "instance-state-name": list(EC2_STATES)}
        found = []
        for node in driver.list_nodes(ex_filters=filters):
            tags = node.extra.get("tags") or {}
            if NODE in tags:
                is_leaving = node.extra.get("status") == "shutting-down"
                state = MachineState.LEAVING if is_leaving else _state(node)
                found.append(_machine(node, tags, state, ""))
        return found

    def create(self, driver: Any, order: Order) -> None:
        """Ask for an instance; one that shuts itself down is not kept."""
        more: dict[str, Any] = {}
        if order.network is not None:
            more["ex_subnet"] = order.network
        if order.security_groups:
            # EC2 takes no names beside a subnet, and Libcloud no ids without one.
            kind = "ex_security_groups" if order.network is None else "ex_security_group_ids"
            more[kind] = list(order.security_groups)
        driver.create_node(
            name=order.name,
            size=order.size,
            image=order.image,
            ex_metadata=dict(order.tags),
            ex_clienttoken=order.token,
            ex_keyname=order.key_name or None,
            ex_userdata=order.user_data or None,
            ex_spot=order.spot,
            ex_terminate_on_shutdown=True,
            **more,
        )

    def retag(self, driver: Any, machine: Machine, tags: Mapping[str, str]) -> None:
        """Set an instance's tags."""
        # Not Libcloud's own call: it counts from 0 where EC2 counts from 1.
        params = {"Action": "CreateTags", "ResourceId.1": machine.machine_id}
        for number, (key, value) in enumerate(tags.items(), start=1):
            params |= {f"Tag.{number}.Key": key, f"Tag.{number}.Value": value}
        driver.connection.request(driver.path, params=params)

    def room(self, driver: Any) -> Room:
        """Return no bound: EC2 tells its limits when they are met."""
        return Room()


class Plain:
    """Any other cloud: a machine's name holds the tags, and nothing can be set beside.

    Node types and ids may hold dots, as names of clouds do, so the length of the type is told.
    """

    def size(self, driver: Any, name: str) -> Any:
        """Return a size."""
        return named(driver.list_sizes(), name)

    def image(self, driver: Any, name: str) -> Any:
        """Return an image."""
        return named(driver.list_images(), name)

    def machines(self, driver: Any, service_id: str) -> list[Machine]:
        """Return the machines whose names say that they are ours."""
        begin = f"{PREFIX}-{service_id}."
        found = []
        for node in driver.list_nodes():
            if node.name.startswith(begin):
                length, _, rest = node.name[len(begin) :].partition(".")
                end = int(length) if length.isdecimal() else len(rest)
                tags = {TYPE: rest[:end], NODE: rest[end + 1 :]}
                found.append(_machine(node, tags, _state(node), ""))
        return found

    def create(self, driver: Any, order: Order) -> None:
        """Ask for a machine."""
        service_id, node_type, node_id = (order.tags[each] for each in (SERVICE, TYPE, NODE))
        name = f"{PREFIX}-{service_id}.{len(node_type)}.{node_type}.{node_id}"
        driver.create_node(name=name, size=order.size, image=order.image)

    def retag(self, driver: Any, machine: Machine, tags: Mapping[str, str]) -> None:
        """Do nothing: how many workers a node holds is known while it is remembered."""

    def room(self, driver: Any) -> Room:
        """Return no bound: it is told when it is met."""
        return Room()


def dialect_of(driver: str) -> Dialect:
    """Return how a driver is spoken to."""
    kinds: dict[str, type[Dialect]] = {"openstack": OpenStack, "ec2": Ec2}
    return kinds.get(driver, Plain)()


def _state(node: Any) -> MachineState:
    return STATES.get(node.state, MachineState.PENDING)


def _machine(node: Any, tags: Mapping[str, str], state: MachineState, reason: str) -> Machine:
    return Machine(
        machine_id=node.id,
        node_id=tags[NODE],
        node_type=tags.get(TYPE, ""),
        workers=workers_in(tags),
        state=state,
        reason=reason,
        private=tuple(node.private_ips),
        public=tuple(node.public_ips),
        handle=node,
    )
