"""One HTTP request to an address that was judged, within a time that nothing can stretch.

httpcore speaks HTTP and TLS; we open the connection. The certificate is checked against the name
in the URL, though the connection goes to an address. No pool outlives its request, so no later
request rides on a connection that was judged for an earlier one.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpcore

from controller.notify.guard import Target

BODY_BYTES_MAX = 4096
"""Of an answer, read so that the receiver sees a tidy end; what it says is not used."""

BODY_S_MAX = 1.0
"""The status is known by then: nobody waits longer for the rest [s]."""


class Allowance:
    """How long one attempt may take in all, and the means to end it at once.

    A limit for each read would let a receiver that sends a byte now and then hold us for ever.

    Parameters
    ----------
    limit_s : float
        From now [s].
    clock : callable
        Monotonic [s].
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + limit_s
        self._lock = threading.Lock()
        self._held: socket.socket | None = None
        self.is_cancelled = False

    @property
    def left_s(self) -> float:
        """What is left [s], never negative."""
        return max(0.0, self._ends_at - self._clock())

    def shorten(self, limit_s: float) -> None:
        """Leave at most this long from now [s]."""
        self._ends_at = min(self._ends_at, self._clock() + limit_s)

    def hold(self, sock: socket.socket | None) -> None:
        """Name the socket that is to be cut off if this is cancelled."""
        with self._lock:
            self._held = sock
            if self.is_cancelled:
                self._cut()

    def cancel(self) -> None:
        """End the attempt now, from any thread."""
        with self._lock:
            self.is_cancelled = True
            self._cut()

    def _cut(self) -> None:
        if self._held is not None:
            with suppress(OSError):
                self._held.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver answered, as far as it matters.

    Parameters
    ----------
    status : int
    location, retry_after : str
        Headers; empty where they are not there.
    """

    status: int
    location: str = ""
    retry_after: str = ""


def post(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    allowance: Allowance,
    tls: ssl.SSLContext,
) -> Answer:
    """Send one POST to a judged target and return its answer.

    Raises
    ------
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError
        There was none, within the time allowed.
    """
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        target=target.path,
    )
    sent = {"Host": target.netloc, "Connection": "close", **headers}
    dial = _Dial(target.addresses, allowance)
    with (
        httpcore.ConnectionPool(ssl_context=tls, network_backend=dial, max_connections=1) as pool,
        pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
    ):
        found = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        allowance.shorten(BODY_S_MAX)
        with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            _drain(response.iter_stream())
    return Answer(
        status=response.status,
        location=found.get(b"location", ""),
        retry_after=found.get(b"retry-after", ""),
    )


def _drain(chunks: Iterable[bytes]) -> None:
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes >= BODY_BYTES_MAX:
            return


class _Dial(httpcore.NetworkBackend):
    """Connects to the addresses that were judged, whatever the name may mean by now."""

    def __init__(self, addresses: tuple[str, ...], allowance: Allowance) -> None:
        self._addresses = addresses
        self._allowance = allowance
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; each gets its share of the time left."""
        waiting = len(self._addresses)
        for address in self._addresses:
            share_s = _some(self._allowance.left_s / waiting, httpcore.ConnectTimeout)
            waiting -= 1
            try:
                return self._to(address, port, share_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not waiting or self._allowance.is_cancelled:
                    raise
        raise httpcore.ConnectError("no address")

    def _to(self, address: str, port: int, limit_s: float) -> httpcore.NetworkStream:
        stream = self._system.connect_tcp(address, port, timeout=limit_s)
        return _Stream(stream, self._allowance)


class _Stream(httpcore.NetworkStream):
    """A connection whose every step has only what is left of the whole time."""

    def __init__(self, stream: httpcore.NetworkStream, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance
        allowance.hold(stream.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return self._stream.read(max_bytes, _some(self._allowance.left_s, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, _some(self._allowance.left_s, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._allowance.hold(None)
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Speak TLS from here on, with a peer that proves to be the named host."""
        limit_s = _some(self._allowance.left_s, httpcore.ConnectTimeout)
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, limit_s), self._allowance
        )

    def get_extra_info(self, info: str) -> object:
        """Return what the connection knows of itself."""
        return self._stream.get_extra_info(info)


def _some(left_s: float, timeout: type[httpcore.TimeoutException]) -> float:
    """Return the time left, which no socket takes for zero."""
    if left_s <= 0.0:
        raise timeout("the time allowed is over")
    return left_s
