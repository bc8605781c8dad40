"""An engine on this machine's side of the hosts' network, and nodes of it on hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from controller.authority import Authority
from controller.engines.connection import Listening
from controller.engines.dask import DaskEngine
from controller.nodes.joining import Join, write_join_folder
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox
from tests.controller.runs import COMMAND
from tests.fleet.hosts import BRIDGE, ROOT, Host

JOIN_FOLDER = "/etc/slackwater/join"


class Elsewhere:
    """Opens on construction.

    Parameters
    ----------
    folder : Path
        Of the engine's, its authority and fragments.
    lease_s, orphan_s : float
    """

    def __init__(self, folder: Path, *, lease_s: float, orphan_s: float) -> None:
        self.folder = folder
        self.fragments = folder / "fragments"
        self.fragments.mkdir(parents=True)
        self.inbox = Inbox()
        self.orphan_s = orphan_s
        self.authority = Authority(folder / "tls")
        self.engine = DaskEngine(
            self.inbox.put,
            folder=folder / "engine",
            authority=self.authority,
            listening=Listening(host=BRIDGE),
            fragments=self.fragments,
            lease_s=lease_s,
            orphan_s=orphan_s,
        )
        self._workers: list[subprocess.Popen[str]] = []

    def join_folder(self, node_id: str, **told: object) -> Path:
        """Write the join folder of a node."""
        join = Join(
            address=self.engine.connection.address,
            node_id=node_id,
            workers=1,
            orphan_s=self.orphan_s,
        )
        folder = self.folder / "joins" / node_id
        folder.parent.mkdir(exist_ok=True)
        write_join_folder(folder, replace(join, **told), self.engine.connection)  # type: ignore[arg-type]
        return folder

    def start(self, host: Host, join_folder: Path) -> subprocess.Popen[str]:
        """Bring a join folder to a host, and start `slackwater worker` there."""
        host.put(join_folder, JOIN_FOLDER)
        worker = subprocess.Popen(
            host.inside(
                *("env", "-i", f"PATH={os.environ['PATH']}", f"PYTHONPATH={ROOT}", "LANG=C.UTF-8"),
                *(str(COMMAND), "worker", JOIN_FOLDER, "--state", "/var/lib/slackwater"),
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._workers.append(worker)
        return worker

    def node(self, host: Host, node_id: str, **told: object) -> subprocess.Popen[str]:
        """Have a node on a host, and wait until its workers have joined."""
        worker = self.start(host, self.join_folder(node_id, **told))
        self.inbox.ready(node_id, 1)
        return worker

    def close(self) -> None:
        """End the engine and all workers."""
        self.engine.close(end=True)
        for worker in self._workers:
            worker.kill()
            worker.communicate()


def equip(host: Host, *folders: Path) -> Host:
    """Have this checkout and its environment on a host, and other folders."""
    for folder in (ROOT, Path(sys.base_prefix), *folders):
        host.show(folder)
    return host


def drain(host: Host) -> None:
    """Tell the supervisor on a host to end, as systemd does."""
    host.run("pkill -TERM -o -f 'slackwater worker'")


def ended(worker: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a worker's exit code, and what it said."""
    _, said = worker.communicate(timeout=WAIT_S_MAX)
    return worker.returncode, said


@contextmanager
def within(limit_s: float) -> Iterator[Callable[[], float]]:
    """See that the block takes no longer; yields what tells how long it has taken so far [s]."""
    began = time.monotonic()
    yield lambda: time.monotonic() - began
    took_s = time.monotonic() - began
    assert took_s <= limit_s, f"{took_s:.1f} s"
