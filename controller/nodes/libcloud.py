"""Nodes that are virtual machines of a cloud, by Apache Libcloud.

All that is known of a node is on its machine: our id, whose it is, its type and how many workers it
is to hold are tags. So any provider of the same service finds, resizes and deletes what another one
made, also one whose creation was cut short between the request and its answer. A cloud that has no
token for a request is asked by tag before anything is made again.

A node comes up in steps: a machine is asked for, runs, is prepared
(`controller.nodes.libcloud_setup`), and its workers join, which the engine tells. One that fails,
or takes too long, is broken; whoever asked for it deletes it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from controller.errors import NodeError, NodeFault
from controller.nodes.asking import type_that_holds
from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_account import PAUSE_FACTOR, PAUSE_S, TRIES_MAX, Account
from controller.nodes.libcloud_asked import AskedMachines
from controller.nodes.libcloud_ground import Ground
from controller.nodes.libcloud_machines import (
    PREFIX,
    Dialect,
    Machine,
    MachineState,
    Order,
    tags_of,
    with_ids_of_ours,
)
from controller.nodes.libcloud_options import CloudOptions, CloudTypeOptions
from controller.nodes.libcloud_setup import Preparation, RunningHost, Setups
from controller.nodes.plugins import NodeType, ProviderStart
from controller.ports import NodeListing, NodeState
from planner.model import NodeOffer

SIZES_S = 3600.0
"""Sizes and images are looked up again after this time [s]."""

END_S_MAX = 120.0
"""At the end, machines are waited for until they are gone for so long [s]."""

BROKEN: dict[MachineState, str] = {
    MachineState.FAILED: "the cloud says it has failed",
    MachineState.STOPPED: "its machine is switched off",
    MachineState.LEAVING: "its machine is being deleted",
}
"""States of a machine that no worker comes of."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The size and image of a node type, as the cloud has them."""

    size: Any
    image: Any
    known_at: float


class LibcloudNodes:
    """Provides machines of a cloud as nodes; see `controller.ports.NodeProvider`.

    Parameters
    ----------
    start : ProviderStart
        Its options are `CloudOptions`, those of its node types `CloudTypeOptions`.
    dialect : Dialect
    preparation : Preparation
        Makes workers of machines.

    Notes
    -----
    Nothing is asked of the cloud before the first call.
    """

    def __init__(self, start: ProviderStart, dialect: Dialect, preparation: Preparation) -> None:
        options = start.options
        assert isinstance(options, CloudOptions)
        self.name = start.name
        self.calls_max = options.calls_max
        self.poll_s = options.poll_s
        self._start, self._options, self._dialect = start, options, dialect
        self._types = {each.name: each for each in start.node_types}
        self.account = Account(start.name, lambda: login_of(start.name, options))
        self._ground = Ground(self.account, options, start.folder, start.service_id)
        self._setups = Setups(preparation)
        self._lock = Lock()
        self._models: dict[str, Model] = {}
        self._asked = AskedMachines()
        self._seen_at: dict[str, float] = {}
        self._resized: dict[str, int] = {}

    @property
    def key_file(self) -> Path:
        """Return the private key that machines let in."""
        return self._ground.key_file

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types that can be created, and how many more of each.

        Raises
        ------
        NodeError
            The cloud is out of reach (retry) or lets us not in (credentials), or a size, an image
            or a network is none of its own (ours).
        """
        began = time.monotonic()
        standing = self._asked.standing(_types(self._machines()), began)
        room = self.account.read("ask for its limits", self._dialect.room)
        return tuple(
            each.offer(
                int(min(each.nodes_max - standing[each.name], room.holds(self._model(each).size)))
            )
            for each in self._types.values()
        )

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Begin to create a node; one that stands already under this id is left as it is.

        Raises
        ------
        NodeError
            Unknown type, too many workers, or no such size, image or network (ours); too many
            nodes, or the account's quota is used up (quota); the cloud is full (capacity); it lets
            us not in (credentials), is away or busy, or one of this id is being deleted (retry).
        """
        kind = type_that_holds(self._types, node_id, node_type, workers)
        began = time.monotonic()
        machines = self._machines()
        if self._stands(node_id, machines):
            return
        if not self._asked.reserve(node_id, kind, workers, _types(machines), began):
            return
        try:
            self._make(node_id, self._order(node_id, kind, workers))
        except NodeError:
            self._asked.forget(node_id)
            raise
        self._asked.made(node_id)

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers.

        Raises
        ------
        NodeError
            There is no such node (gone), its type does not hold so many (ours), or as `create`.
        """
        machine = self._machines().get(node_id)
        if machine is None or machine.state is MachineState.LEAVING:
            raise NodeError(f"node {node_id} is not there to be resized", fault=NodeFault.GONE)
        type_that_holds(self._types, node_id, machine.node_type, workers)
        self._mark(machine, workers)
        with self._lock:
            self._resized[node_id] = workers

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return the nodes as the cloud has them, and have those prepared that have come to run.

        Raises
        ------
        NodeError
            The cloud is out of reach (retry), or lets us not in (credentials).
        """
        if fault := self._setups.fault():
            raise fault
        machines = self._machines()
        now = time.monotonic()
        with self._lock:
            self._seen_at = {each: self._seen_at.get(each, now) for each in machines}
        missing = self._asked.see(machines)
        self._settle(machines)
        self._setups.renew(list(machines))
        self._setups.see([host for each in machines.values() if (host := self._host(each))])
        listed = [self._listing(each, now) for each in machines.values()]
        listed += [
            NodeListing(
                node_id=node_id,
                node_type=each.node_type,
                state=NodeState.BOOTING,
                workers=each.workers,
            )
            for node_id, each in missing.items()
        ]
        return tuple(sorted(listed, key=lambda each: each.node_id))

    def delete(self, node_id: str) -> bool:
        """Ask for a node's end; return True once its machine is not found any more.

        Raises
        ------
        NodeError
            The cloud is out of reach (retry), or lets us not (credentials).
        """
        is_awaited = self._asked.is_awaited(node_id)
        doubles = [each for each in self._all_machines() if each.node_id == node_id]
        if not doubles:
            if is_awaited:
                return False  # It was made, and is not listed yet.
            self._forget(node_id)
            return True
        for machine in doubles:
            if machine.state is not MachineState.LEAVING:
                self._destroy(machine)
        self._asked.forget(node_id)
        return False

    def close(self, *, end: bool | None = None) -> None:
        """Let go of the cloud.

        Parameters
        ----------
        end : bool, optional
            Delete all nodes and what was made for them first; by default, unless they outlive the
            service.
        """
        if self._start.orphan_s is None if end is None else end:
            self._end()
        self._setups.close()
        self.account.close()

    def _end(self) -> None:
        """Delete all nodes and what was made for them, as far as that is to be had now."""
        give_up_at = time.monotonic() + END_S_MAX
        try:
            left = {each.node_id for each in self.list_nodes()}
            while left and time.monotonic() < give_up_at:
                left = {node_id for node_id in left if not self.delete(node_id)}
                if left:
                    self.account.pause(min(1.0, self.poll_s))
            if not left:
                self._ground.remove()
            else:
                _log.error("provider %s: these nodes are left: %s", self.name, ", ".join(left))
        except NodeError as error:
            _log.error("provider %s: something may be left behind: %s", self.name, error)

    def _machines(self) -> dict[str, Machine]:
        """Return our machines by node id; of doubles, the one that stays."""
        found: dict[str, Machine] = {}
        for machine in sorted(self._all_machines(), key=lambda each: each.machine_id):
            other = found.get(machine.node_id)
            if other is None or other.state is MachineState.LEAVING:
                found[machine.node_id] = machine
            elif machine.state is not MachineState.LEAVING:
                _log.warning("node %s: its machine was made twice", machine.node_id)
                self._destroy(machine)
        return found

    def _all_machines(self) -> list[Machine]:
        whose, listed = self._start.service_id, self._dialect.machines
        found = self.account.read("list machines", lambda driver: listed(driver, whose))
        return with_ids_of_ours(found)

    def _stands(self, node_id: str, machines: Mapping[str, Machine]) -> bool:
        """Tell whether a node was made already.

        Raises
        ------
        NodeError
            It is on its way out.
        """
        machine = machines.get(node_id)
        if machine is not None and machine.state is MachineState.LEAVING:
            raise NodeError(
                f"node {node_id} is being deleted", fault=NodeFault.RETRY, fix="Give it another id"
            )
        return machine is not None

    def _make(self, node_id: str, order: Order) -> None:
        """Ask for a machine until it is known to be made, or not to be had."""
        pause_s = PAUSE_S
        for left in reversed(range(TRIES_MAX)):
            try:
                self.account.act(
                    f"make node {node_id}", lambda driver: self._dialect.create(driver, order)
                )
            except NodeError as error:
                if error.fault not in (NodeFault.RETRY, NodeFault.GONE):
                    raise
                # It may have been made though the answer says otherwise, or never came; and it may
                # be listed only a little later.
                self.account.pause(pause_s)
                pause_s *= PAUSE_FACTOR
                if any(each.node_id == node_id for each in self._all_machines()):
                    return
                if not left:
                    raise
            else:
                return

    def _order(self, node_id: str, kind: NodeType, workers: int) -> Order:
        model, footing = self._model(kind), self._ground.footing()
        service_id = self._start.service_id
        token = hashlib.sha256(f"{service_id}/{node_id}".encode()).hexdigest()[:32]
        return Order(
            name=f"{PREFIX}-{service_id}-{node_id}",
            size=model.size,
            image=model.image,
            tags=tags_of(service_id, node_id, kind.name, workers),
            token=token,
            key_name=footing.key_name,
            user_data=self._user_data(kind),
            network=footing.network,
            security_groups=footing.security_groups,
            spot=kind.spot,
        )

    def _user_data(self, kind: NodeType) -> str:
        path = kind.options.user_data_file
        if not path:
            return ""
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NodeError(
                f"user data {path} of node type {kind.name} cannot be read: {error}",
                fault=NodeFault.OURS,
                fix="See its options",
            ) from error

    def _model(self, kind: NodeType) -> Model:
        """Return the size and image of a type, looked up now and then.

        Raises
        ------
        NodeError
            There is none of that name (ours).
        """
        now = time.monotonic()
        known = self._models.get(kind.name)
        if known is not None and now - known.known_at < SIZES_S:
            return known
        options = kind.options
        assert isinstance(options, CloudTypeOptions)
        size = self._found(kind, "size", options.size, self._dialect.size)
        image = self._found(kind, "image", options.image, self._dialect.image)
        found = self._models[kind.name] = Model(size=size, image=image, known_at=now)
        return found

    def _found(
        self, kind: NodeType, what: str, name: str, look_up: Callable[[Any, str], Any]
    ) -> Any:
        try:
            found = self.account.read(
                f"look up {what} {name}", lambda driver: look_up(driver, name)
            )
        except NodeError as error:
            if error.fault not in (NodeFault.GONE, NodeFault.OURS):
                raise
            found = None
        if found is None:
            raise NodeError(
                f"node type {kind.name}: provider {self.name} has no {what} {name!r}",
                fault=NodeFault.OURS,
                fix=f"See nodes.{kind.name}.options.{what}",
            )
        return found

    def _host(self, machine: Machine) -> RunningHost | None:
        """Return where a machine is to be prepared, if it runs and has an address."""
        kind = self._types.get(machine.node_type)
        address = self._address(machine)
        if machine.state is not MachineState.RUNNING or kind is None or not address:
            return None
        return RunningHost(
            node_id=machine.node_id,
            address=address,
            workers=self._workers(machine),
            shared_reads_mb=kind.shared_reads_mb,
        )

    def _address(self, machine: Machine) -> str:
        found = machine.public if self._options.address == "public" else machine.private
        return found[0] if found else ""

    def _listing(self, machine: Machine, now: float) -> NodeListing:
        state, reason = self._stand(machine, now)
        return NodeListing(
            node_id=machine.node_id,
            node_type=machine.node_type,
            state=state,
            workers=self._workers(machine),
            reason=reason,
        )

    def _stand(self, machine: Machine, now: float) -> tuple[NodeState, str]:
        """Return how a node stands, and why where it is broken."""
        progress = self._setups.progress(machine.node_id)
        if fault := BROKEN.get(machine.state, progress.fault):
            return NodeState.BROKEN, machine.reason or fault
        is_late = now - self._seen_at[machine.node_id] > self._options.launch_s_max
        if is_late and (fault := self._tardiness(machine)):
            return NodeState.BROKEN, fault
        return (NodeState.RUNNING if self._is_ready(machine) else NodeState.BOOTING), ""

    def _is_ready(self, machine: Machine) -> bool:
        prepared = self._setups.progress(machine.node_id).workers
        return machine.state is MachineState.RUNNING and prepared > 0

    def _tardiness(self, machine: Machine) -> str:
        """Return what a machine should have by now, nothing if it has all."""
        if machine.state is MachineState.PENDING:
            return f"its machine did not run in {self._options.launch_s_max:.0f} s"
        return "" if self._address(machine) else f"it has no {self._options.address} address"

    def _mark(self, machine: Machine, workers: int, *, insist: bool = True) -> None:
        """Write on a machine how many workers it is to hold; where it cannot yet, a look does."""
        node_id = machine.node_id
        tags = tags_of(self._start.service_id, node_id, machine.node_type, workers)
        try:
            self.account.act(
                f"mark node {node_id}", lambda driver: self._dialect.retag(driver, machine, tags)
            )
        except NodeError as error:
            if insist and error.fault is not NodeFault.RETRY:
                raise
            _log.info("node %s is marked later: %s", node_id, error)

    def _workers(self, machine: Machine) -> int:
        """Return how many workers a node is to hold."""
        kind = self._types.get(machine.node_type)
        told = machine.workers or (kind.slots if kind else 0)
        return self._resized.get(machine.node_id, told)

    def _settle(self, machines: Mapping[str, Machine]) -> None:
        """Bring to the machines what could not be written on them before."""
        for node_id, workers in list(self._resized.items()):
            machine = machines.get(node_id)
            if machine is None or machine.workers == workers:
                with self._lock:
                    self._resized.pop(node_id, None)
            elif machine.state is MachineState.RUNNING:
                self._mark(machine, workers, insist=False)

    def _destroy(self, machine: Machine) -> None:
        try:
            self.account.act(
                f"delete node {machine.node_id}",
                lambda driver: driver.destroy_node(machine.handle),
            )
        except NodeError as error:
            if error.fault is not NodeFault.GONE:
                raise

    def _forget(self, node_id: str) -> None:
        self._setups.forget(node_id)
        self._asked.forget(node_id)
        with self._lock:
            self._seen_at.pop(node_id, None)
            self._resized.pop(node_id, None)


def _types(machines: Mapping[str, Machine]) -> dict[str, str]:
    return {node_id: each.node_type for node_id, each in machines.items()}
