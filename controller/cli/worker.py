"""`slackwater worker`: the workers of one node on another machine than its service's."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from rich.markup import escape

from controller.cli import Exit
from controller.cli.display import messages
from controller.engines.connection import DaskConnection
from controller.errors import NodeError, NodeFault
from controller.nodes.joined import supervise_joined
from controller.nodes.joining import Join, read_join_folder
from controller.nodes.nursery import ONE_THREAD


def work(join_folder: Path, state: Path | None) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.environ.update(ONE_THREAD)
    folder = join_folder.absolute()
    try:
        kept = state or default_state(read_join_folder(folder).node_id)
        code, reason = supervise_joined(folder, kept.absolute(), connection_of)
    except NodeError as error:
        code, reason = Exit.REFUSED if error.fault is NodeFault.OURS else Exit.FAILED, str(error)
    if reason:
        messages().print(f"[red]error:[/] {escape(reason)}", highlight=False, soft_wrap=True)
    return code


def connection_of(join: Join, folder: Path) -> DaskConnection:
    """Return how the node of a join folder joins the engine."""
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
