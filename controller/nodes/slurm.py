"""Nodes that are jobs of a cluster run by Slurm: each runs `slackwater worker` until it is to go.

A job's name says whose it is, of which type, and which node. What its worker needs lies in a folder
of the node's on a file system that the cluster shares; it stands there until the node is deleted,
so that a job that failed is told as broken until then, by whichever provider of the service looks.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Lock

from controller.clock import now
from controller.errors import NodeError, NodeFault
from controller.nodes.asking import type_that_holds
from controller.nodes.plugins import NodePlugin, NodeType, ProviderStart
from controller.nodes.records import NODE_ID
from controller.nodes.slurm_commands import (
    FIXES,
    FOREVER,
    LIMIT,
    LIVING,
    WAITING,
    Job,
    Partition,
    SlurmCommands,
    job_name,
)
from controller.nodes.slurm_folders import NodeFolders, Submitted
from controller.nodes.slurm_options import SlurmOptions, SlurmTypeOptions
from controller.ports import NodeListing, NodeState
from planner.model import NodeOffer

END_MARGIN_S = 15.0
"""A worker that was told to end is cancelled so long after its time [s]."""

TIDY_S = 3600.0
"""So often [s] it is looked whether certificates are due, and for folders that nobody needs."""

END_S_MAX = 120.0
"""At the end, jobs are waited for until they are over for so long [s]."""

CLOSE_POLL_S = 0.5
_log = logging.getLogger(__name__)


class SlurmNodes:
    """Provides jobs as nodes; see `controller.ports.NodeProvider`.

    Parameters
    ----------
    start : ProviderStart
        Its options are `SlurmOptions`, those of its node types `SlurmTypeOptions`.

    Notes
    -----
    Nothing is asked of Slurm before the first call.
    """

    def __init__(self, start: ProviderStart) -> None:
        options = start.options
        assert isinstance(options, SlurmOptions)
        self.name = start.name
        self.calls_max = options.calls_max
        self.poll_s = options.poll_s
        self._start, self._options = start, options
        self._types = {each.name: each for each in start.node_types}
        self._slurm = SlurmCommands(options)
        self._folders = NodeFolders(Path(options.folder, start.service_id), start, options)
        self._making = Lock()
        self._told: dict[str, float] = {}
        self._tidy_at = time.monotonic() + TIDY_S

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types that can be submitted, and how many more of each.

        Raises
        ------
        NodeError
            Slurm is away (retry), or a type's partition is none of its own (ours).
        """
        partitions = self._slurm.partitions()
        jobs = self._jobs()
        standing = Counter(each.node_type for each in self._listings(jobs))
        room = self._options.pending_max - sum(job.state in WAITING for job in jobs.values())
        return tuple(
            kind.offer(
                min(kind.nodes_max - standing[kind.name], room)
                if _holds(_partition(kind, partitions), kind) and not _limited(kind, jobs)
                else 0
            )
            for kind in self._types.values()
        )

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Submit a node's job; one that stands already under this id is left as it is.

        Raises
        ------
        NodeError
            Unknown type, too many workers, or Slurm has no such partition or node (ours); too many
            nodes, or a limit of the user's is reached (quota); too many jobs wait, or the partition
            is down (capacity); Slurm lets us not in (credentials), is away, or a node of this id is
            on its way out (retry).
        """
        kind = type_that_holds(self._types, node_id, node_type, workers)
        with self._making:
            jobs = self._jobs()
            if self._stands(node_id, jobs):
                return
            self._check_room(node_id, kind, jobs)
            self._submit(node_id, kind, workers)

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers, within the processors that its job has.

        Raises
        ------
        NodeError
            There is no such node (gone), its type does not hold so many (ours), or Slurm or its
            folder is away (retry).
        """
        job = self._jobs().get(node_id)
        if job is None or job.state not in LIVING or node_id in self._told:
            raise NodeError(f"node {node_id} is not there to be resized", fault=NodeFault.GONE)
        kind = type_that_holds(self._types, node_id, job.node_type, workers)
        self._folders.write(node_id, kind, workers)
        if job.state == "RUNNING":
            self._slurm.signal(job.job_id, "HUP")

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return the nodes as the queue has them; one whose job is over, until it is deleted.

        Raises
        ------
        NodeError
            Slurm is away (retry), say.
        """
        submitted = (
            self._folders.submitted()
        )  # Before the queue: what is in the queue then is no newer.
        jobs = self._jobs()
        self._tidy(jobs, submitted)
        return self._listings(jobs, submitted)

    def delete(self, node_id: str) -> bool:
        """Have a node's worker end its parts, then its job; return True once that is over.

        Raises
        ------
        NodeError
            Slurm is away (retry), or lets us not (credentials).
        """
        if not NODE_ID.fullmatch(node_id):
            return True  # No node can have this name.
        left = [each for each in self._every_job() if each.node_id == node_id and each.is_active]
        for job in left:
            self._end(job)
        if left:
            return False
        self._folders.remove(node_id)
        self._told.pop(node_id, None)
        return True

    def close(self, *, end: bool | None = None) -> None:
        """Let go of the cluster.

        Parameters
        ----------
        end : bool, optional
            End all jobs first; by default, unless they outlive the service.
        """
        if not (self._start.orphan_s is None if end is None else end):
            return
        give_up_at = time.monotonic() + END_S_MAX
        try:
            for job in self._every_job():
                if job.is_active:
                    self._slurm.cancel(job.job_id)
                    self._told[job.node_id] = time.monotonic()
            left = {each.node_id for each in self.list_nodes()}
            while left := {each for each in left if not self.delete(each)}:
                if time.monotonic() >= give_up_at:
                    _log.error("provider %s: these are left: %s", self.name, ", ".join(left))
                    return
                time.sleep(CLOSE_POLL_S)
            self._folders.remove_all()
        except NodeError as error:
            _log.error("provider %s: jobs may be left behind: %s", self.name, error)

    def _every_job(self) -> list[Job]:
        return self._slurm.jobs(self._start.service_id)

    def _jobs(self) -> dict[str, Job]:
        """Return the job of each node: one that is not over, else its last; doubles are ended."""
        found: dict[str, Job] = {}
        for job in sorted(self._every_job(), key=lambda each: each.job_id):
            other = found.get(job.node_id)
            if other is None or not other.is_active:
                found[job.node_id] = job
            elif job.is_active and job.state != "COMPLETING":
                if other.state in LIVING:
                    _log.warning("node %s was submitted twice", job.node_id)
                    self._slurm.cancel(job.job_id)
                else:
                    found[job.node_id] = job
        return found

    def _listings(
        self, jobs: dict[str, Job], submitted: dict[str, Submitted] | None = None
    ) -> tuple[NodeListing, ...]:
        submitted = self._folders.submitted() if submitted is None else submitted
        listed = [
            self._listing(job, submitted.get(node_id))
            for node_id, job in jobs.items()
            if job.is_active or node_id in submitted
        ]
        listed += [
            NodeListing(
                node_id=node_id,
                node_type=each.node_type,
                state=NodeState.BROKEN,
                workers=0,
                reason=f"Slurm does not know its job {each.job_id} any more"
                + self._folders.last_words(node_id),
            )
            for node_id, each in submitted.items()
            if node_id not in jobs
        ]
        return tuple(sorted(listed, key=lambda each: each.node_id))

    def _listing(self, job: Job, submitted: Submitted | None) -> NodeListing:
        state, reason = self._state(job, submitted)
        return NodeListing(
            node_id=job.node_id,
            node_type=job.node_type,
            state=state,
            workers=self._folders.workers(job.node_id),
            reason=reason,
        )

    def _state(self, job: Job, submitted: Submitted | None) -> tuple[NodeState, str]:
        if job.state in WAITING:
            if FOREVER.search(job.reason):
                return NodeState.BROKEN, f"its job {job.job_id} can never start: {job.reason}"
            waited_s = now() - submitted.at if submitted else 0.0
            if waited_s > self._options.launch_s_max:
                return (
                    NodeState.BROKEN,
                    f"its job {job.job_id} has not started in {waited_s:.0f} s: {job.reason}",
                )
            return NodeState.BOOTING, ""
        if job.state in LIVING:
            return NodeState.RUNNING, ""
        state = job.state.lower().replace("_", " ")
        why = f" ({job.reason})" if job.reason else ""
        words = self._folders.last_words(job.node_id)
        return NodeState.BROKEN, f"its job {job.job_id} is {state}{why}{words}"

    def _stands(self, node_id: str, jobs: dict[str, Job]) -> bool:
        """Tell whether a node was submitted already.

        Raises
        ------
        NodeError
            It was, and is on its way out (retry).
        """
        job = jobs.get(node_id)
        is_active = job is not None and job.is_active
        if is_active and node_id in self._told:
            raise NodeError(f"node {node_id} is on its way out", fault=NodeFault.RETRY)
        return is_active or self._folders.was_submitted(node_id)

    def _check_room(self, node_id: str, kind: NodeType, jobs: dict[str, Job]) -> None:
        """Refuse a node for which there is no room.

        Raises
        ------
        NodeError
        """
        listed = self._listings(jobs)
        if sum(each.node_type == kind.name for each in listed) >= kind.nodes_max:
            raise NodeError(
                f"node {node_id}: {kind.nodes_max} nodes of type {kind.name} stand already",
                fault=NodeFault.QUOTA,
                fix="Raise its nodes_max, or wait until one is removed",
            )
        if reason := _limited(kind, jobs):
            raise NodeError(
                f"node {node_id}: a job of type {kind.name} waits already, for {reason}",
                fault=NodeFault.QUOTA,
                fix=FIXES[NodeFault.QUOTA],
            )
        waiting = sum(each.state in WAITING for each in jobs.values())
        if waiting >= self._options.pending_max:
            raise NodeError(
                f"node {node_id}: {waiting} jobs wait in the queue already",
                fault=NodeFault.CAPACITY,
                fix="Raise pending_max of the provider, or wait until they start",
            )
        partition = _partition(kind, self._slurm.partitions())
        if not _holds(partition, kind):
            raise NodeError(
                f"node {node_id}: the partition of type {kind.name} is down, or its nodes are",
                fault=NodeFault.CAPACITY,
                fix=FIXES[NodeFault.CAPACITY],
            )

    def _submit(self, node_id: str, kind: NodeType, workers: int) -> None:
        self._folders.write(node_id, kind, workers)
        try:
            job_id = self._slurm.submit(f"submit node {node_id}", self._arguments(node_id, kind))
        except NodeError as error:
            # Of one that may have come through the queue tells, and then its folder is needed.
            if error.fault is not NodeFault.RETRY:
                self._folders.remove(node_id)
            raise
        self._folders.note(node_id, Submitted(job_id=job_id, at=now(), node_type=kind.name))

    def _arguments(self, node_id: str, kind: NodeType) -> list[str]:
        """Return what sbatch is given: its options, the script, and what that is given."""
        options = kind.options
        assert isinstance(options, SlurmTypeOptions)
        folders, service_id = self._folders, self._start.service_id
        end_s = round(self._options.end_s_max)
        program = self._options.program or str(Path(sys.executable).with_name("slackwater"))
        asked = {
            "partition": options.partition,
            "account": options.account,
            "qos": options.qos,
            "constraint": options.constraint,
            "mem": f"{options.memory_mb}M" if options.memory_mb else "",
        }
        return [
            f"--job-name={job_name(service_id, kind.name, node_id)}",
            f"--comment=slackwater node {node_id} of service {service_id}",
            *("--nodes=1", "--ntasks=1", f"--cpus-per-task={kind.slots_max}"),
            f"--time={options.time_limit_min}",
            f"--signal=B:TERM@{end_s}",
            *("--no-requeue", "--export=ALL", "--open-mode=append", "--input=none"),
            f"--output={folders.log(node_id)}",
            "--chdir=/",
            *(f"--{name}={value}" for name, value in asked.items() if value),
            *options.extra,
            str(folders.script),
            *(program, "worker", str(folders.join_folder(node_id))),
        ]

    def _end(self, job: Job) -> None:
        """Have a job end: what runs is told to first, and cancelled when it takes too long."""
        now = time.monotonic()
        if job.state in WAITING:
            self._told.setdefault(job.node_id, now)
            self._slurm.cancel(job.job_id)
        elif job.node_id not in self._told:
            self._slurm.signal(job.job_id, "TERM")
            self._told[job.node_id] = now
        elif now - self._told[job.node_id] > self._options.end_s_max + END_MARGIN_S:
            self._slurm.cancel(job.job_id)

    def _tidy(self, jobs: dict[str, Job], submitted: dict[str, Submitted]) -> None:
        """Now and then, have certificates renewed and remove what creations cut short left."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_S
        self._folders.renew([each.node_id for each in jobs.values() if each.state in LIVING])
        self._folders.remove_stale({*jobs, *submitted})


def _partition(kind: NodeType, partitions: dict[str, Partition]) -> Partition:
    """Return the partition of a node type.

    Raises
    ------
    NodeError
        There is none of that name (ours).
    """
    name = kind.options.partition
    found = partitions.get(name) if name else _default(partitions)
    if found is None:
        raise NodeError(
            f"node type {kind.name}: Slurm has no partition {name or 'by default'!r}",
            fault=NodeFault.OURS,
            fix=f"See nodes.{kind.name}.options.partition; there are: {', '.join(partitions)}",
        )
    return found


def _default(partitions: dict[str, Partition]) -> Partition | None:
    return next((each for each in partitions.values() if each.is_default), None)


def _holds(partition: Partition, kind: NodeType) -> bool:
    return partition.is_up and partition.cpus >= kind.slots_max


def _limited(kind: NodeType, jobs: dict[str, Job]) -> str:
    """Return the limit of the user's that a job of a type waits for; empty if none does."""
    waiting = (each for each in jobs.values() if each.state in WAITING)
    reasons = (each.reason for each in waiting if each.node_type == kind.name)
    return next((each for each in reasons if LIMIT.search(each)), "")


PLUGIN = NodePlugin(open=SlurmNodes, options=SlurmOptions, type_options=SlurmTypeOptions)
