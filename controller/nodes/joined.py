"""A node on another machine than its service's: its supervisor, in the foreground.

It is told by a join folder (`controller.nodes.joining`), which may be read-only; what it writes
goes into a state folder of its own. It knows its service by the scheduler alone: a worker that
cannot reach that for `orphan_s` ends, and the node with it. Whoever started it ends the machine
then: the exit code says what it was.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes.joining import Join, read_join_folder
from controller.nodes.nursery import preload
from controller.nodes.records import STANDING, Standing, write
from controller.nodes.supervisor import READS, NodeStart, Supervisor
from controller.ports import NodeState, WorkerConnection

LOOK_S = 10.0
"""The join folder is read again so often, also without SIGHUP [s]: nobody sends one to a pod whose
mounted Secret has changed."""

LOCK, USED = "lock", "workers-started"

Connect = Callable[[Join, Path], WorkerConnection]

_log = logging.getLogger(__name__)


class JoinTie:
    """Ties a node to a service that has given it a join folder.

    Parameters
    ----------
    join_folder, state : Path
    join : Join
        What the folder says now.
    lock : int
        File descriptor of the lock on the state folder.
    """

    life: int | None = None

    def __init__(self, join_folder: Path, state: Path, join: Join, lock: int) -> None:
        self.next_look = time.monotonic() + LOOK_S
        self._join_folder = join_folder
        self._state = state
        self._join = join
        self._lock = lock

    def wanted(self) -> int:
        """Return what the folder says; what it said before, while it cannot be read."""
        try:
            self._join = read_join_folder(self._join_folder)
        except NodeError as error:
            _log.warning("node %s stays as it is: %s", self._join.node_id, error)
        return self._join.workers

    def next_number(self) -> int:
        """Return the next number, and write down first that it is used."""
        path = self._state / USED
        number = int(path.read_text()) if path.exists() else 0
        draft = path.with_suffix(".draft")
        with draft.open("w") as file:
            file.write(f"{number + 1}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return number

    def orphaned(self) -> str:
        """Return nothing: the workers see for themselves whether their scheduler is there.

        That it is asked has the folder read again, which may change without a signal.
        """
        if time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_S
        return ""

    def is_leaving(self) -> bool:
        """Return False: who wants it to go sends it a signal."""
        return False

    def tell(self, standing: Standing) -> None:
        """Log it, and write it into the state folder."""
        workers = ", ".join(standing.workers) or "no workers"
        reason = f": {standing.reason}" if standing.state is NodeState.BROKEN else ""
        _log.info("node %s: %s, %s%s", self._join.node_id, standing.state, workers, reason)
        write(self._state / STANDING, standing)

    def let_go(self) -> None:
        """Close the lock."""
        os.close(self._lock)


def supervise_joined(join_folder: Path, state: Path, connect: Connect) -> tuple[int, str]:
    """Be the supervisor of the node that a join folder is of, until it ends.

    Parameters
    ----------
    join_folder : Path
        Is only read.
    state : Path
        The node's own, made where it is missing: it says which names its workers have had.
    connect : callable
        Returns how to join, of a `Join` and its folder.

    Returns
    -------
    tuple of int and str
        The exit code, and in words why the node holds no workers; 0 and nothing when it was told
        to end.

    Raises
    ------
    NodeError
        It cannot be one: see its fault.
    """
    join = read_join_folder(join_folder)
    lock = _hold(state, join.node_id)
    connection = connect(join, join_folder)
    start = NodeStart(
        node_id=join.node_id,
        folder=state,
        connection=connection,
        boot_s=0.0,
        cpu_quota=None,
        reachable_urls=join.reachable_urls,
        restarts_max=join.restarts_max,
        end_s_max=join.end_s_max,
        shared_reads_mb=join.shared_reads_mb,
        returns=True,
        orphan_s=join.orphan_s,
    )
    _clear(state)
    preload((*connection.preload, *join.preload))
    supervisor = Supervisor(start, JoinTie(join_folder, state, join, lock))
    supervisor.run()
    _clear(state)
    os.close(lock)
    return supervisor.code, supervisor.broken


def _clear(state: Path) -> None:
    """Remove what workers have left; one that was killed with its supervisor leaves all it had."""
    for left in (*state.glob("scratch-*"), state / READS):
        shutil.rmtree(left, ignore_errors=True)


def _hold(state: Path, node_id: str) -> int:
    """Make and lock a state folder; return the file descriptor of its lock."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise NodeError(
            f"node {node_id} cannot keep its state in {state}: {error.strerror}",
            fault=NodeFault.OURS,
            fix="Name another folder: --state",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise NodeError(
            f"node {node_id}: another supervisor runs in {state}",
            fault=NodeFault.RETRY,
            fix="End it first, or name another folder: --state",
        ) from None
    return lock
