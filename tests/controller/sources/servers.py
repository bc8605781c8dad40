"""Real servers, on loopback unless told, that an archive is followed behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cheroot.wsgi import Server as WsgiServer
from wsgidav.wsgidav_app import WsgiDAVApp

USER, PASSWORD = "joe", "a-secret"


@dataclass(slots=True)
class Manner:
    """How a web server answers; a test changes it meanwhile.

    `requests` counts what was asked for, with the status of the answer.
    """

    tags: bool = True
    dates: bool = True
    status: int = 0
    redirect: str = ""
    cut_bytes: int = 0
    modified_at: float = 1.0
    requests: list[tuple[str, int]] = field(default_factory=list)


class _WebServer(ThreadingHTTPServer):
    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.manner = Manner()
        super().__init__((host, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _WebServer

    def do_GET(self) -> None:
        self.close_connection = True
        manner, place = self.server.manner, self.server.folder / self.path.lstrip("/")
        if manner.redirect:
            self._head(302, {"Location": f"{manner.redirect}{self.path}"})
        elif manner.status:
            self._head(manner.status, {})
        elif not place.is_file():
            self._head(404, {})
        else:
            self._answer(place.read_bytes())

    def _answer(self, content: bytes) -> None:
        manner, told = self.server.manner, {}
        if manner.tags:
            told["ETag"] = f'"{sha256(content).hexdigest()[:16]}"'
        if manner.dates:
            told["Last-Modified"] = formatdate(manner.modified_at, usegmt=True)
        conditions = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        if any(self.headers.get(conditions[name]) == value for name, value in told.items()):
            self._head(304, told)
            return
        self._head(200, {**told, "Content-Length": str(len(content))})
        self.wfile.write(content[: len(content) - manner.cut_bytes])

    def _head(self, status: int, told: dict[str, str]) -> None:
        self.server.manner.requests.append((self.path, status))
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def web_server(folder: Path, host: str = "127.0.0.1") -> Iterator[tuple[str, Manner]]:
    """Serve the files of a folder, with conditions, and without listings as many mirrors do."""
    with _WebServer(folder, host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_port}", server.manner
        finally:
            server.shutdown()


@contextmanager
def dav_server(folder: Path) -> Iterator[str]:
    """Serve a folder by WebDAV, to one user."""
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    server = WsgiServer(("127.0.0.1", 0), app)
    server.prepare()
    serving = threading.Thread(target=server.serve, daemon=True)
    serving.start()
    try:
        yield f"webdav://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        serving.join(10)
