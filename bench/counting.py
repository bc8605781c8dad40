"""A folder behind HTTP on this machine that counts what is asked of it: an archive far away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class CountingServer:
    """Serves a folder; `counting_server` starts and ends it.

    Attributes
    ----------
    gets : Counter of str
        How often each path was read.
    """

    def __init__(self, folder: Path) -> None:
        self.gets: Counter[str] = Counter()
        self._lock = threading.Lock()
        handler = partial(_Handler, self, directory=str(folder))
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Where the folder is served."""
        return f"http://127.0.0.1:{self.http.server_port}"

    def count(self, path: str) -> None:
        """Note that a path is read."""
        with self._lock:
            self.gets[path] += 1

    def profile_gets(self) -> Counter[str]:
        """Return how often each file below ``dac/`` was read."""
        return Counter({path: n for path, n in self.gets.items() if path.startswith("/dac/")})


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: CountingServer, *given: object, **named: object) -> None:
        self._counts = server
        super().__init__(*given, **named)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._counts.count(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def counting_server(folder: Path) -> Iterator[CountingServer]:
    """Serve a folder for the block."""
    server = CountingServer(folder)
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
