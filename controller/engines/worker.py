"""The worker process: one thread that runs parts, one that keeps in touch with the scheduler.

It ends when it is told to (SIGTERM: the running part may end first), when its scheduler is gone,
when a part outruns its limit, and when it could not join. Whoever started it starts the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distributed import Status, Worker
from distributed.comm.addressing import get_address_host
from distributed.utils import get_ip
from tornado.ioloop import PeriodicCallback

from controller.engines import dask_settings
from controller.engines.connection import RELOAD_S, RenewableSecurity
from controller.engines.messages import TOPIC, WorkerEnding, to_wire
from controller.engines.scheduler import own_versions
from controller.errors import EngineError

if TYPE_CHECKING:
    from controller.engines.connection import DaskConnection

FAREWELL_S_MAX = 1.0
"""Time to say why the worker ends [s]; the scheduler notices its end anyway."""

LEAVE_POLL_S = 0.02
"""Pause between two looks whether the last part has ended [s]."""


PROBE_S_MAX = 10.0
"""A scheduler that says nothing for so long is busy, or away [s]; it is no stranger."""


async def refuse_strangers(connection: DaskConnection, security: RenewableSecurity) -> None:
    """See whether scheduler and worker believe each other, as far as the scheduler answers.

    Dask would try again and again, and tell only that nobody could be reached.

    Raises
    ------
    EngineError
        One of the two does not believe the other's certificate.
    """
    where = urlsplit(connection.address)
    context = security.get_connection_args("worker")["ssl_context"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PROBE_S_MAX):
            try:
                reader, writer = await asyncio.open_connection(
                    where.hostname, where.port, ssl=context
                )
                try:
                    await reader.read(1)  # In TLS 1.3 the other side judges last.
                finally:
                    writer.close()
            except ssl.SSLError as error:
                raise EngineError(
                    f"{connection.address} and the credentials in {connection.credentials.own} "
                    f"do not go together: {error.reason or error}",
                    fix="Its node ends; new ones are given new credentials",
                ) from error
            except OSError:
                pass  # It is out of reach, so far.


class PartWorker(Worker):
    """Dask's worker without a web server, that ends when a part outruns its limit."""

    def start_http_server(self, *args: Any, **settings: Any) -> None:
        """Start none: the only port is the one behind TLS."""

    async def close(self, *, reason: str = "worker-close", **_: Any) -> str | None:  # type: ignore[override]
        """Close without waiting for a running part: whoever closes a busy worker gives it up."""
        return await super().close(
            timeout=FAREWELL_S_MAX, executor_wait=False, nanny=False, reason=reason
        )

    async def leave(self) -> None:
        """Take no more parts, let the running one end and its receipt be fetched, then close."""
        self.status = Status.closing_gracefully
        while self.state.executing_count or self.data:
            await asyncio.sleep(LEAVE_POLL_S)
        await self.close(reason="told to end")

    async def give_up(self) -> None:
        """Tell that the running part has outrun its limit, and end this process under it."""
        farewell = WorkerEnding(name=str(self.name), reason="a part outran its limit")
        self.log_event(TOPIC, to_wire(farewell))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.batched_stream.close(), FAREWELL_S_MAX)
        os.kill(os.getpid(), signal.SIGKILL)


def work(connection: DaskConnection, worker_name: str, folder: Path) -> None:
    """Work until told to end; see `DaskConnection.join`."""
    dask_settings.apply()
    asyncio.run(_work(connection, worker_name, folder))


async def _work(connection: DaskConnection, worker_name: str, folder: Path) -> None:
    security = _security(connection, worker_name)
    worker = PartWorker(
        connection.address,
        name=worker_name,
        # On the one interface that the scheduler reaches, not on all of them.
        host=get_ip(get_address_host(connection.address)),
        nthreads=1,
        memory_limit=0,
        extensions={},
        local_directory=str(folder),
        security=security,
        death_timeout=connection.orphan_s,
        startup_information={"slackwater_versions": lambda _: own_versions()},
    )
    worker.periodic_callbacks["renew"] = PeriodicCallback(security.reload, RELOAD_S * 1000)
    joining = asyncio.ensure_future(_join(worker, connection, security))
    tasks: set[asyncio.Task[None]] = set()  # The loop itself holds its tasks only weakly.

    def end() -> None:
        if joining.done():
            tasks.add(asyncio.create_task(worker.leave()))
        else:
            joining.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(
        signal.SIGALRM, lambda: tasks.add(asyncio.create_task(worker.give_up()))
    )
    with contextlib.suppress(asyncio.CancelledError):
        await joining
        await worker.finished()  # type: ignore[no-untyped-call]


def _security(connection: DaskConnection, worker_name: str) -> RenewableSecurity:
    own = connection.credentials.own
    security = RenewableSecurity(connection.credentials)
    try:
        security.get_listen_args("worker")
    except OSError as error:  # Of which the faults of certificates are, too.
        raise EngineError(
            f"worker {worker_name} has no good credentials in {own}: {error}",
            fix="Its node ends; new ones are given new credentials",
        ) from error
    return security


async def _join(
    worker: PartWorker, connection: DaskConnection, security: RenewableSecurity
) -> None:
    await refuse_strangers(connection, security)
    try:
        await worker
    except TimeoutError as error:
        await refuse_strangers(connection, security)
        fault = EngineError(
            f"worker {worker.name} could not reach {connection.address} "
            f"for {connection.orphan_s:.0f} s",
            fix="Its node ends; new ones are made when the engine is back",
        )
        fault.retry = True  # Nobody has refused it.
        raise fault from error
    except RuntimeError as error:
        raise EngineError(f"worker {worker.name} may not join: {error.__cause__}") from error
