"""A line to a server that breaks off, or goes dead, after a number of bytes sent over it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_BLOCK_BYTES = 4096
_RESET = struct.pack("ii", 1, 0)  # linger for no time: whoever holds the other end sees a reset


class Proxy:
    """Passes bytes on to a server of this machine.

    Parameters
    ----------
    port : int
        The server's.
    bytes_max : int or None
        Sent by clients [bytes], over all connections, before the line fails.
    stalls : bool
        Then nothing moves any more; else all connections break, and new ones at once.
    """

    def __init__(self, port: int, bytes_max: int | None = None, *, stalls: bool = False) -> None:
        self._server = ("127.0.0.1", port)
        self._bytes_max = bytes_max
        self._stalls = stalls
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ends: list[socket.socket] = []
        self.sent_bytes = 0
        self.has_failed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    self._ends.append(near)
                if self.has_failed.is_set():
                    if not self._stalls:
                        self._break()
                    continue
                far = socket.create_connection(self._server)
                with self._lock:
                    self._ends.append(far)
                for ends, counts in (((near, far), True), ((far, near), False)):
                    threading.Thread(
                        target=self._pass_on, args=(*ends, counts), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                if counts:
                    block = self._let_through(block)
                if block:
                    target.sendall(block)
                if self.has_failed.is_set():
                    if self._stalls:
                        self._ended.wait()
                    self._break()
                    return
            target.shutdown(socket.SHUT_WR)

    def _let_through(self, block: bytes) -> bytes:
        with self._lock:
            if self._bytes_max is not None:
                block = block[: max(0, self._bytes_max - self.sent_bytes)]
            self.sent_bytes += len(block)
            if self.sent_bytes == self._bytes_max:
                self.has_failed.set()
        return block

    def _break(self) -> None:
        with self._lock:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._ends.clear()
