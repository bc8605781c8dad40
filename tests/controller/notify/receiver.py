"""A real webhook receiver whose answers are scripted, and notices to send it."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from controller.notify.notices import Delivered, Notice
from controller.notify.signing import Secret
from planner.extent import Box, Extent, Period
from planner.model import NoticeKind, View

WAIT_S = 20.0
"""Nothing in these tests takes so long, unless it never comes [s]."""

SECRET = Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

MED = Box(west=-6.0, south=30.0, east=36.0, north=46.0)


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[["Handler"], None]
"""Answers one request."""


class Handler(BaseHTTPRequestHandler):
    """Hears a request, notes it down, and answers as its server's script says."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.put(Received(path=self.path, headers=headers, body=body))
        with suppress(OSError):
            self.server.script(self)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.received: queue.SimpleQueue[Received] = queue.SimpleQueue()


@dataclass
class Receiver:
    """A receiver at work."""

    server: _Server
    scheme: str = "http"
    host: str = "127.0.0.1"
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.server.server_port}/hook?for=med"

    def next(self) -> Received:
        """Return the next request that comes in."""
        return self.server.received.get(timeout=WAIT_S)

    @property
    def heard(self) -> int:
        """How many requests came in that nobody looked at."""
        return self.server.received.qsize()


@contextmanager
def receiving(script: Answer, tls: ssl.SSLContext | None = None, **more: Any) -> Iterator[Receiver]:
    """Run a receiver; at the end, whatever hangs in its script is let go."""
    server = _Server(script)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        more["scheme"] = "https"
    receiver = Receiver(server, **more)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int, **headers: str) -> Answer:
    """Answer a status; underscores in names of headers are hyphens."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Answer the first request by the first, and so on; the last one answers all the rest."""
    waiting = list(answers)

    def answer(handler: Handler) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return answer


def notice(product_id: str = "med-v1-u2", **changes: Any) -> Notice:
    """Return a notice of a product that was delivered, 90 s before its deadline."""
    subscription_id = product_id.rpartition("-v")[0]
    view = View(
        dataset="10.17882/42182",
        application="argo",
        extent=Extent(
            box=MED,
            period=Period(start_at=1262304000.0, end_at=None),
            parameters=("PSAL", "TEMP"),
        ),
    )
    product = Delivered(
        at=1790000000.25,
        url=f"s3://ocean/med/{product_id}.nc",
        manifest_url=f"s3://ocean/med/{product_id}.manifest.json",
        rows=120345,
        size_bytes=2406912,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        digest="60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    )
    whole: dict[str, Any] = {
        "id": product_id,
        "kind": NoticeKind.DELIVERED,
        "at": 1790000000.5,
        "subscription_id": subscription_id,
        "task_id": "t17",
        "product_id": product_id,
        "version": 1,
        "views": (view,),
        "deadline_at": 1790000090.25,
        "slack_s": 90.0,
        "text": "delivered 90 s before its deadline",
        "delivered": product,
    }
    return Notice(**(whole | changes))
