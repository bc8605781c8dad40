"""`slackwater worker`: the workers of one node on another machine than its service's."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from controller.cli import Exit
from controller.cli.display import messages
from controller.errors import NodeError, NodeFault
from controller.nodes.signals import HEARD
from controller.processes import ONE_THREAD

if TYPE_CHECKING:
    from controller.nodes.joining import Join
    from controller.ports import WorkerConnection


def work(join_folder: Path, state: Path | None) -> int:
    """Run the command and return its exit code."""
    # Whoever tells it to end while it comes up is heard as soon as the supervisor can act on it.
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Before numerical libraries are imported, which would start threads, and workers are forked.
    os.environ.update(ONE_THREAD)
    from controller.nodes.joined import supervise_joined  # noqa: PLC0415
    from controller.nodes.joining import read_join_folder  # noqa: PLC0415

    folder = join_folder.absolute()
    try:
        kept = state or default_state(read_join_folder(folder).node_id)
        code, reason = supervise_joined(folder, kept.absolute(), connection_of)
    except NodeError as error:
        code, reason = Exit.REFUSED if error.fault is NodeFault.OURS else Exit.FAILED, str(error)
    if reason:
        messages().print(f"[red]error:[/] {escape(reason)}", highlight=False, soft_wrap=True)
    return code


def connection_of(join: Join, folder: Path) -> WorkerConnection:
    """Return how the node of a join folder joins the engine."""
    from controller.engines.connection import DaskConnection  # noqa: PLC0415

    return DaskConnection.of_folder(join.address, folder, join.orphan_s)


def default_state(node_id: str) -> Path:
    """Return where a node keeps its state that was not told where.

    Raises
    ------
    NodeError
        Another user has made the folder that it would lie in.
    """
    if home := os.environ.get("XDG_STATE_HOME"):
        return Path(home, "slackwater", "nodes", node_id)
    parent = Path(tempfile.gettempdir(), f"slackwater-nodes-{os.getuid()}")
    parent.mkdir(mode=0o700, exist_ok=True)
    found = parent.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or parent.is_symlink():
        raise NodeError(
            f"{parent} is not this user's alone", fault=NodeFault.OURS, fix="Give --state"
        )
    return parent / node_id
