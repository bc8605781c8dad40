"""The scheduler process: Dask's scheduler, with leases and a roster that its engine can hear.

It speaks to the engine that started it through two pipes: the engine writes one line of settings to
its standard input and one line of answer comes back on standard output; the scheduler ends at the
engine's second line, or when that pipe closes because the engine is gone. All else goes over TLS.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import msgspec
from distributed import Scheduler
from distributed.comm.core import Comm
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import heartbeat_interval
from distributed.versions import get_versions
from tornado.ioloop import PeriodicCallback

from controller.build import VERSION
from controller.engines import dask_settings
from controller.engines.connection import security_of
from controller.engines.messages import TOPIC, Message, Roster, WorkerHung, to_wire

LOOKS_PER_LEASE = 8
"""Leases are looked at so often in their time: a hung worker is told at most 12 % late."""

LOOK_S_MAX = 1.0
"""Leases are looked at, and the roster is told, at least this often [s]."""

HEARTBEATS_PER_LEASE_MIN = 3
"""A lease outlives this many heartbeats, however many workers there are and so however rare they
are: one that is late is no sign of death."""

SAME_VERSIONS = ("python", "dask", "distributed", "cloudpickle", "msgpack", "slackwater")
"""What must be the same on both sides, for they exchange pickles."""


class SchedulerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine tells its scheduler, on standard input."""

    host: str
    port: int
    certificate: str
    key: str
    lease_s: float
    folder: str


def own_versions() -> dict[str, str]:
    """Return the versions that a worker must share with its scheduler."""
    installed = get_versions()["packages"] | {"slackwater": VERSION}
    return {name: str(installed[name]) for name in SAME_VERSIONS}


class PartScheduler(Scheduler):
    """Dask's scheduler that refuses another version's workers and ends the lease of silent ones."""

    def __init__(self, *, lease_s: float, **settings: Any) -> None:
        super().__init__(plugins=[Doorkeeper()], **settings)
        self._lease_s = lease_s
        self._looked_at = time.monotonic()
        look_s = min(LOOK_S_MAX, lease_s / LOOKS_PER_LEASE)
        self.periodic_callbacks["look"] = PeriodicCallback(self.look, look_s * 1000)

    def start_http_server(self, *args: Any, **settings: Any) -> None:
        """Start none: the only port is the one behind TLS."""

    async def add_worker(self, comm: Comm, *, extra: dict[str, Any], **worker: Any) -> None:
        """Let a worker in, if it runs what we run."""
        skew = version_skew(own_versions(), extra.get("slackwater_versions") or {})
        if skew:
            refusal = {"status": "error", "message": f"version skew: {skew}", "time": time.time()}
            await comm.write(refusal)
            return
        await super().add_worker(comm, extra=extra, **worker)

    def handle_worker_status_change(self, *args: Any, **settings: Any) -> None:
        """Tell that a worker takes parts from now on, or takes no more."""
        super().handle_worker_status_change(*args, **settings)
        self.tell_roster()

    async def look(self) -> None:
        """Look after the leases, and tell who is there."""
        await self.end_leases()
        self.tell_roster()

    async def end_leases(self) -> None:
        """Remove the workers whose heartbeat is older than their lease, and say so."""
        lease_s = max(
            self._lease_s, HEARTBEATS_PER_LEASE_MIN * heartbeat_interval(len(self.workers))
        )
        since_look_s = time.monotonic() - self._looked_at
        self._looked_at = time.monotonic()
        if since_look_s > lease_s / 2:
            return  # This process itself was held up: heartbeats may wait unread.
        now = time.time()
        for worker in list(self.workers.values()):
            silent_s = now - worker.last_seen
            if silent_s > lease_s:
                reason = f"no sign of life for {silent_s:.1f} s"
                self.tell(WorkerHung(name=str(worker.name), reason=reason))
                await self.remove_worker(worker.address, stimulus_id=f"lease-{now}")

    def tell_roster(self) -> None:
        """Tell who is there."""
        present = {str(each.name): each.address for each in self.workers.values()}
        running = {str(each.name): each.address for each in self.running}
        self.tell(Roster(present=present, running=running))

    def tell(self, message: Message) -> None:
        """Tell the engine."""
        self.log_event(TOPIC, to_wire(message))


class Doorkeeper(SchedulerPlugin):
    """Has the roster told when a worker comes or goes."""

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """See a worker come; it takes parts when its status says so."""
        assert isinstance(scheduler, PartScheduler)
        scheduler.tell_roster()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """See a worker go."""
        assert isinstance(scheduler, PartScheduler)
        scheduler.tell_roster()


def version_skew(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Return in words what differs between scheduler and worker, empty when nothing does."""
    return ", ".join(
        f"{name} {theirs.get(name, 'missing')} on the worker, {ours[name]} on the scheduler"
        for name in ours
        if theirs.get(name) != ours[name]
    )


async def serve(settings: SchedulerSettings, until: asyncio.StreamReader) -> None:
    """Run a scheduler until the engine says another line, or is gone and the pipe closes."""
    scheduler = PartScheduler(
        lease_s=settings.lease_s,
        host=settings.host,
        port=settings.port,
        protocol="tls",
        security=security_of(settings.certificate, settings.key),
        dashboard=False,
        local_directory=settings.folder,
        extensions={},
    )
    async with scheduler:
        print(scheduler.address, flush=True)  # noqa: T201
        await until.readline()


async def _main() -> None:
    until = asyncio.StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(until), sys.stdin)
    settings = msgspec.json.decode(await until.readline(), type=SchedulerSettings)
    await serve(settings, until)


if __name__ == "__main__":
    dask_settings.apply()
    asyncio.run(_main())
