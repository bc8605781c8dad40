"""A server between a client and the API server that makes chosen requests go wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

ANSWER_S_MAX = 120.0

OF_A_CONNECTION = frozenset(("connection", "content-length", "keep-alive", "transfer-encoding"))
"""Headers that say how an answer comes, not what it is."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next requests of a kind.

    Parameters
    ----------
    method, path : str
        Which requests: of this method, with this in their path.
    times : int
        How many of them.
    status : int
        What is answered; 0 breaks the connection.
    after_s : int
        What the answer says in Retry-After; 0 says nothing.
    done : bool
        The API server gets the request all the same, and does it.
    delay_s : float
        The request is answered as it should, but so late.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    after_s: int = 0
    done: bool = False
    delay_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class FaultyApi:
    """The server, and what goes wrong next.

    What an answer names that is `renamed` gets its other name: an address that stands in front.
    """

    port: int
    faults: list[Fault] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)
    asking: list[http.client.HTTPConnection] = field(default_factory=list)
    renamed: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with a request, if anything."""
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and fault.path in path:
                fault.times -= 1
                self.met.append(f"{method} {path}")
                return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, or makes it fail."""

    protocol_version = "HTTP/1.1"
    api: FaultyApi
    target: SplitResult

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.api.of(self.command, self.path)
        if fault is None:
            self._forward(body)
        elif fault.delay_s:
            self.api.ending.wait(fault.delay_s)
            self._forward(body)
        else:
            if fault.done:
                asking, answer = self._ask(body)
                answer.read()
                asking.close()
            self._fail(fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def _ask(self, body: bytes) -> tuple[http.client.HTTPConnection, Any]:
        asking = connection(self.target)
        headers = {key: each for key, each in self.headers.items() if key != "Host"}
        self.api.asking.append(asking)
        asking.request(self.command, self.path, body or None, headers)
        return asking, asking.getresponse()

    def _forward(self, body: bytes) -> None:
        try:
            asking, answer = self._ask(body)
        except OSError:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in OF_A_CONNECTION:
                self.send_header(name, value)
        if self._is_bare(answer.status):
            self.end_headers()
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._pass_on(answer)
        answer.close()
        asking.close()

    def _is_bare(self, status: int) -> bool:
        return status in (204, 304) or self.command == "HEAD"

    def _pass_on(self, answer: Any) -> None:
        try:
            while piece := answer.read() if self.api.renamed else answer.read1(65536):
                for name, other in self.api.renamed.items():
                    piece = piece.replace(name, other)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, ValueError, http.client.HTTPException):
            self.close_connection = True

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if not fault.status:
            return
        told = json.dumps({"kind": "Status", "code": fault.status, "message": "made to fail"})
        self.send_response(fault.status)
        if fault.after_s:
            self.send_header("Retry-After", str(fault.after_s))
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())


def connection(target: SplitResult) -> http.client.HTTPConnection:
    """Return a connection to the API itself."""
    host, port = target.hostname or "", target.port
    if target.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=ANSWER_S_MAX)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=ANSWER_S_MAX, context=context)


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: connections break here on purpose."""


@contextmanager
def faulty_api(server: str, faults: list[Fault] | None = None) -> Iterator[FaultyApi]:
    """Stand before an API server for as long as the block lasts; several may share their faults."""
    api = FaultyApi(port=0, faults=[] if faults is None else faults)
    handler = type("Here", (Handler,), {"api": api, "target": urlsplit(server)})
    with Server(("127.0.0.1", 0), handler) as standing:
        api.port = standing.server_address[1]
        thread = threading.Thread(target=standing.serve_forever, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.ending.set()
            for asking in api.asking:
                if asking.sock is not None:
                    with contextlib.suppress(OSError):
                        asking.sock.shutdown(socket.SHUT_RDWR)
            standing.shutdown()
            thread.join()
