"""A server before the bed of EC2 that answers chosen actions with EC2's own errors."""

from __future__ import annotations

import http.client
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

ANSWER_S_MAX = 60.0

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{}</Code>'
    "<Message>{}</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
)
"""As the Query API words one."""


@dataclass(slots=True, kw_only=True)
class FaultyEc2:
    """The server: what it answers next to an action, as status, code and words."""

    url: str = ""
    wrong: defaultdict[str, deque[tuple[int, str, str]]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    api: ClassVar[FaultyEc2]
    bed: ClassVar[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = parse_qs(urlsplit(self.path).query) | parse_qs(body.decode())
        action = said["Action"][0]
        self.api.asked.append(action)
        if faults := self.api.wrong[action]:
            status, code, words = faults.popleft()
            self._send(status, ERROR.format(code, words).encode())
        else:
            self._forward(body)

    do_GET = do_POST = _serve

    def _forward(self, body: bytes) -> None:
        bed = urlsplit(self.bed)
        asking = http.client.HTTPConnection(bed.hostname or "", bed.port, timeout=ANSWER_S_MAX)
        with closing(asking):
            asking.request(self.command, self.path, body or None, dict(self.headers))
            answer = asking.getresponse()
            self._send(answer.status, answer.read())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def faulty_ec2(bed: str) -> Iterator[FaultyEc2]:
    """Stand before the bed for as long as the block lasts."""
    api = FaultyEc2()
    handler = type("Handler", (_Handler,), {"api": api, "bed": bed})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
