"""Starts the scheduler process and ends it; the other end of `controller.engines.scheduler`."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from controller.config.variables import without_settings
from controller.engines.scheduler import SchedulerSettings
from controller.errors import EngineError

START_S_MAX = 60.0
"""A scheduler that has not answered by then will not [s]; a loaded machine takes some seconds."""

END_S_MAX = 5.0
"""A scheduler that was asked to end is killed after this long [s]; it has nothing to save."""

LOG_TAIL_BYTES_MAX = 2000
"""So much of its log explains why a scheduler did not start."""


def reserve_port(host: str) -> socket.socket:
    """Return a bound socket whose port only a process that sets SO_REUSEADDR can listen on.

    As long as it is open, no other program is given the port, so a scheduler that restarts comes
    back where its workers look for it.
    """
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((host, 0))
    return reserved


@asynccontextmanager
async def running_scheduler(
    settings: SchedulerSettings, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a scheduler process inside the block.

    Raises
    ------
    EngineError
        It did not start.
    """
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "controller.engines.scheduler"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            # Ctrl-C is for the service; what it started ends with it, in its order.
            start_new_session=True,
            env=without_settings(os.environ) | path,
        )
    try:
        await _greet(process, settings, log)
        yield process
    finally:
        await _end(process)


async def _greet(
    process: asyncio.subprocess.Process, settings: SchedulerSettings, log: Path
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    answer = b""
    with suppress(TimeoutError, ConnectionError):
        process.stdin.write(msgspec.json.encode(settings) + b"\n")
        answer = await asyncio.wait_for(process.stdout.readline(), START_S_MAX)
    if not answer:
        tail = log.read_bytes()[-LOG_TAIL_BYTES_MAX:].decode(errors="replace").strip()
        raise EngineError(f"the engine's scheduler did not start: {tail or 'it said nothing'}")


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(b"\n")
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_S_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
