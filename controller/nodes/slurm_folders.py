"""What lies on the file system that a cluster shares: a folder for each node of a service.

A node's folder holds its join folder, what became of its submission, and the log of its job. It
goes when the node is deleted.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from controller.authority import write_secret
from controller.errors import NodeError, NodeFault
from controller.nodes.joining import Join, read_join_folder, write_join_folder
from controller.nodes.plugins import NodeType, ProviderStart
from controller.nodes.slurm_options import SlurmOptions

SCRIPT = b"""#!/bin/sh
# A change of what is wanted may be told before the worker listens; it reads it when it begins.
trap '' HUP
state=$(mktemp -d "${TMPDIR:-/tmp}/slackwater-XXXXXXXX") || exit 75
"$@" --state "$state" &
worker=$!
trap 'kill -HUP "$worker"' HUP
trap 'kill -TERM "$worker"' TERM
# A signal interrupts the waiting, not the worker.
while :; do
    wait "$worker"
    code=$?
    kill -0 "$worker" 2>/dev/null || break
done
rm -rf "$state"
exit "$code"
"""
"""What each job runs; all that differs comes as arguments, so nothing is ever quoted."""

START, JOIN_FOLDER, LOG, SUBMITTED = "start.sh", "join", "log", "submitted.json"

STALE_S = 3600.0
"""A folder whose node was never submitted is removed after this time [s]."""

LOG_TAIL, LINE_MAX = 4096, 300

ORPHAN_S = 300.0
"""A worker whose scheduler is gone ends after this time [s], if nodes are to end with it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What came of a node's submission.

    Parameters
    ----------
    job_id : int
    node_type : str
    at : float
        When it was [POSIX s].
    """

    job_id: int
    node_type: str
    at: float


class NodeFolders:
    """The folders of a service's nodes.

    Parameters
    ----------
    root : Path
        The service's own.
    start : ProviderStart
    options : SlurmOptions
    """

    def __init__(self, root: Path, start: ProviderStart, options: SlurmOptions) -> None:
        self._root, self._start, self._options = root, start, options

    @property
    def script(self) -> Path:
        """Return the file that jobs run."""
        return self._root / START

    def join_folder(self, node_id: str) -> Path:
        """Return the folder that a node's worker is given."""
        return self._root / node_id / JOIN_FOLDER

    def log(self, node_id: str) -> Path:
        """Return the file that a node's job writes to."""
        return self._root / node_id / LOG

    def write(self, node_id: str, kind: NodeType, workers: int) -> None:
        """Write what a node is told, or bring it up to date.

        Raises
        ------
        NodeError
            The file system is away or full (retry).
        """
        join = Join(
            address=self._start.connection.address,
            node_id=node_id,
            workers=workers,
            orphan_s=self._start.orphan_s or ORPHAN_S,
            reachable_urls=self._start.reachable_urls,
            preload=self._start.preload,
            end_s_max=self._options.end_s_max,
            shared_reads_mb=kind.shared_reads_mb,
        )
        folder = self._root / node_id
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_join_folder(folder / JOIN_FOLDER, join, self._start.connection)
            if not self.script.exists() or self.script.read_bytes() != SCRIPT:
                write_secret(self.script, SCRIPT)
        except OSError as error:
            raise _unwritten(folder, error) from error

    def note(self, node_id: str, submitted: Submitted) -> None:
        """Note that a node was submitted.

        Raises
        ------
        NodeError
            The file system is away or full (retry).
        """
        path = self._root / node_id / SUBMITTED
        try:
            write_secret(path, msgspec.json.encode(submitted))
        except OSError as error:
            raise _unwritten(path, error) from error

    def was_submitted(self, node_id: str) -> bool:
        """Tell whether a node was submitted, and not removed since."""
        return (self._root / node_id / SUBMITTED).exists()

    def submitted(self) -> dict[str, Submitted]:
        """Return what came of the submission of each node that was not removed since."""
        found = {}
        for folder in self._each():
            try:
                content = (folder / SUBMITTED).read_bytes()
                found[folder.name] = msgspec.json.decode(content, type=Submitted)
            except FileNotFoundError:
                continue  # It is being submitted, or that was cut short.
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("%s cannot be read: %s", folder / SUBMITTED, error)
        return found

    def workers(self, node_id: str) -> int:
        """Return how many workers a node is to hold; 0 where its folder does not say."""
        try:
            return read_join_folder(self.join_folder(node_id)).workers
        except NodeError:
            return 0

    def last_words(self, node_id: str) -> str:
        """Return the last line of a job's log after a colon; nothing if it has said nothing."""
        try:
            with self.log(node_id).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL))
                lines = file.read(LOG_TAIL).decode(errors="replace").split("\n")
        except OSError:
            return ""
        said = ["".join(filter(str.isprintable, " ".join(each.split()))) for each in lines]
        return next((f": {each[:LINE_MAX]}" for each in reversed(said) if each), "")

    def renew(self, node_ids: Iterable[str]) -> None:
        """Have the certificates of nodes renewed that are due; workers read them by themselves."""
        connection = self._start.connection
        for node_id in node_ids:
            folder = self.join_folder(node_id)
            try:
                join = replace(read_join_folder(folder), address=connection.address)
                write_join_folder(folder, join, connection)
            except (OSError, NodeError) as error:
                _log.warning("node %s: its credentials are not renewed: %s", node_id, error)

    def remove_stale(self, known: Collection[str]) -> None:
        """Remove the folders of creations that were cut short, once that is certain."""
        for folder in self._each():
            if folder.name not in known and not self.was_submitted(folder.name):
                age_s = time.time() - folder.stat().st_mtime
                if age_s > STALE_S:
                    self.remove(folder.name)

    def remove(self, node_id: str) -> None:
        """Remove a node's folder, and have what it was given refused.

        Raises
        ------
        NodeError
            That cannot be written down (retry).
        """
        if self.join_folder(node_id).is_dir():
            self._start.connection.revoke(node_id)
        shutil.rmtree(self._root / node_id, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove the service's folder."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _each(self) -> list[Path]:
        try:
            return [each for each in self._root.iterdir() if each.is_dir()]
        except OSError:
            return []  # Nothing was created yet, or the file system is away: the queue tells.


def _unwritten(path: Path, error: OSError) -> NodeError:
    return NodeError(
        f"{path} cannot be written: {error.strerror}",
        fault=NodeFault.RETRY,
        fix="See the provider's folder, on the cluster's file system",
    )
