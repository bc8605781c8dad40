"""A watch of pods outlives whatever answers in place of the API server."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from controller.errors import NodeError
from controller.nodes.kubernetes_access import Access, Caller
from controller.nodes.kubernetes_watch import PodWatch

WAIT_S_MAX = 30.0

LIST = {"metadata": {"resourceVersion": "5"}, "items": []}
POD = {
    "type": "ADDED",
    "object": {
        "metadata": {
            "name": "p",
            "uid": "u",
            "resourceVersion": "6",
            "labels": {"slackwater/node": "n1"},
        }
    },
}


@contextmanager
def answering(*answers: Any) -> Iterator[str]:
    """Serve these answers to requests, one after the other; then the watch never tells more."""
    left, over = deque(answers), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the class has it
            """Keep quiet."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            if left:
                self.wfile.write(json.dumps(left.popleft()).encode() + b"\n")
            else:
                over.wait(WAIT_S_MAX)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_answers_that_are_none_end_no_watch(tmp_path: Path) -> None:
    answers: list[object] = [[], {"metadata": {}, "items": None}, LIST, {"kind": "Page"}, LIST, POD]
    with answering(*answers) as url:
        caller = Caller(Access(kubeconfig=kubeconfig(tmp_path, url)), call_s_max=5.0)
        watch = PodWatch(caller, "default", "slackwater/node")
        give_up_at = time.monotonic() + WAIT_S_MAX
        try:
            while "n1" not in known(watch):
                assert time.monotonic() < give_up_at
                time.sleep(0.05)
        finally:
            watch.close()
            caller.close()


def known(watch: PodWatch) -> set[str]:
    try:
        return set(watch.pods())
    except NodeError:
        return set()
