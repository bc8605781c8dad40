"""Nodes on this machine: each a group of worker processes under a supervisor of its own.

The registry is a folder with a folder per node; it holds all that is known of the nodes, so any
provider on the same registry finds, resizes and deletes what another one made. The nodes live as
long as the provider that made them (see `controller.nodes.nursery`), or outlive it: then they end
by themselves when no provider comes back to their registry.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes import cgroup
from controller.nodes.asking import type_that_holds
from controller.nodes.nursery import Nursery
from controller.nodes.records import (
    ATTACHED,
    DELETION,
    NODE_ID,
    STANDING,
    WANTED,
    Standing,
    Wanted,
    read,
    write,
)
from controller.nodes.supervisor import NodeStart
from controller.ports import NodeListing, NodeState, WorkerConnection, node_of
from controller.processes import mark
from planner.model import NodeOffer

START_S_MAX = 60.0
"""A node whose supervisor has not shown up by then is broken [s]; imports on a loaded machine."""

OWN_BOOT_S = 0.5
"""From request to joined, beside what a node type declares [s]; measured 0.2 to 1."""

CLOSE_POLL_S = 0.02

RENEW_S = 3600.0
"""It is looked so often whether a node's certificate is due [s]; it is, a month before its end."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessNodeType:
    """A kind of local node.

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
        Declared boot time: workers are started only after it [s].
    cpu_quota : float or None
        CPU time for all its workers together [cores], where control groups allow.
    nodes_max : int
        How many may stand at the same time.
    shared_reads_mb : float
        Room for what the workers of a node have read and share [MB]; 0 shares nothing.
    spot : bool
        It is offered as one that may be taken back, for trying that out.
    """

    name: str
    slots: int = 1
    slots_max: int = 2
    speed: float = 1.0
    price_per_h: float = 0.0
    quantum_s: float = 0.0
    boot_s: float = 0.0
    cpu_quota: float | None = None
    nodes_max: int = 8
    shared_reads_mb: float = 0.0
    spot: bool = False

    def offer(self, standing: int) -> NodeOffer:
        """Return what is offered of this type while so many of them stand."""
        return NodeOffer(
            node_type=self.name,
            slots=self.slots,
            slots_max=self.slots_max,
            speed=self.speed,
            price_per_h=self.price_per_h,
            quantum_s=self.quantum_s,
            boot_s=self.boot_s + OWN_BOOT_S,
            nodes_max=max(0, self.nodes_max - standing),
            spot=self.spot,
        )


class ProcessNodes:
    """Provides nodes on this machine; see `controller.ports.NodeProvider`.

    Parameters
    ----------
    connection : WorkerConnection
        How workers join; the engine has it.
    node_types : sequence of ProcessNodeType
    folder : Path, optional
        The registry; by default a new private one that goes with `close`.
    preload : sequence of str, optional
        Modules that parts need and that take long to import.
    reachable_urls : sequence of str, optional
        Folders (fsspec) that each worker must see before it joins: the archive, the fragments.
    restarts_max : int
        Restarts for each of a node's workers in a minute; one more, and the node is broken.
    end_s_max : float
        A worker that was told to end, by resizing or deletion, is killed after this time [s].
    orphan_s : float, optional
        The nodes outlive this provider and its process, and end when no other one has been there
        for this long [s]; needs a folder. By default they end with it.

    Attributes
    ----------
    quota_fault : str
        Why the CPU quotas of the node types cannot be had here; empty when they can.

    Notes
    -----
    Call it from one thread at a time, `kill_worker` from any.
    """

    name = "process"
    calls_max = 1
    poll_s = 0.25

    def __init__(
        self,
        connection: WorkerConnection,
        *,
        node_types: Sequence[ProcessNodeType],
        folder: Path | None = None,
        preload: Sequence[str] = (),
        reachable_urls: Sequence[str] = (),
        restarts_max: int = 5,
        end_s_max: float = 5.0,
        orphan_s: float | None = None,
    ) -> None:
        assert folder or orphan_s is None, "nobody would find nodes in a private folder again"
        self._connection = connection
        self._types = {node_type.name: node_type for node_type in node_types}
        self._private = None if folder else tempfile.TemporaryDirectory(prefix="slackwater-nodes-")
        self._registry = folder or Path(self._private.name if self._private else "")
        self._registry.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._preload = (*connection.preload, *preload)
        self._reachable_urls = tuple(reachable_urls)
        self._restarts_max = restarts_max
        self._end_s_max = end_s_max
        self._orphan_s = orphan_s
        if orphan_s is not None:
            write(self._registry / ATTACHED, mark(os.getpid()))
        self._renew_at = time.monotonic() + RENEW_S
        self._nursery = self._new_nursery()
        wants_quota = any(node_type.cpu_quota for node_type in node_types)
        self.quota_fault = cgroup.fault() if wants_quota else ""
        if self.quota_fault:
            _log.warning("nodes get no CPU quota: %s", self.quota_fault)

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types that can be created, and how many more of each."""
        standing = [listing.node_type for listing in self.list_nodes()]
        return tuple(each.offer(standing.count(each.name)) for each in self._types.values())

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Begin to create a node; one that stands already under this id is left as it is.

        Raises
        ------
        NodeError
            Unknown type or too many workers (ours), too many nodes (quota); one of this id is
            being deleted, or no process to be had (retry).
        """
        kind = type_that_holds(self._types, node_id, node_type, workers)
        listings = self.list_nodes()
        if any(listing.node_id == node_id for listing in listings):
            self._refuse_leaving(node_id)
            return
        if sum(listing.node_type == node_type for listing in listings) >= kind.nodes_max:
            raise NodeError(
                f"node {node_id}: {kind.nodes_max} nodes of type {node_type} stand already",
                fault=NodeFault.QUOTA,
                fix="Raise its nodes_max, or wait until one is removed",
            )
        folder = self._registry / node_id
        try:
            if self._claim(folder, Wanted(node_type=node_type, workers=workers)):
                self._start(self._node_start(folder, kind))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise NodeError(
                f"node {node_id} cannot be started: {error}",
                fault=NodeFault.RETRY,
                fix="The machine may be out of processes or memory",
            ) from error

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers; those that are too many may end their part.

        Raises
        ------
        NodeError
            There is no such node (gone), or its type does not hold so many (ours).
        """
        folder = self._registry / node_id
        wanted = read(folder / WANTED, Wanted)
        if wanted is None:
            raise NodeError(f"node {node_id} is not there to be resized", fault=NodeFault.GONE)
        type_that_holds(self._types, node_id, wanted.node_type, workers)
        try:
            write(folder / WANTED, Wanted(node_type=wanted.node_type, workers=workers))
        except OSError as error:
            raise NodeError(
                f"node {node_id} cannot be resized: {error.strerror}", fault=NodeFault.RETRY
            ) from error
        standing = read(folder / STANDING, Standing)
        if standing:
            standing.supervisor.send(signal.SIGHUP)

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return the nodes in the registry, as their processes are now."""
        folders = self._folders()
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_S
            self._renew(folders)
        return tuple(each for each in map(listing, folders) if each)

    def delete(self, node_id: str) -> bool:
        """Ask for a node's end; return True once neither a process nor a record of it is left.

        Raises
        ------
        NodeError
            It cannot be written down that the node is to go (retry): the disk is full, say.
        """
        folder = self._registry / node_id
        if not folder.is_dir():
            return True
        try:
            (folder / DELETION).touch(exist_ok=False)
        except FileExistsError:
            pass
        except OSError as error:
            raise NodeError(
                f"node {node_id} cannot be deleted: {error.strerror}",
                fault=NodeFault.RETRY,
                fix="Free space there; it is tried again",
            ) from error
        standing = read(folder / STANDING, Standing)
        if standing is None and age_s(folder / WANTED) < START_S_MAX:
            return False  # Its supervisor is about to show up, and to see that it is not wanted.
        running = standing.running() if standing else []
        if not running:
            cgroup.sweep(folder)
            shutil.rmtree(folder, ignore_errors=True)
            return True
        # A supervisor ends its workers in `end_s_max`; what is left after twice that, it cannot.
        overdue = age_s(folder / DELETION) > 2 * self._end_s_max
        for each in running if overdue else running[:1]:
            each.send(signal.SIGKILL if overdue else signal.SIGTERM)
        return False

    def kill_worker(self, worker_name: str) -> None:
        """Kill one worker process, as one that hangs; its node starts another one."""
        node_id = node_of(worker_name)
        if not NODE_ID.fullmatch(node_id):
            return  # A worker says its own name, and it names no folder of ours.
        standing = read(self._registry / node_id / STANDING, Standing)
        if standing and worker_name in standing.workers:
            standing.workers[worker_name].send(signal.SIGKILL)

    def close(self, *, end: bool | None = None) -> None:
        """End all processes.

        Parameters
        ----------
        end : bool, optional
            Delete all nodes in the registry; by default, unless they outlive this provider.
        """
        ending = self._orphan_s is None if end is None else end
        leaving = [each.node_id for each in self.list_nodes()] if ending else []
        give_up_at = time.monotonic() + 4 * self._end_s_max
        while leaving and time.monotonic() < give_up_at:
            leaving = [node_id for node_id in leaving if not self.delete(node_id)]
            if leaving:
                time.sleep(CLOSE_POLL_S)
        self._nursery.close()
        if self._private:
            self._private.cleanup()

    def _refuse_leaving(self, node_id: str) -> None:
        if (self._registry / node_id / DELETION).exists():
            raise NodeError(
                f"node {node_id} is being deleted", fault=NodeFault.RETRY, fix="Give it another id"
            )

    def _claim(self, folder: Path, wanted: Wanted) -> bool:
        """Make a node's folder, whole or not at all; return False when another one was faster."""
        draft = Path(tempfile.mkdtemp(prefix=".", dir=self._registry))
        write(draft / WANTED, wanted)
        try:
            draft.rename(folder)
        except OSError as error:
            shutil.rmtree(draft)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            return False
        return True

    def _folders(self) -> list[Path]:
        return [each for each in sorted(self._registry.glob("*")) if NODE_ID.fullmatch(each.name)]

    def _renew(self, folders: Sequence[Path]) -> None:
        """Renew the credentials of the nodes where that is due; their workers read them again."""
        for folder in folders:
            try:
                self._connection.of_node(folder.name, folder.resolve())
            except FileNotFoundError:
                pass  # It has just gone.
            except OSError as error:
                # There is a month to mend it; the listing must not fail for that.
                _log.warning("node %s: its certificate is not renewed: %s", folder.name, error)

    def _node_start(self, folder: Path, kind: ProcessNodeType) -> NodeStart:
        return NodeStart(
            node_id=folder.name,
            folder=folder.resolve(),
            connection=self._connection.of_node(folder.name, folder.resolve()),
            boot_s=kind.boot_s,
            cpu_quota=kind.cpu_quota,
            reachable_urls=self._reachable_urls,
            restarts_max=self._restarts_max,
            end_s_max=self._end_s_max,
            shared_reads_mb=kind.shared_reads_mb,
            orphan_s=self._orphan_s,
        )

    def _start(self, start: NodeStart) -> None:
        try:
            self._nursery.start(start)
        except OSError:
            # It was killed, and its nodes with it; those are listed as broken.
            self._nursery.close()
            self._nursery = self._new_nursery()
            self._nursery.start(start)

    def _new_nursery(self) -> Nursery:
        outlived = self._orphan_s is not None
        return Nursery(self._preload, self._registry / ".nursery.log", outlived=outlived)


def listing(folder: Path) -> NodeListing | None:
    """Return how a node stands, or None when it is going just now."""
    wanted = read(folder / WANTED, Wanted)
    if wanted is None:
        return None
    standing = read(folder / STANDING, Standing)
    state, reason = NodeState.BOOTING, ""
    if standing is None:
        if age_s(folder / WANTED) > START_S_MAX:
            state, reason = NodeState.BROKEN, "its supervisor never started"
    elif standing.state is not NodeState.BROKEN and not standing.supervisor.runs():
        state, reason = NodeState.BROKEN, "its supervisor is gone"
    else:
        state, reason = standing.state, standing.reason or standing.note
    return NodeListing(
        node_id=folder.name,
        node_type=wanted.node_type,
        state=state,
        workers=sum(each.runs() for each in standing.workers.values()) if standing else 0,
        reason=reason,
    )


def age_s(path: Path) -> float:
    """Return how long ago a file was written [s]; of one that is gone, endlessly long."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return float("inf")
