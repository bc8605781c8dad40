"""The Dask engine: carries parts to the workers of their nodes, and brings each one's end back.

It is a carrier only. Its scheduler is a process of its own, and everything that Dask could decide
is switched off (`controller.engines.dask_settings`). One thread of ours runs the event loop of the
client; whatever the engine knows lives in that loop (`controller.engines.carriage`).

A scheduler that ends or falls silent loses time and nothing else: its attempts are reported lost, a
new one starts at the same address, and the workers, which ended with the old one and were restarted
by their node, join it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from distributed import Client

from controller.engines import dask_settings
from controller.engines.carriage import Carriage, lost
from controller.engines.connection import DaskConnection, new_key_pair, security_of
from controller.engines.launch import reserve_port, running_scheduler
from controller.engines.scheduler import LOOKS_PER_LEASE, SchedulerSettings
from controller.errors import EngineError
from controller.ports import PartWork, Report

HOST = "127.0.0.1"
"""The scheduler listens here; nodes on other machines come with the cloud providers."""

RESTART_WINDOW_S = 600.0
"""Restarts of the scheduler are counted over this time [s]."""

CLOSE_S_MAX = 15.0
"""An engine that has not closed by then never will [s]; longer than its scheduler is given."""

_log = logging.getLogger(__name__)


class DaskEngine:
    """Carries parts with Dask `distributed`; see `controller.ports.Engine`.

    Parameters
    ----------
    report : Report
        Is called in the engine's own thread, and must not block it.
    lease_s : float
        A worker is given up when its heartbeat is older than this [s]. At least three heartbeats
        are waited for: 1.5 s with up to ten workers.
    orphan_s : float
        A worker that cannot reach the scheduler for this long ends [s].
    restarts_max : int
        Restarts of the scheduler within ten minutes; one more is no accident, and the engine stops.
    on_hung : callable, optional
        Is told the name of a worker whose lease has ended, in the engine's thread; what hangs does
        not end itself, so its node must kill it (`ProcessNodes.kill_worker`).

    Raises
    ------
    EngineError
        The scheduler does not start.
    """

    def __init__(
        self,
        report: Report,
        *,
        lease_s: float = 30.0,
        orphan_s: float = 300.0,
        restarts_max: int = 5,
        on_hung: Callable[[str], None] | None = None,
    ) -> None:
        # What befalls the client befalls attempts, and is reported of them.
        dask_settings.apply(logging.CRITICAL)
        self._report = report
        self._lease_s = lease_s
        self._restarts_max = restarts_max
        self._on_hung = on_hung or (lambda _: None)
        self._folder = tempfile.TemporaryDirectory(prefix="slackwater-engine-")
        self._port = reserve_port(HOST)
        certificate, key = new_key_pair()
        self.connection = DaskConnection(
            address=f"tls://{HOST}:{self._port.getsockname()[1]}",
            certificate=certificate,
            key=key,
            orphan_s=orphan_s,
        )
        self._carriage: Carriage | None = None
        self._fault: EngineError | None = None
        self._closing = asyncio.Event()
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
        """Send a batch of attempts on their way.

        Raises
        ------
        EngineError
            The scheduler ended too often, and the engine carries no more.
        """
        if self._fault:
            raise self._fault
        self._have_done(self._submit, tuple(works))

    def stop(self, part_id: str, attempt: int) -> None:
        """Forget an attempt; a part that runs already keeps its worker busy until it ends."""
        self._have_done(self._stop, part_id, attempt)

    def close(self) -> None:
        """Stop carrying and end the scheduler; what was under way is not reported any more."""
        self._have_done(self._closing.set)
        self._thread.join(CLOSE_S_MAX)
        self._port.close()
        self._folder.cleanup()

    def _have_done(self, act: Callable[..., None], *given: object) -> None:
        """Have something done in the engine's own thread; nothing once that has ended."""
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(act, *given)

    def _submit(self, works: Sequence[PartWork]) -> None:
        if self._carriage:
            self._carriage.submit(works)
            return
        for work in works:
            reason = str(self._fault or "the scheduler is being restarted")
            self._report(lost(work.part_id, work.attempt, reason))

    def _stop(self, part_id: str, attempt: int) -> None:
        if self._carriage:
            self._carriage.stop(part_id, attempt)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._carry())

    async def _carry(self) -> None:
        """Carry with one scheduler after the other, until closed or one too many has ended."""
        losses: deque[float] = deque(maxlen=self._restarts_max + 1)
        try:
            while not self._closing.is_set():
                try:
                    await self._carry_with_one()
                except (EngineError, OSError) as loss:
                    losses.append(time.monotonic())
                    self._judge(loss, losses)
        except EngineError as fault:
            self._fault = fault
            if self._started.done():
                _log.error("%s", fault)
            else:
                self._started.set_exception(fault)
            await self._closing.wait()  # Until then, what was submitted just now is reported lost.

    def _judge(self, loss: Exception, losses: Sequence[float]) -> None:
        """Decide after the loss of a scheduler whether there is another one; raise when not."""
        if not self._started.done():
            raise EngineError(f"the engine cannot start: {loss}") from loss
        if len(losses) > self._restarts_max and losses[-1] - losses[0] < RESTART_WINDOW_S:
            raise EngineError(
                f"the engine's scheduler ended {len(losses)} times, the last time: {loss}",
                fix="See why its process is ended (memory?), then start again",
            ) from loss

    async def _carry_with_one(self) -> None:
        """Carry with one scheduler until the engine closes; raise when the scheduler is lost."""
        async with self._scheduler() as process, self._client() as client:
            carriage = Carriage(client, self._report, self._on_hung)
            self._carriage = carriage
            if not self._started.done():
                self._started.set_result(None)
            loss = await self._end_of(process, carriage)
            self._carriage = None
            carriage.close(loss)
            if loss is not None:
                raise EngineError(loss)  # Raised here, for then the client does not wait for it.

    def _scheduler(self) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        settings = SchedulerSettings(
            host=HOST,
            port=self._port.getsockname()[1],
            certificate=self.connection.certificate,
            key=self.connection.key,
            lease_s=self._lease_s,
            folder=self._folder.name,
        )
        return running_scheduler(settings, Path(self._folder.name, "scheduler.log"))

    def _client(self) -> Client:
        return Client(
            self.connection.address,
            security=security_of(self.connection.certificate, self.connection.key),
            asynchronous=True,
            set_as_default=False,
        )

    async def _end_of(self, process: asyncio.subprocess.Process, carriage: Carriage) -> str | None:
        """Wait until the engine closes (None), or its scheduler ends or falls silent (in words)."""
        ends = [self._closed(), exited(process), fell_silent(carriage, self._lease_s)]
        tasks = [asyncio.create_task(end) for end in ends]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        loss = min(done, key=tasks.index).result()
        if loss is not None and process.returncode is None:
            process.kill()
        return loss

    async def _closed(self) -> None:
        await self._closing.wait()


async def exited(process: asyncio.subprocess.Process) -> str:
    """Wait for the scheduler's end and tell it in words."""
    return f"the scheduler ended with exit code {await process.wait()}"


async def fell_silent(carriage: Carriage, lease_s: float) -> str:
    """Wait until nothing is heard of the scheduler for the time of a lease; tell it in words."""
    silent_looks = 0
    while silent_looks < LOOKS_PER_LEASE:
        # Looks are counted, not seconds: when this process was held up, the scheduler was not.
        await asyncio.sleep(lease_s / LOOKS_PER_LEASE)
        silent_looks = 0 if carriage.heard() else silent_looks + 1
    return f"the scheduler was not heard for {lease_s:.0f} s"
