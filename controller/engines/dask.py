"""The Dask engine: carries parts to the workers of their nodes, and brings each one's end back.

It is a carrier only. Its scheduler is a process of its own, and everything that Dask could decide
is switched off (`controller.engines.dask_settings`). One thread of ours runs the event loop of the
client; whatever the engine knows lives in that loop (`controller.engines.carriage`).

An engine with a folder outlives its service: the scheduler goes on when the service is killed, and
the next engine in that folder attaches itself to it, with what ran or ended meanwhile.

A scheduler that ends or falls silent loses time and nothing else: its attempts are reported lost, a
new one starts at the same address, and the workers, which ended with the old one and were restarted
by their node, join it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client

from controller.authority import Authority
from controller.engines import dask_settings, launch
from controller.engines.carriage import Carriage, Superseded
from controller.engines.connection import (
    ON_LOOPBACK,
    RELOAD_S,
    DaskConnection,
    Listening,
    RenewableSecurity,
)
from controller.engines.endings import lost
from controller.engines.scheduler import LOOKS_PER_LEASE, SchedulerRecord, SchedulerSettings
from controller.errors import EngineError
from controller.ports import AttemptListing, PartWork, Report
from controller.processes import mark

LOOPBACK = "127.0.0.1"

EVERYWHERE = "0.0.0.0"
"""Listens at all addresses, and is none that can be called."""

RESTART_WINDOW_S = 600.0
"""Restarts of the scheduler are counted over this time [s]."""

CONNECT_S_MAX = 10.0
"""A scheduler that runs and does not answer for this long is killed [s]."""

ANSWER_S_MAX = 5.0
"""The engine's own thread answers at once; if not by then, it has ended [s]."""

CLOSE_S_MAX = 20.0
"""An engine that has not closed by then never will [s]; longer than its scheduler is given."""

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class DaskEngine:
    """Carries parts with Dask `distributed`; see `controller.ports.Engine`.

    Parameters
    ----------
    report : Report
        Is called in the engine's own thread, and must not block it.
    folder : Path, optional
        Where the scheduler is found again. With it, the scheduler outlives this object and this
        process, and whoever has the engine must `acknowledge` what was reported. Without, all ends
        with either.
    authority : Authority, optional
        Issues certificates; goes with the folder. By default one of the engine's own.
    lease_s : float
        A worker is given up when its heartbeat is older than this [s]. At least three heartbeats
        are waited for: 1.5 s with up to ten workers.
    orphan_s : float
        A worker that cannot reach the scheduler for this long ends [s]; so does a scheduler that
        outlives its service, when none comes.
    listening : Listening
        Where the scheduler is found.
    fragments : Path, optional
        Folder that fragments are put into which come with their receipts, from workers that do not
        see it. By default none are taken.
    restarts_max : int
        Restarts of the scheduler within ten minutes; one more is no accident, and the engine stops.
    on_hung : callable, optional
        Is told the name of a worker whose lease has ended, in the engine's thread; what hangs does
        not end itself, so its node must kill it (`ProcessNodes.kill_worker`).

    Attributes
    ----------
    connection : DaskConnection
        How workers join, from this machine or another.
    near : DaskConnection
        How workers on this machine join.
    fault : EngineError or None
        Why it carries no more.

    Raises
    ------
    EngineError
        The scheduler does not start.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that an engine may differ in
        self,
        report: Report,
        *,
        folder: Path | None = None,
        authority: Authority | None = None,
        lease_s: float = 30.0,
        orphan_s: float = 300.0,
        listening: Listening = ON_LOOPBACK,
        fragments: Path | None = None,
        restarts_max: int = 5,
        on_hung: Callable[[str], None] | None = None,
    ) -> None:
        # What befalls the client befalls attempts, and is reported of them.
        dask_settings.apply(logging.CRITICAL)
        self._report = report
        self._lease_s = lease_s
        self._orphan_s = orphan_s
        self._restarts_max = restarts_max
        self._on_hung = on_hung or (lambda _: None)
        self._fragments = str(fragments or "")
        self._outlives = folder is not None
        self._private = None if folder else tempfile.TemporaryDirectory(prefix="slackwater-engine-")
        self._folder = folder or Path(self._private.name if self._private else "")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority = authority or Authority(self._folder / "tls")
        self._security = RenewableSecurity(self._authority.credentials("service"))
        self._name = uuid.uuid4().hex
        self._host = listening.host
        self._reserved: socket.socket | None = None
        try:
            port = self._choose_port(listening.port)
        except EngineError:
            if self._private:
                self._private.cleanup()
            raise
        self.near = DaskConnection(
            address=f"tls://{listening.near}:{port}",
            credentials=self._authority.credentials("scheduler"),
            orphan_s=orphan_s,
            issue=self._authority.credentials,
            withdraw=self._authority.revoke,
        )
        self.connection = replace(self.near, address=f"tls://{listening.far}:{port}")
        self._carriage: Carriage | None = None
        self.fault: EngineError | None = None
        self._closing = asyncio.Event()
        self._ending = not self._outlives
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="dask-engine", daemon=True)
        self._thread.start()
        try:
            self._started.result()
        except EngineError:
            self.close()
            raise

    def submit(self, works: Sequence[PartWork]) -> None:
        """Send a batch of attempts on their way; those that are known already are left alone.

        Raises
        ------
        EngineError
            The scheduler ended too often, or another service has taken it over: the engine carries
            no more.
        """
        if self.fault:
            raise self.fault
        self._have_done(self._submit, tuple(works))

    def stop(self, part_id: str, attempt: int) -> None:
        """Forget an attempt; a part that runs already keeps its worker busy until it ends."""
        self._have_done(self._stop, part_id, attempt)

    def acknowledge(self, attempts: Iterable[tuple[str, int]]) -> None:
        """Note that the ends of these attempts are written down, and need not be told again."""
        self._have_done(self._acknowledge, tuple(attempts))

    def attempts(self) -> tuple[AttemptListing, ...]:
        """Return the attempts that are under way, or have ended and are not acknowledged."""
        return self._answer(lambda: self._carriage.attempts() if self._carriage else (), ())

    def workers(self) -> dict[str, int]:
        """Return how many workers of each node have joined; nodes without are left out."""
        return self._answer(lambda: self._carriage.workers() if self._carriage else {}, {})

    def close(self, *, end: bool | None = None) -> None:
        """Stop carrying; what was under way is not reported any more.

        Parameters
        ----------
        end : bool, optional
            End the scheduler, and all that runs on it. By default only one without a folder ends.
        """
        if end is not None:
            self._ending = end
        self._have_done(self._closing.set)
        self._thread.join(CLOSE_S_MAX)
        if self._reserved:
            self._reserved.close()
        if self._private:
            self._private.cleanup()

    def _choose_port(self, wanted: int) -> int:
        """Return where the scheduler is or will be, at best where workers look for it already.

        Raises
        ------
        EngineError
            The port that is wanted cannot be had, or the host is none of this machine.
        """
        before = launch.recorded(self._folder)
        last = launch.port_of(before.address) if before else 0
        if before and before.process.runs() and wanted in (0, last):
            return last
        try:
            self._reserved = launch.reserve_port(self._host, wanted or last)
        except OSError as error:
            if wanted or not last:
                raise EngineError(
                    f"the engine cannot listen at {self._host} port {wanted}: {error.strerror}",
                    fix="Give engine.host an address of this machine, engine.port a free port",
                ) from error
            self._reserved = launch.reserve_port(self._host)
        port: int = self._reserved.getsockname()[1]
        return port

    def _have_done(self, act: Callable[..., None], *given: object) -> None:
        """Have something done in the engine's own thread; nothing once that has ended."""
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(act, *given)

    def _answer(self, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return what the engine's own thread knows."""
        if not self._thread.is_alive():
            return otherwise
        answered: Future[Answer] = Future()
        self._have_done(lambda: answered.set_result(ask()))
        try:
            return answered.result(ANSWER_S_MAX)
        except TimeoutError:
            return otherwise

    def _submit(self, works: Sequence[PartWork]) -> None:
        if self._carriage:
            self._carriage.submit(works)
            return
        for work in works:
            reason = str(self.fault or "the scheduler is being restarted")
            self._report(lost(work.part_id, work.attempt, reason))

    def _stop(self, part_id: str, attempt: int) -> None:
        if self._carriage:
            self._carriage.stop(part_id, attempt)

    def _acknowledge(self, attempts: Sequence[tuple[str, int]]) -> None:
        if self._carriage:
            self._carriage.acknowledge(attempts)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                try:
                    runner.run(self._carry())
                except BaseException as error:
                    self._give_up(error)  # Before the loop closes: from then on nobody is told.
                    raise
        finally:
            if not self._started.done():
                ended = self.fault or EngineError("the engine's own thread has ended")
                self._started.set_exception(ended)

    def _give_up(self, error: BaseException) -> None:
        """Note that the engine carries no more, so that its service ends and another comes."""
        self._carriage = None
        self.fault = EngineError(
            f"the engine's own thread has ended: {type(error).__name__}: {error}",
            fix="Start the service again; if it comes back, tell us, with the log",
        )
        self.fault.retry = self._outlives
        _log.error("%s", self.fault)

    async def _carry(self) -> None:
        """Carry with one scheduler after the other, until closed or one too many has ended."""
        losses: deque[float] = deque(maxlen=self._restarts_max + 1)
        try:
            while not self._closing.is_set():
                try:
                    await self._carry_with_one()
                except Superseded as fault:
                    self._ending = False  # It is another's now.
                    raise EngineError(
                        str(fault), fix="Let one service run on this folder"
                    ) from fault
                except (EngineError, OSError) as loss:
                    losses.append(time.monotonic())
                    self._judge(loss, losses)
        except EngineError as fault:
            fault.retry = self._outlives  # The next service starts another engine.
            self.fault = fault
            if self._started.done():
                _log.error("%s", fault)
            else:
                self._started.set_exception(fault)
            await self._closing.wait()  # Until then, what was submitted just now is reported lost.

    def _judge(self, loss: Exception, losses: Sequence[float]) -> None:
        """Decide after the loss of a scheduler whether there is another one; raise when not."""
        if not self._started.done() and not self._outlives:
            raise EngineError(f"the engine cannot start: {loss}") from loss
        if len(losses) > self._restarts_max and losses[-1] - losses[0] < RESTART_WINDOW_S:
            raise EngineError(
                f"the engine's scheduler ended {len(losses)} times, the last time: {loss}",
                fix="See why its process is ended (memory?), then start again",
            ) from loss

    async def _carry_with_one(self) -> None:
        """Carry with one scheduler until the engine closes; raise when the scheduler is lost."""
        record = await self._scheduler()
        keeps = True
        try:
            async with self._client() as client:
                carriage = Carriage(client, self._report, self._on_hung)
                if self._outlives:
                    await carriage.attach(self._name, self._lease_s, self._orphan_s)
                self._carriage = carriage
                if not self._started.done():
                    self._started.set_result(None)
                loss = await self._end_of(record, carriage)
                self._carriage = None
                if loss is None:
                    await carriage.settle()
                carriage.close(str(loss) if loss else None)
                if loss is not None:
                    raise loss  # Raised here, for then the client does not wait for it.
        except Superseded:
            raise
        except (EngineError, OSError):
            # It is gone, silent or not to be reached: whatever is left of it must not stay.
            keeps = False
            raise
        finally:
            if self._ending or not keeps:
                await launch.end(record.process)

    async def _scheduler(self) -> SchedulerRecord:
        """Return the scheduler of the folder, started if none runs there."""
        port = launch.port_of(self.near.address)
        if self._outlives:
            record = await launch.standing_scheduler(self._folder, self._host, port)
            if record is not None:
                return record
        if self._reserved is None:
            self._reserved = launch.reserve_port(self._host, port)
        settings = SchedulerSettings(
            host=self._host,
            port=port,
            credentials=self._authority.credentials("scheduler"),
            lease_s=self._lease_s,
            orphan_s=self._orphan_s,
            fragments=self._fragments,
            owner=None if self._outlives else mark(os.getpid()),
        )
        return await launch.start(settings, self._folder)

    def _client(self) -> Client:
        return Client(
            self.near.address,
            security=self._security,
            asynchronous=True,
            set_as_default=False,
            timeout=CONNECT_S_MAX,
        )

    async def _end_of(self, record: SchedulerRecord, carriage: Carriage) -> Exception | None:
        """Wait until the engine closes (None), or its scheduler is lost to it, and how."""
        ends: list[Coroutine[Any, Any, Exception | None]] = [
            self._closed(),
            superseded(carriage),
            exited(record),
            fell_silent(carriage, self._lease_s),
            self._renew(),
        ]
        tasks = [asyncio.create_task(end) for end in ends]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return min(done, key=tasks.index).result()

    async def _closed(self) -> None:
        await self._closing.wait()

    async def _renew(self) -> None:
        """Keep the certificates of service and scheduler good; a scheduler reads its own again."""
        while True:
            await asyncio.sleep(RELOAD_S)
            try:
                for name in ("service", "scheduler"):
                    self._authority.credentials(name)
                self._security.reload()
            except OSError as error:  # There is a month to mend it.
                _log.warning("certificates are not renewed: %s", error)


async def exited(record: SchedulerRecord) -> EngineError:
    """Wait for the scheduler's end and tell it in words."""
    await launch.gone(record.process)
    return EngineError("the scheduler ended")


async def superseded(carriage: Carriage) -> Superseded:
    """Wait until another service takes the scheduler over."""
    await carriage.taken_over.wait()
    return Superseded("another service has taken the engine over")


async def fell_silent(carriage: Carriage, lease_s: float) -> EngineError:
    """Wait until nothing is heard of the scheduler for the time of a lease; tell it in words."""
    silent_looks = 0
    while silent_looks < LOOKS_PER_LEASE:
        # Looks are counted, not seconds: when this process was held up, the scheduler was not.
        await asyncio.sleep(lease_s / LOOKS_PER_LEASE)
        silent_looks = 0 if carriage.heard() else silent_looks + 1
    return EngineError(f"the scheduler was not heard for {lease_s:.0f} s")
