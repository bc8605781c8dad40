"""Serves a folder by wsgidav in a process of its own; prints its port once it listens.

Its arguments are JSON: root, user, password, certificate and key (may be empty), and quota_bytes
(beyond which it answers 507; 0 is none).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp


def main(said: dict[str, Any]) -> None:
    """Serve until this process is ended."""
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": said["root"]},
            "simple_dc": {"user_mapping": {"*": {said["user"]: {"password": said["password"]}}}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "verbose": 0,
            "logging": {"enable": False},
        }
    )
    if said["quota_bytes"]:
        application = with_quota(application, Path(said["root"]), said["quota_bytes"])
    server = Server(("127.0.0.1", 0), application)
    if said["certificate"]:
        server.ssl_adapter = BuiltinSSLAdapter(said["certificate"], said["key"])
    server.prepare()
    print(server.bind_addr[1], flush=True)
    server.serve()


def with_quota(application: Any, root: Path, quota_bytes: int) -> Callable[..., Iterable[bytes]]:
    """Return the application with a limit to what it stores."""

    def limited(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        used = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        if used + int(environ.get("CONTENT_LENGTH") or 0) > quota_bytes:
            start_response("507 Insufficient Storage", [("Content-Length", "0")])
            return []
        answer: Iterable[bytes] = application(environ, start_response)
        return answer

    return limited


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
