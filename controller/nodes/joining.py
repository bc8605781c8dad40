"""The join folder: all that a node on another machine needs in order to join, in one folder.

The service writes it, and whoever brings the node up brings the folder there: as files of a
playbook, a mounted Secret, or a shared file system. ``slackwater worker`` on the node reads it and
never writes into it::

    join.json         a `Join`
    authority.pem     the certificate of the service's authority
    credentials.pem   the node's own certificate and private key; a secret, mode 0600
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from controller.authority import write_secret
from controller.build import VERSION
from controller.errors import NodeError, NodeFault
from controller.nodes.records import NODE_ID
from controller.ports import WorkerConnection

JOIN = "join.json"

Number = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """What a node is told that joins from another machine.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``tls://10.0.0.5:34567``: `WorkerConnection.address`.
    node_id : str
    workers : int
        How many it is to hold; may change while it stands.
    orphan_s : float
        A node that cannot reach the scheduler for this long ends [s].
    reachable_urls : tuple of str
        Folders (fsspec) that each worker must see before it joins: the archives, say. Fragments for
        a folder of the service's machine that is not among them come back with their receipts.
    preload : tuple of str
        Modules that parts need and that take long to import.
    restarts_max : int
        Restarts for each worker in a minute; one more, and the node gives up.
    end_s_max : float
        A worker that was told to end is killed after this time [s]: so long its part may end.
    shared_reads_mb : float
        Disc space for what the workers have read and share [MB]; 0 shares nothing.
    version : str
        Of slackwater; the node's must be the same.
    """

    address: str
    node_id: str
    workers: Number
    orphan_s: Seconds = 300.0
    reachable_urls: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    restarts_max: Number = 5
    end_s_max: Seconds = 60.0
    shared_reads_mb: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    version: str = VERSION


def write_join_folder(folder: Path, join: Join, connection: WorkerConnection) -> None:
    """Write the join folder of a node, or bring one up to date.

    Each file is replaced as a whole, and credentials are made anew only when that is due, so it may
    be called as often as one likes.

    Parameters
    ----------
    folder : Path
        Is made with mode 0700.
    join : Join
    connection : WorkerConnection
        The service's own: it issues credentials.

    Raises
    ------
    OSError
        It cannot be written.
    """
    assert NODE_ID.fullmatch(join.node_id), "a node's id names its workers and its files"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    connection.of_node(join.node_id, folder)
    encoded = msgspec.json.format(msgspec.json.encode(join), indent=2)
    if not (folder / JOIN).exists() or (folder / JOIN).read_bytes() != encoded:
        write_secret(folder / JOIN, encoded)


def read_join_folder(folder: Path) -> Join:
    """Return what a join folder tells the node.

    Raises
    ------
    NodeError
        It is not there or not whole, others may write it, or it is of another version.
    """
    path = folder / JOIN
    try:
        content = path.read_bytes()
        open_to_others = path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        version = msgspec.json.decode(content, type=_Version).version
        _check_version(path, version)
        join = msgspec.json.decode(content, type=Join)
    except OSError as error:
        raise _refusal(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise _refusal(f"{path} is not what a service writes: {error}") from error
    if open_to_others:
        raise NodeError(
            f"others may write {path}",
            fault=NodeFault.OURS,
            fix="It decides what runs here: chmod 600",
        )
    if not NODE_ID.fullmatch(join.node_id):
        raise _refusal(f"{path} names the node {join.node_id!r}")
    return join


class _Version(msgspec.Struct):
    """What every version writes."""

    version: str


def _check_version(path: Path, version: str) -> None:
    """Refuse another version's folder before anything else of it is understood."""
    if version != VERSION:
        raise NodeError(
            f"{path} is of slackwater {version}, this is {VERSION}",
            fault=NodeFault.OURS,
            fix=f"Install slackwater {version} here",
        )


def _refusal(what: str) -> NodeError:
    return NodeError(what, fault=NodeFault.OURS, fix="Bring the node's join folder there again")
