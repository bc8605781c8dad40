"""The bed that speaks EC2: moto behind a port of its own, as a process of the tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.beds import script

START_S_MAX = 60.0


@contextmanager
def ec2(folder: Path) -> Iterator[str]:
    """Run the bed, and yield its URL."""
    program = script("ec2/moto_ec2.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, program, str(port)], stdout=log, stderr=log)
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_S_MAX)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while True:
        assert process.poll() is None, "moto ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
