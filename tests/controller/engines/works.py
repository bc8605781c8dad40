"""What the tests have workers do; importable there, as the functions of an application are."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from controller.apps.storage import replacing
from controller.engines import worker
from controller.engines.connection import DaskConnection
from controller.engines.scheduler import own_versions
from controller.errors import ArchiveError, DeliveryError
from planner.model import Fragment

HELD_S_MAX = 60.0
"""A part that is held and forgotten ends by itself."""


def fragment(order: object) -> Fragment:
    """Return a fragment that says which process made it, of which order."""
    return Fragment(url=f"memory://{os.getpid()}/{order}", rows=1, size_bytes=1, sha256="0" * 64)


def written(order: tuple[str, int]) -> Fragment:
    """Write a fragment of so many bytes where an application would."""
    url, size_bytes = order
    content = b"x" * size_bytes
    with replacing(url) as file:
        file.write(content)
    digest = hashlib.sha256(content).hexdigest()
    return Fragment(url=url, rows=1, size_bytes=size_bytes, sha256=digest)


def raise_value_error(order: object) -> Fragment:
    raise ValueError(f"cannot read {order}")


def refuse_for_good(order: object) -> Fragment:
    raise DeliveryError(f"{order} is forbidden", retry=False)


def refuse_now(order: object) -> Fragment:
    raise ArchiveError(f"{order} is not there")


class Unpicklable(Exception):
    """An error that cannot travel: it holds a lock."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.lock = threading.Lock()


def raise_unpicklable(order: object) -> Fragment:
    raise Unpicklable(f"no way for {order}")


def return_unpicklable(order: object) -> Any:
    return threading.Lock()


def exit_interpreter(order: object) -> Fragment:
    sys.exit(f"{order} made me")


def hold(order: Path) -> Fragment:
    """Write this process' number into a new file, and wait until the file is gone."""
    draft = order.with_suffix(".draft")
    draft.write_text(str(os.getpid()))
    draft.rename(order)
    give_up_at = time.monotonic() + HELD_S_MAX
    while order.exists() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return fragment(order)


def hold_and_raise(order: Path) -> Fragment:
    """Hold, then fail in a way that is no typed error."""
    hold(order)
    raise ValueError(f"cannot read {order}")


def hold_interpreter(order: Path) -> Fragment:
    """Never let go of the interpreter: one long call into C."""
    order.write_text(str(os.getpid()))
    return fragment(sum(range(10**13)))


def stop_process(order: object) -> Fragment:
    """Freeze this worker as a whole."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return fragment(order)


def kill_process(order: object) -> Fragment:
    os.kill(os.getpid(), signal.SIGKILL)
    return fragment(order)


class OldWorker(DaskConnection):
    """Joins as a worker of another build would."""

    def join(self, worker_name: str, folder: Path) -> None:
        other = own_versions() | {"slackwater": "0.0.1"}
        vars(worker)["own_versions"] = lambda: other
        super().join(worker_name, folder)
