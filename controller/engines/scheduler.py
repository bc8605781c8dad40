"""The scheduler process: Dask's scheduler, with leases and a roster that its engine can hear.

It is started with one file of settings and writes one of its own when it can be reached: where, and
which process it is. It ends when it is told to (SIGTERM); one that belongs to a single run, when
the process of that run is gone; one that outlives its service, when no service has been attached to
it for `orphan_s`. A lock on its folder says that it runs, so that there is never a second one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from distributed import Scheduler
from distributed.comm.core import Comm
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import heartbeat_interval
from distributed.utils import NoOpAwaitable
from distributed.versions import get_versions
from tornado.ioloop import PeriodicCallback

from controller.authority import NAMED, Credentials, revoked
from controller.build import VERSION
from controller.engines import dask_settings
from controller.engines.connection import RELOAD_S, RenewableSecurity
from controller.engines.ledger import Ledger
from controller.engines.messages import (
    TOPIC,
    Held,
    Message,
    PartDone,
    PartRefused,
    Roster,
    TakenOver,
    WorkerEnding,
    WorkerHung,
    from_wire,
    to_wire,
)
from controller.engines.receiving import taken_in
from controller.ports import node_of
from controller.processes import ProcessMark, mark

LOOKS_PER_LEASE = 8
"""Leases are looked at so often in their time: a hung worker is told at most 12 % late."""

LOOK_S_MAX = 1.0
"""Leases are looked at, and the roster is told, at least this often [s]."""

HEARTBEATS_PER_LEASE_MIN = 3
"""A lease outlives this many heartbeats, however many workers there are and so however rare they
are: one that is late is no sign of death."""

STEP_S_MIN = 1.0
"""What the clock gains on the ticks between two looks is a step from here on [s]."""

EPITAPHS_MAX = 1000
"""Reasons of ended workers that are remembered; each is wanted for moments only."""

SILENT_SERVICE_S_MIN = 30.0
"""A service that is connected gives a sign of life every 5 s; it is not given up sooner [s]."""

FAREWELL_S = 0.5
"""So long a service that was replaced has to hear of it [s], before its connection is cut."""

SETTINGS, RECORD, LOCK = "settings.json", "scheduler.json", "scheduler.lock"

SAME_VERSIONS = ("python", "dask", "distributed", "cloudpickle", "msgpack", "slackwater")
"""What must be the same on both sides, for they exchange pickles."""


class SchedulerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine tells its scheduler, in a file.

    Parameters
    ----------
    host : str
    port : int
    credentials : Credentials
    lease_s : float
        A worker whose heartbeat is older is given up [s].
    orphan_s : float
        Without a service for this long, it ends [s].
    fragments : str
        Folder of the fragments that come with their receipts; empty takes none.
    owner : ProcessMark or None
        The process that it ends with; None outlives its service, and keeps a ledger.
    """

    host: str
    port: int
    credentials: Credentials
    lease_s: float
    orphan_s: float
    fragments: str
    owner: ProcessMark | None


class SchedulerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduler says of itself once it can be reached."""

    address: str
    process: ProcessMark
    versions: dict[str, str]


def own_versions() -> dict[str, str]:
    """Return the versions that a worker must share with its scheduler."""
    # Other patches of one Python read each other's pickles: nodes have their system's.
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    installed = get_versions()["packages"] | {"slackwater": VERSION, "python": python}
    return {name: str(installed[name]) for name in SAME_VERSIONS}


class PartScheduler(Scheduler):
    """Dask's scheduler that refuses another version's workers and ends the lease of silent ones."""

    def __init__(self, ours: SchedulerSettings, **settings: Any) -> None:
        self.unwanted = asyncio.Event()
        self._lease_s = ours.lease_s
        self._orphan_s = ours.orphan_s
        self._owner = ours.owner
        self._fragments = ours.fragments
        self._tls = Path(ours.credentials.authority).parent
        self._revoked = revoked(self._tls)
        self._looked_at, self._clocked_at = time.monotonic(), time.time()
        self._alone_s = 0.0
        self._hung: dict[str, str] = {}
        self._epitaphs: dict[str, str] = {}
        self._ledger: Ledger | None = None
        security = RenewableSecurity(ours.credentials)
        super().__init__(plugins=[Doorkeeper()], security=security, **settings)
        if not ours.owner:
            self._keep_ledger()
        self._look_s = min(LOOK_S_MAX, ours.lease_s / LOOKS_PER_LEASE)
        self.periodic_callbacks["look"] = PeriodicCallback(self.look, self._look_s * 1000)
        self.periodic_callbacks["renew"] = PeriodicCallback(security.reload, RELOAD_S * 1000)

    def _keep_ledger(self) -> None:
        self._ledger = Ledger(self, self.tell, self.epitaph)
        self.add_plugin(self._ledger)
        self.handlers |= {
            "attach": self.attach,
            "acknowledge": self._ledger.acknowledge_parts,
            "take_back": self._ledger.take_back_parts,
        }

    def handle_comm(self, comm: Comm) -> Any:
        """Take a connection, unless it is one of a node that was removed."""
        if peer_of(comm) in self._revoked:
            comm.abort()
            return NoOpAwaitable()
        return super().handle_comm(comm)

    async def part_with_revoked(self) -> None:
        """Learn which nodes were removed, and end what stands with them."""
        if (now := revoked(self._tls)).keys() == self._revoked.keys():
            return
        self._revoked = now
        for comm in [each for each in self._comms if peer_of(each) in now]:
            comm.abort()
        for worker in list(self.workers.values()):
            if node_of(str(worker.name)) in now:
                remember(self._epitaphs, str(worker.name), "its node was removed")
                await self.remove_worker(worker.address, stimulus_id=f"revoked-{time.time()}")

    def start_http_server(self, *args: Any, **settings: Any) -> None:
        """Start none: the only port is the one behind TLS."""

    async def add_worker(self, comm: Comm, *, extra: dict[str, Any], **worker: Any) -> None:
        """Let a worker in that runs what we run, under the name of its certificate's node."""
        refusal = stranger(str(worker.get("name")), peer_of(comm))
        skew = version_skew(own_versions(), extra.get("slackwater_versions") or {})
        if skew and not refusal:
            refusal = f"version skew: {skew}"
        if refusal:
            await comm.write({"status": "error", "message": refusal, "time": time.time()})
            return
        await super().add_worker(comm, extra=extra, **worker)

    def handle_worker_status_change(self, *args: Any, **settings: Any) -> None:
        """Tell that a worker takes parts from now on, or takes no more."""
        super().handle_worker_status_change(*args, **settings)
        self.tell_roster()

    async def look(self) -> None:
        """Look after the leases and whether anybody wants this scheduler; tell who is there."""
        await self.part_with_revoked()
        await self.end_leases()
        self.tell_roster()
        if self._owner:
            orphaned = not self._owner.runs()
        else:
            # Looks are counted, not seconds: when this process was held up, so were its services.
            self._alone_s = 0.0 if self.is_attached() else self._alone_s + self._look_s
            orphaned = self._alone_s >= self._orphan_s
        if orphaned:
            self.unwanted.set()

    def is_attached(self) -> bool:
        """Return whether a service is there that gives signs of life."""
        now = time.time()
        silent_s_max = max(self._orphan_s, SILENT_SERVICE_S_MIN)
        return any(
            now - self.clients[client].last_seen < silent_s_max
            for client in self.client_comms
            if client in self.clients
        )

    async def attach(self, client: str, service: str, lease_s: float, orphan_s: float) -> object:
        """Let a service take this scheduler over, as its only one; return what is held for it."""
        assert self._ledger is not None
        self._lease_s, self._orphan_s, self._alone_s = lease_s, orphan_s, 0.0
        self.tell(TakenOver(service=service))
        for other in [each for each in self.client_comms if each != client]:
            # What was told just now may be on its way, but a service that hangs holds up nobody.
            self._ongoing_background_tasks.call_later(FAREWELL_S, self.cut_off, other)
        self.subscribe_topic(TOPIC, client)
        carried, ended = self._ledger.adopt()
        hung, self._hung = self._hung, {}
        return to_wire(Held(roster=self.roster(), carried=carried, ended=ended, hung=hung))

    async def cut_off(self, client: str) -> None:
        """End the connection of a service that another one has replaced."""
        if client in self.client_comms:
            self.client_comms[client].abort()

    def log_event(self, topic: str | Sequence[str], msg: Any) -> None:  # type: ignore[override]
        """Pass on what is told; what comes with it is written first."""
        if topic == TOPIC:
            message = from_wire(msg)
            if isinstance(message, PartDone) and message.content is not None:
                message = taken_in(message, self._fragments)
                msg = to_wire(message)
            self._note(message)
        super().log_event(topic, msg)

    def _note(self, message: Message) -> None:
        """Note what must not be lost with a service that is away."""
        if self._ledger:
            match message:
                case PartDone() | PartRefused() as receipt:
                    self._ledger.note(receipt)
                case WorkerEnding(name=name, reason=reason):
                    remember(self._epitaphs, name, reason)

    def epitaph(self, name: str) -> str:
        """Return in words why a worker ended."""
        return f"worker {name} ended: {self._epitaphs.get(name, 'killed, crashed or cut off')}"

    async def end_leases(self) -> None:
        """Remove the workers whose heartbeat is older than their lease, and say so."""
        lease_s = max(
            self._lease_s, HEARTBEATS_PER_LEASE_MIN * heartbeat_interval(len(self.workers))
        )
        since_look_s = time.monotonic() - self._looked_at
        self._looked_at = time.monotonic()
        self._follow_clock(since_look_s)
        if since_look_s > lease_s / 2:
            return  # This process itself was held up: heartbeats may wait unread.
        now = time.time()
        for worker in list(self.workers.values()):
            silent_s = now - worker.last_seen
            if silent_s > lease_s:
                reason = f"no sign of life for {silent_s:.1f} s"
                name = str(worker.name)
                remember(self._hung, name, reason)
                remember(self._epitaphs, name, reason)
                self.tell(WorkerHung(name=name, reason=reason))
                await self.remove_worker(worker.address, stimulus_id=f"lease-{now}")

    def _follow_clock(self, since_look_s: float) -> None:
        """Count no step forward of the clock as silence of a worker: heartbeats are dated by it."""
        by_clock_s, self._clocked_at = time.time() - self._clocked_at, time.time()
        if (stepped_s := by_clock_s - since_look_s) > STEP_S_MIN:
            for worker in self.workers.values():
                worker.last_seen += stepped_s

    def tell_roster(self) -> None:
        """Tell who is there."""
        self.tell(self.roster())

    def roster(self) -> Roster:
        """Return who is there."""
        present = {str(each.name): each.address for each in self.workers.values()}
        running = {str(each.name): each.address for each in self.running}
        return Roster(present=present, running=running)

    def tell(self, message: Message) -> None:
        """Tell the engine."""
        self.log_event(TOPIC, to_wire(message))


class Doorkeeper(SchedulerPlugin):
    """Has the roster told when a worker comes or goes; sees services off."""

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """See a worker come; it takes parts when its status says so."""
        assert isinstance(scheduler, PartScheduler)
        scheduler.tell_roster()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """See a worker go."""
        assert isinstance(scheduler, PartScheduler)
        scheduler.tell_roster()

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """See a service go, and tell it nothing more."""
        scheduler.unsubscribe_topic(TOPIC, client)


def peer_of(comm: Comm) -> str:
    """Return whose certificate the other side of a connection has shown."""
    certificate = comm.extra_info.get("peercert") or {}
    for kind, name in certificate.get("subjectAltName", ()):
        if kind == "URI" and name.startswith(NAMED):
            return unquote(name.removeprefix(NAMED))
    return ""


def stranger(worker_name: str, peer: str) -> str:
    """Return in words why a worker is not of the node that it names, empty when it is."""
    if node_of(worker_name) == peer:
        return ""
    return f"worker {worker_name} shows the certificate of {peer or 'nobody'}"


def remember(reasons: dict[str, str], name: str, reason: str) -> None:
    """Note the reason of a worker's end; the oldest is forgotten."""
    reasons[name] = reason
    if len(reasons) > EPITAPHS_MAX:
        del reasons[next(iter(reasons))]


def version_skew(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Return in words what differs between scheduler and worker, empty when nothing does."""
    return ", ".join(
        f"{name} {theirs.get(name, 'missing')} on the worker, {ours[name]} on the scheduler"
        for name in ours
        if theirs.get(name) != ours[name]
    )


async def serve(settings: SchedulerSettings, folder: Path) -> None:
    """Run a scheduler until it is told to end, or nobody wants it any more."""
    scheduler = PartScheduler(
        settings,
        host=settings.host,
        port=settings.port,
        protocol="tls",
        dashboard=False,
        local_directory=str(folder),
        extensions={},
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, scheduler.unwanted.set)
    async with scheduler:
        record = SchedulerRecord(
            address=scheduler.address, process=mark(os.getpid()), versions=own_versions()
        )
        write_record(folder / RECORD, record)
        await scheduler.unwanted.wait()


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write a file whole: who reads sees the old one or the new one."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def main(folder: Path) -> None:
    """Be the scheduler of a folder, unless there is one."""
    lock = (folder / LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another scheduler runs in this folder")
    settings = msgspec.json.decode((folder / SETTINGS).read_bytes(), type=SchedulerSettings)
    asyncio.run(serve(settings, folder))
    lock.close()


if __name__ == "__main__":
    dask_settings.apply()
    main(Path(sys.argv[1]))
