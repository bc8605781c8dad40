"""The tutorial of the service, followed to the letter in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from controller.client import Client, Unreachable
from tests.docs.pages import page

GUIDE = page("tutorial-service.md")
PRODUCT = "atlantic-v1-to-u0"

PATIENCE_S = 120.0
"""For what takes some seconds on a machine that does nothing else."""

POLL_S = 0.05


class Reader:
    """Somebody who follows the page; the service has a free port instead of the usual one."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "80",
            "SLACKWATER_SERVICE__PORT": str(port),
            "SLACKWATER_URL": self.url,
        }
        self.processes: list[subprocess.Popen[str]] = []

    def begin(self, script: str) -> subprocess.Popen[str]:
        """Start what goes on until it is ended."""
        process = subprocess.Popen(
            ["bash", "-ec", f"exec {script}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def do(self, script: str, *command: str) -> str:
        """Do what ends by itself, and return what it prints."""
        done = subprocess.run(
            [*(command or ("bash", "-ec")), script],
            cwd=self.folder,
            env=self.environment,
            timeout=PATIENCE_S,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def until(self, what: str, done: Callable[[Client], bool]) -> None:
        """Wait until something is so."""
        give_up_at = time.monotonic() + PATIENCE_S
        with Client(self.url) as client:
            while time.monotonic() < give_up_at:
                try:
                    if done(client):
                        return
                except Unreachable:
                    assert self.processes[0].poll() is None, self.processes[0].communicate()[0]
                time.sleep(POLL_S)
        raise AssertionError(f"not in time: {what}")

    def end(self, process: subprocess.Popen[str]) -> str:
        """End something with Ctrl-C, and return what it printed."""
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=PATIENCE_S)
        return told


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(tmp_path)
    yield found
    for process in found.processes:
        with suppress(psutil.NoSuchProcess):
            for below in psutil.Process(process.pid).children(recursive=True):
                below.kill()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_tutorial_of_the_service_is_followed_literally(reader: Reader) -> None:
    archive, serve, status, subscribe, watch, get, again, remove = GUIDE.blocks("sh")
    reader.do(archive)
    service = reader.begin(serve)
    reader.until("it serves", lambda client: client.health().ready)
    assert "ready" in reader.do(status)
    assert "subscribed atlantic v1: deadline PT10M" in reader.do(subscribe)
    watching = reader.begin(watch)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("ready")
    reader.until("all is delivered", lambda client: bool(list(client.products())))
    assert "Traceback" not in reader.end(watching)
    assert watching.returncode == 130
    assert f"products/{PRODUCT}.nc" in reader.do(get)
    (script,) = GUIDE.blocks("python")
    assert "degrees Celsius on average" in reader.do(script, sys.executable, "-c")
    assert "Serving at" in reader.end(service)
    assert service.returncode == 0
    assert again == serve
    reader.processes.remove(service)
    service = reader.begin(again)
    reader.processes.reverse()
    reader.until("it serves again", lambda client: client.health().ready)
    assert "atlantic v1" in reader.do(remove)
    assert "Serving at" in reader.end(service)
