"""As much of an OpenStack as a provider talks to, in memory, whose faults are told beforehand.

A real server on loopback: what libcloud sends and hears passes through real sockets. It serves what
no real cloud does on demand: an error after a success, a pause that is asked for, silence.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from pydantic import SecretStr

from controller.nodes.libcloud_options import CloudOptions

SECRET = "open-sesame"
NEVER_S_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What a request is answered instead.

    Parameters
    ----------
    status : int
    text : str
    headers : dict
    after : bool
        It is carried out all the same.
    body : str or None
        Instead of the JSON of an error.
    """

    status: int
    text: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    body: str | None = None


def options_at(url: str, **given: Any) -> CloudOptions:
    """Return how a provider reaches a cloud at a URL."""
    values: dict[str, Any] = {
        "driver": "openstack",
        "url": f"{url}/v3",
        "user": "me",
        "password": SecretStr(SECRET),
        "project": "ours",
        "region": "here",
        "poll_s": 0.05,
    }
    return CloudOptions(**(values | given))


class Cloud:
    """The state: servers, faults to come by "METHOD /path", and what was asked.

    Each answer comes only `answer_s` after its request [s].
    """

    def __init__(self) -> None:
        self.servers: dict[str, dict[str, Any]] = {}
        self.key_pairs: list[dict[str, Any]] = []
        self.wrong: defaultdict[str, deque[Wrong]] = defaultdict(deque)
        self.asked: list[str] = []
        self.logins: list[dict[str, Any]] = []
        self.let_create = threading.Event()
        self.let_create.set()
        self.answer_s = 0.0
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.away = False
        """All is answered by 503, as by a proxy whose cloud is down."""
        self.url = ""

    def options(self, **given: Any) -> CloudOptions:
        """Return how a provider reaches it."""
        return options_at(self.url, **given)

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            name = f"s{len(self.servers)}"
            self.servers[name] = {
                "id": name,
                "name": wanted["name"],
                "status": "ACTIVE",
                "metadata": wanted["metadata"],
                "addresses": {"net": [{"addr": "10.0.0.9", "version": 4}]},
                "created": "2026-01-01T00:00:00Z",
                "updated": "2026-01-01T00:00:00Z",
                "hostId": "",
                "tenant_id": "ours",
                "user_id": "me",
                "links": [{"rel": "self", "href": ""}],
                "flavor": {"id": "f1"},
            }
        return {"server": self.servers[name] | {"adminPass": "x", "links": []}}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Carry a request out."""
        match method, path.strip("/").split("/")[1:]:
            case "GET", ["servers", "detail"]:
                return 200, {"servers": list(self.servers.values())}
            case "POST", ["servers"]:
                return 202, self.create(body["server"])
            case "GET", ["servers", name] if name in self.servers:
                return 200, {"server": self.servers[name]}
            case "DELETE", ["servers", name]:
                return (204, None) if self.servers.pop(name, None) else (404, error(404, "gone"))
            case "PUT", ["servers", name, "metadata"]:
                self.servers[name]["metadata"] = body["metadata"]
                return 200, body
        return self.answer_of_the_rest(method, path, body)

    def answer_of_the_rest(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Carry out what is not about servers."""
        match method, path.strip("/").split("/")[1:]:
            case "GET", ["flavors", "detail"]:
                return 200, {"flavors": [FLAVOR]}
            case "GET", ["limits"]:
                used = {"maxTotalInstances": 100, "totalInstancesUsed": len(self.servers)}
                return 200, {"limits": {"absolute": used}}
            case "GET", ["os-keypairs"]:
                return 200, {"keypairs": [{"keypair": each} for each in self.key_pairs]}
            case "POST", ["os-keypairs"]:
                self.key_pairs.append(body["keypair"] | {"fingerprint": "f"})
                return 200, {"keypair": self.key_pairs[-1]}
            case "GET", ["v2", "images"]:
                return 200, {"images": [IMAGE]}
        return 404, error(404, f"{method} {path}")


FLAVOR = {"id": "f1", "name": "m1.tiny", "ram": 256, "disk": 1, "vcpus": 1, "swap": "", "links": []}
IMAGE = {
    "id": "i1",
    "name": "debian",
    "status": "active",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "min_disk": 0,
    "min_ram": 0,
    "visibility": "public",
    "file": "",
    "owner": "",
    "schema": "",
    "tags": [],
    "size": 1,
    "checksum": "",
    "disk_format": "raw",
    "container_format": "bare",
    "protected": False,
    "self": "",
}


def error(code: int, text: str) -> dict[str, Any]:
    """Return an error as Nova words it."""
    return {"fault": {"code": code, "message": text}}


class _Handler(BaseHTTPRequestHandler):
    cloud: ClassVar[Cloud]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the class has it
        """Keep quiet."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        self.cloud.ending.wait(self.cloud.answer_s)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        if path.endswith("/auth/tokens"):
            self._log_in(body)
            return
        asked = f"{self.command} {path.removeprefix('/compute')}"
        self.cloud.asked.append(asked)
        if asked == "POST /servers":
            assert self.cloud.let_create.wait(NEVER_S_MAX)
        faults = self.cloud.wrong[asked]
        wrong = faults.popleft() if faults else Wrong(status=503) if self.cloud.away else None
        if wrong is None or wrong.after:
            status, answer = self.cloud.answer(self.command, path, body)
        if wrong is not None:
            told = wrong.body if wrong.body is not None else error(wrong.status, wrong.text)
            self._send(wrong.status, told, wrong.headers)
        else:
            self._send(status, answer, {})

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _log_in(self, body: dict[str, Any]) -> None:
        self.cloud.logins.append(body["auth"])
        password = body["auth"]["identity"]["password"]["user"]["password"]
        if password != SECRET:
            self._send(401, {"error": {"code": 401, "message": "who are you?"}}, {})
            return
        url = self.cloud.url
        endpoint = {"interface": "public", "region": "here", "region_id": "here", "id": "e"}
        token = {
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "me", "name": "me"},
            "roles": [{"id": "r", "name": "member"}],
            "project": {"id": "ours", "name": "ours"},
            "catalog": [
                {"type": kind, "name": name, "id": name, "endpoints": [endpoint | {"url": where}]}
                for kind, name, where in (
                    ("compute", "nova", f"{url}/compute"),
                    ("image", "glance", f"{url}/image"),
                    ("network", "neutron", f"{url}/network"),
                )
            ],
        }
        self._send(201, {"token": token}, {"X-Subject-Token": "t"})

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        content = b"" if answer is None else content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def canned_cloud() -> Iterator[Cloud]:
    """Serve a cloud on loopback."""
    cloud = Cloud()
    handler = type("Handler", (_Handler,), {"cloud": cloud})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield cloud
        finally:
            cloud.let_create.set()
            cloud.ending.set()
            server.shutdown()
            thread.join()
