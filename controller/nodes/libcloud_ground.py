"""What machines stand on: key pair, network and security group, made with the fleet if not named.

What is made is called ``slackwater-<service id>``, so that it is found again by name and removed
when the fleet goes. The private key never leaves the provider's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud_account import Account
from controller.nodes.libcloud_machines import PREFIX, named
from controller.nodes.libcloud_options import CloudOptions

KEY = "id_ed25519"

KEYED = ("openstack", "ec2")
"""Drivers that are known to have key pairs."""

OPENED: tuple[tuple[int, int], ...] = ((22, 22), (1024, 65535))
"""Ports by which the service reaches its nodes: ssh, and those at which workers are heard, which
the system chooses. All are opened to the service's own addresses only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What a machine is made on.

    Parameters
    ----------
    key_name : str
    network : object or None
        Libcloud's.
    security_groups : tuple of str
        Names; on EC2 ids, where there is a network.
    """

    key_name: str
    network: Any
    security_groups: tuple[str, ...]


class Ground:
    """Finds or makes what machines stand on, once, and removes what it made.

    Parameters
    ----------
    account : Account
    options : CloudOptions
    folder : Path
        For the key.
    service_id : str
    """

    def __init__(
        self, account: Account, options: CloudOptions, folder: Path, service_id: str
    ) -> None:
        self._account = account
        self._options = options
        self._folder = folder
        self._name = f"{PREFIX}-{service_id}"
        self._lock = Lock()
        self._footing: Footing | None = None

    @property
    def key_file(self) -> Path:
        """Return where the private key lies."""
        return self._folder / KEY

    def footing(self) -> Footing:
        """Return what machines are made on; made where it is missing.

        Raises
        ------
        NodeError
        """
        with self._lock:
            if self._footing is None:
                groups = list(self._options.security_groups)
                if self._options.reach_from:
                    groups.append(self._security_group())
                network = self._network()
                if self._options.driver == "ec2" and network is not None:
                    groups = self._group_ids(groups, network)
                self._footing = Footing(
                    key_name=self._options.key_name or self._key_pair(),
                    network=network,
                    security_groups=tuple(groups),
                )
            return self._footing

    def remove(self) -> None:
        """Remove what was made for the fleet, which must be gone.

        Raises
        ------
        NodeError
            Something is still in use (retry), or may not be removed.
        """
        with self._lock:
            self._footing = None
            if self._options.reach_from:
                self._remove_named("security group", _security_groups, "ex_delete_security_group")
            if self._options.subnet_cidr:
                self._remove_named("subnet", _subnets, "ex_delete_subnet")
                self._remove_named("network", _networks, "ex_delete_network")
            if not self._options.key_name and self._options.driver in KEYED:
                self._remove_named("key pair", _key_pairs, "delete_key_pair")

    def _remove_named(self, what: str, listed: Callable[[Any], list[Any]], removal: str) -> None:
        found = self._account.read(f"list each {what}", listed)
        for each in [one for one in found if one.name == self._name]:
            remove = partial(_call, removal, each)
            try:
                self._account.act(f"remove its {what}", remove)
            except NodeError as error:
                if error.fault is not NodeFault.GONE:
                    raise

    def _key_pair(self) -> str:
        public = self._public_key()
        if self._options.driver not in KEYED:
            return ""
        known = self._account.read("list key pairs", _key_pairs)
        if not any(each.name == self._name for each in known):
            self._account.act(
                "bring its key there",
                lambda driver: driver.import_key_pair_from_string(self._name, public),
            )
        return self._name

    def _public_key(self) -> str:
        """Return the public key, made with its private one where there is none."""
        if not self.key_file.exists():
            key = ed25519.Ed25519PrivateKey.generate()
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            draft = self.key_file.with_suffix(".draft")
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                file.write(private)
            draft.replace(self.key_file)
        read = serialization.load_ssh_private_key(self.key_file.read_bytes(), password=None)
        public = read.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return f"{public.decode()} {self._name}"

    def _network(self) -> Any:
        name = self._options.network or (self._name if self._options.subnet_cidr else "")
        if not name:
            return None
        find = _networks if self._options.driver == "openstack" else _subnets
        found = named(self._account.read("list networks", find), name)
        if found is not None:
            if self._options.subnet_cidr:
                self._subnet(found)
            return found
        if self._options.network:
            raise NodeError(
                f"there is no network {name!r}",
                fault=NodeFault.OURS,
                fix="See the provider's option network",
            )
        made = self._account.act("make its network", lambda driver: driver.ex_create_network(name))
        self._subnet(made)
        return made

    def _subnet(self, network: Any) -> None:
        """Make the subnet of a network of ours, if it has none: that may have failed last time."""
        known = self._account.read("list subnets", _subnets)
        if any(each.name == self._name for each in known):
            return
        subnet: dict[str, Any] = {
            "network_id": network.id,
            "name": self._name,
            "cidr": self._options.subnet_cidr,
            "ip_version": 6 if ":" in self._options.subnet_cidr else 4,
        }
        if pool := self._options.subnet_pool:
            first, _, last = pool.partition("-")
            subnet["allocation_pools"] = [{"start": first.strip(), "end": last.strip()}]

        def make(driver: Any) -> None:
            # Libcloud's own call takes no pool.
            driver.network_connection.request(
                "/v2.0/subnets", method="POST", data={"subnet": subnet}
            )

        self._account.act("make its subnet", make)

    def _group_ids(self, names: Sequence[str], subnet: Any) -> list[str]:
        """Return the ids of security groups of a subnet's VPC; two VPCs may share a name."""
        if not names:
            return []
        known = self._account.read("list security groups", _groups_of_vpcs)
        vpc_id = subnet.extra.get("vpc_id")
        found = [named([each for each in known if _is_of(each, vpc_id)], name) for name in names]
        if missing := [name for name, each in zip(names, found, strict=True) if each is None]:
            raise NodeError(
                f"there is no security group {missing[0]!r} in {vpc_id}, the network's VPC",
                fault=NodeFault.OURS,
                fix="See the provider's options security_groups and network",
            )
        return [each.id for each in found]

    def _security_group(self) -> str:
        known = self._account.read("list security groups", _security_groups)
        group = next((each for each in known if each.name == self._name), None)
        if group is None:
            group = self._account.act(
                "make its security group",
                lambda driver: driver.ex_create_security_group(self._name, "nodes of slackwater"),
            )
        opened = {(rule.from_port, rule.to_port) for rule in group.rules or ()}
        for first, last in OPENED:
            if (first, last) not in opened:
                self._account.act("open its ports", partial(self._open, group, first, last))
        return self._name

    def _open(self, group: Any, first: int, last: int, driver: Any) -> None:
        cidr = self._options.reach_from
        driver.ex_create_security_group_rule(group, "tcp", first, last, cidr=cidr)


def _call(method: str, given: Any, driver: Any) -> None:
    getattr(driver, method)(given)


def _key_pairs(driver: Any) -> list[Any]:
    return list(driver.list_key_pairs())


def _networks(driver: Any) -> list[Any]:
    return list(driver.ex_list_networks())


def _subnets(driver: Any) -> list[Any]:
    return list(driver.ex_list_subnets())


def _security_groups(driver: Any) -> list[Any]:
    return list(driver.ex_list_security_groups())


def _groups_of_vpcs(driver: Any) -> list[Any]:
    return list(driver.ex_get_security_groups())


def _is_of(group: Any, vpc_id: str | None) -> bool:
    return bool(group.extra.get("vpc_id") == vpc_id)
