"""Finds, starts and ends the scheduler process; the other end of `controller.engines.scheduler`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from controller.config.variables import without_settings
from controller.engines.scheduler import (
    RECORD,
    SETTINGS,
    SchedulerRecord,
    SchedulerSettings,
    own_versions,
    write_record,
)
from controller.errors import EngineError
from controller.processes import ProcessMark, mark

START_S_MAX = 60.0
"""A scheduler that cannot be reached by then will not be [s]; a loaded machine takes some."""

END_S_MAX = 5.0
"""A scheduler that was asked to end is killed after this long [s]; it has nothing to save."""

PORT_S_MAX = 3.0
"""A port that is taken for longer is another program's [s]."""

POLL_S = 0.02
"""Pause between two looks at a process that need not be our child [s]."""

LOG = "scheduler.log"

LOG_TAIL_BYTES_MAX = 2000
"""So much of its log explains why a scheduler did not start."""


def reserve_port(host: str, port: int = 0) -> socket.socket:
    """Return a bound socket whose port only a process that sets SO_REUSEADDR can listen on.

    As long as it is open, no other program is given the port, so a scheduler that restarts comes
    back where its workers look for it. A given port is waited for: a process that was killed may
    hold it for moments.

    Raises
    ------
    OSError
        Another program has the port.
    """
    give_up_at = time.monotonic() + (PORT_S_MAX if port else 0.0)
    while True:
        reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind((host, port))
        except OSError:
            reserved.close()
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(POLL_S)
        else:
            return reserved


def recorded(folder: Path) -> SchedulerRecord | None:
    """Return what the last scheduler of a folder has said of itself; it may be gone."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=SchedulerRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def port_of(address: str) -> int:
    """Return the port of ``tls://host:port``."""
    port = urlsplit(address).port
    assert port is not None
    return port


async def standing_scheduler(folder: Path, host: str, port: int) -> SchedulerRecord | None:
    """Return the scheduler that runs in a folder, if there is one.

    One of another build is ended, and so is one that does not listen, or not where it should. Its
    parts are lost then, which costs time: their pickles may be of another build, too.
    """
    record = recorded(folder)
    if record is None or not record.process.runs():
        return None
    wanted = (own_versions(), (host, port))
    if (record.versions, listens_at(folder)) == wanted and await listens(record):
        return record
    await end(record.process)
    return None


def listens_at(folder: Path) -> tuple[str, int] | None:
    """Return the host and port that the last scheduler of a folder was told to listen at."""
    try:
        told = msgspec.json.decode((folder / SETTINGS).read_bytes(), type=SchedulerSettings)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return told.host, told.port


async def listens(record: SchedulerRecord) -> bool:
    """Return whether somebody listens where a scheduler says that it does."""
    where = urlsplit(record.address)
    try:
        _, writer = await asyncio.open_connection(where.hostname, where.port)
    except OSError:
        return False
    writer.close()
    return True


async def start(settings: SchedulerSettings, folder: Path) -> SchedulerRecord:
    """Start a scheduler in a folder, as a process that does not end with this one by itself.

    Raises
    ------
    EngineError
        It did not start.
    """
    write_record(folder / SETTINGS, settings)
    process = mark(spawn(folder))
    give_up_at = time.monotonic() + START_S_MAX
    while process.runs() and time.monotonic() < give_up_at:
        record = recorded(folder)
        if record and record.process == process:
            return record
        await asyncio.sleep(POLL_S)
    await end(process)
    tail = (folder / LOG).read_bytes()[-LOG_TAIL_BYTES_MAX:].decode(errors="replace").strip()
    raise EngineError(f"the engine's scheduler did not start: {tail or 'it said nothing'}")


def spawn(folder: Path) -> int:
    """Start the process, in a session of its own and with no open file of this one's.

    Ctrl-C is for the service; what it started ends with it, in its order, or outlives it.
    """
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "controller.engines.scheduler", str(folder)],
        without_settings(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (
                os.POSIX_SPAWN_OPEN,
                1,
                str(folder / LOG),
                os.O_WRONLY | os.O_CREAT | os.O_APPEND,
                0o600,
            ),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


async def gone(process: ProcessMark) -> None:
    """Wait until a process has ended, be it our child or not."""
    while process.runs():
        await asyncio.sleep(POLL_S)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


async def end(process: ProcessMark) -> None:
    """End a process: it is asked first, and killed when it does not listen."""
    process.send(signal.SIGTERM)
    try:
        await asyncio.wait_for(gone(process), END_S_MAX)
    except TimeoutError:
        process.send(signal.SIGKILL)
        await gone(process)
