"""Where a service's data folder is at home, so that a copy of it is noticed.

Nodes elsewhere are told apart by a mark that lies in the data folder. A copy of the folder has the
same mark: of two services with it each takes the other's nodes for nobody's, and deletes them. So
the folder says where it stands, and one that stands elsewhere than it says is not begun with before
somebody has told which of the two it is.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.authority import write_secret
from controller.errors import NodeError, NodeFault

HOME = "service-home"
"""In the data folder, beside the mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a data folder stands.

    Parameters
    ----------
    host, path : str
    inode : int
        Of the file that holds the mark: a copy has another one, a folder that was moved has not.
    """

    host: str
    path: str
    inode: int


def claim_home(folder: Path, mark: Path) -> None:
    """Have a data folder say where it stands.

    Parameters
    ----------
    folder : Path
    mark : Path
        The file in it that says which nodes are the service's.

    Raises
    ------
    NodeError
        It is a copy: both its place and its files are others than it says.
    """
    path = folder / HOME
    here = Home(host=socket.gethostname(), path=str(folder.resolve()), inode=mark.stat().st_ino)
    told = _read(path)
    # Neither alone tells a copy: a container's host has a new name each time, and a folder that was
    # restored to its place has new files.
    if told and told.inode != here.inode and (told.host, told.path) != (here.host, here.path):
        raise NodeError(
            f"{folder} is a copy of {told.path} on {told.host}: a service on each would take the "
            "other's nodes for nobody's and delete them",
            fault=NodeFault.OURS,
            fix=f"If that one runs no more, remove {path}; if it does, remove {path} and {mark} "
            "here: this one gets a mark of its own",
        )
    if told != here:
        write_secret(path, json.dumps(asdict(here)).encode())


def _read(path: Path) -> Home | None:
    """Return what a folder says; nothing where it says nothing that is understood."""
    try:
        return Home(**json.loads(path.read_bytes()))
    except (FileNotFoundError, TypeError, ValueError):
        return None
