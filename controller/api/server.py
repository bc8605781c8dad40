"""Runs the API in a thread of its own, beside the loop that decides."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import anyio.to_thread
import h11
import psutil
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.api.gate import REQUESTS_MAX
from controller.api.tls import Certificate
from controller.errors import ApiError

START_S_MAX = 30.0
"""A server that does not listen by then never will [s]."""

CLOSE_S_MAX = 5.0
"""Requests under way may take so long to end [s]."""

READ_S_MAX = 30.0
"""A request that has not come whole after this time [s] is cut off: at 8 MB, below 2.2 Mbit/s."""

WRITE_S_MAX = 30.0
"""A client that takes nothing more of its answer for this time [s] is cut off."""

CONNECTIONS_BESIDE = 64
"""Connections beyond those that are served, of clients that wait, or are told to come back."""

THREADS_MAX = 4
"""Threads that read the store for clients: each more competes with the loop for the interpreter."""


@contextmanager
def running_api(
    app: FastAPI,
    listening: socket.socket,
    clients_max: int,
    *,
    certificate: Certificate | None = None,
    read_s_max: float = READ_S_MAX,
    write_s_max: float = WRITE_S_MAX,
) -> Iterator[str]:
    """Serve an API inside the block; yields its URL.

    Parameters
    ----------
    app : FastAPI
    listening : socket.socket
        Closed at the end, see `listener`.
    clients_max : int
        Clients that are served at the same time; some more may connect.
    certificate : Certificate, optional
        Shown to clients; without one it speaks HTTP.
    read_s_max, write_s_max : float
        A client that sends or takes nothing for so long is cut off [s].
    """
    patience = {
        "connections_max": clients_max + CONNECTIONS_BESIDE,
        "read_s_max": read_s_max,
        "write_s_max": write_s_max,
    }
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=type("_Patience", (Patience,), patience),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(CLOSE_S_MAX),
            lifespan="off",
        )
    )

    async def serve() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS_MAX
        if certificate is None:
            await server.serve([listening])
            return
        server.config.load()
        server.config.ssl = certificate.context
        renewing = asyncio.create_task(certificate.keep_new())
        try:
            await server.serve([listening])
        finally:
            renewing.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="api", daemon=True)
    thread.start()
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"{'https' if certificate else 'http'}://{shown}:{port}"
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)
        listening.close()


class Patience(H11Protocol):
    """Cuts off clients that neither send nor take: their connection, buffers and all."""

    connections_max = REQUESTS_MAX + CONNECTIONS_BESIDE
    read_s_max, write_s_max = READ_S_MAX, WRITE_S_MAX

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.abort()
            return
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take in what came; a request must come whole in time."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._await_request()
        elif self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was written."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.write_s_max, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()

    def _await_request(self) -> None:
        if self._reading is None:
            self._reading = self.loop.call_later(self.read_s_max, self._cut_off)

    def _cut_off(self) -> None:
        self._reading = None
        # Between two requests the connection is kept for a while, as long as nothing comes.
        if self.timeout_keep_alive_task is None:
            self.transport.abort()


LOOPBACK_NAMES = frozenset(("127.0.0.1", "::1", "localhost"))
"""What this machine may call itself."""


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_ANY_FIX = "Set service.host and service.port to an address of this machine"

_FIXES = {
    errno.EADDRINUSE: "End what listens there, or set service.port to another; 0 takes a free one",
    errno.EACCES: "Ports below 1024 are for root: set service.port to another",
    errno.EADDRNOTAVAIL: "service.host is no address of this machine: set it to one, or 0.0.0.0",
}
"""What to do when an address cannot be listened on."""


def _taken_by(port: int, error: OSError) -> str:
    """Say which program listens on a port, as far as this user may know."""
    if error.errno != errno.EADDRINUSE:
        return ""
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            listens = each.status == psutil.CONN_LISTEN and each.laddr[1:2] == (port,)
            if listens and each.pid:
                return f" by {psutil.Process(each.pid).name()}, process {each.pid}"
    return ""


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens: who connects is served once there is a server behind it.

    Raises
    ------
    ApiError
        The address is taken, or none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ApiError(
            f"cannot listen on {host} port {port}: {error.strerror}{_taken_by(port, error)}",
            fix=_FIXES.get(error.errno or 0, _ANY_FIX),
        ) from error
    listening.listen()
    return listening
