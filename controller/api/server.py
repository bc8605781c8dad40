"""Runs the API in a thread of its own, beside the loop that decides."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from controller.errors import ApiError

START_S_MAX = 30.0
"""A server that does not listen by then never will [s]."""

CLOSE_S_MAX = 5.0
"""Requests under way may take so long to end [s]."""


@contextmanager
def running_api(app: FastAPI, host: str, port: int, clients_max: int) -> Iterator[str]:
    """Serve an API inside the block; yields its URL.

    Raises
    ------
    ApiError
        The address cannot be listened on.
    """
    listening = listener(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            limit_concurrency=clients_max,
            timeout_graceful_shutdown=int(CLOSE_S_MAX),
            lifespan="off",
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="api", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)
        listening.close()


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ApiError
        The address is taken, or none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ApiError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            fix="Another service may; set service.port, or 0 for a free one",
        ) from error
    listening.listen()
    return listening
