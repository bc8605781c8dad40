"""Servers, started once for all tests, and a folder of its own on one for each test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.controller.delivery.servers import (
    S3Server,
    Server,
    rclone_server,
    s3_server,
    sftp_server,
    webdav_server,
)

KINDS: Mapping[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "s3": lambda folder: s3_server(),
    "sftp": lambda folder: sftp_server(folder / "sftp"),
    "wsgidav": lambda folder: webdav_server(folder / "wsgidav"),
    "rclone": lambda folder: rclone_server(folder / "rclone"),
}

Start = Callable[[str], Server]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return what starts a server of a kind, if it does not run yet."""
    folder = tmp_path_factory.mktemp("servers")
    running: dict[str, Server] = {}
    with ExitStack() as ends:

        def started(kind: str) -> Server:
            if kind not in running:
                running[kind] = ends.enter_context(KINDS[kind](folder))
            return running[kind]

        yield started


@pytest.fixture(params=sorted(KINDS))
def server(request: pytest.FixtureRequest, start: Start) -> Server:
    """Return each server in turn."""
    return start(request.param)


@pytest.fixture
def store(start: Start) -> S3Server:
    """Return the store of objects."""
    found = start("s3")
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
def folder() -> str:
    """Return the name of a folder that nothing has used."""
    return f"products/{secrets.token_hex(4)}"
