"""A CPU quota for the processes of one node, by Linux control groups, where we may make them.

Both hierarchies are served: the old one, a tree for each controller (v1), and the unified one (v2).
A quota makes a local node a real unit of capacity; where it cannot be had, the node works without,
and says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.errors import NodeError, NodeFault

PERIOD_US = 100_000
"""The kernel's own period [us]: a node over its quota waits at most this long."""

QUOTA_US_MIN = 1_000
"""The kernel takes no smaller quota [us]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupHome:
    """A control group in which groups with a CPU quota can be made.

    Parameters
    ----------
    folder : Path
    version : int
        Of the hierarchy: 1 or 2.
    """

    folder: Path
    version: int

    def make(self, name: str, cores: float) -> None:
        """Make a group that gets this much CPU time [cores]; one that is there gets it anew."""
        group = self.folder / name
        group.mkdir(exist_ok=True)
        quota_us = max(QUOTA_US_MIN, round(cores * PERIOD_US))
        if self.version == 2:
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))

    def move(self, name: str, pid: int) -> None:
        """Move a process, and so all that it starts from now on, into a group."""
        (self.folder / name / "cgroup.procs").write_text(str(pid))

    def remove(self, name: str) -> None:
        """Remove a group without processes, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).rmdir()


def enter(node_folder: Path, cores: float) -> str:
    """Put this process under a quota [cores]; return why not where that cannot be, else nothing."""
    try:
        home = find_home()
        name = group_name(node_folder)
        home.make(name, cores)
        home.move(name, os.getpid())
    except (NodeError, OSError) as error:
        return f"no CPU quota: {error}"
    return ""


def leave(node_folder: Path) -> None:
    """Take this process out of its node's group, and remove the group."""
    with contextlib.suppress(NodeError, OSError):
        home = find_home(inside=group_name(node_folder))
        home.move("", os.getpid())
        home.remove(group_name(node_folder))


def sweep(node_folder: Path) -> None:
    """Remove the group of a node whose supervisor could not."""
    with contextlib.suppress(NodeError, OSError):
        find_home().remove(group_name(node_folder))


def fault() -> str:
    """Return why no quota can be had in this process' place, empty when it can."""
    name = f"slackwater-probe-{os.getpid()}"
    try:
        home = find_home()
        home.make(name, 1)
        home.remove(name)
    except (NodeError, OSError) as error:
        return str(error)
    return ""


def group_name(node_folder: Path) -> str:
    """Return the name of a node's group, its own among all the registries of this machine."""
    registry = hashlib.sha256(bytes(node_folder.parent.resolve())).hexdigest()[:8]
    return f"slackwater-{registry}-{node_folder.name}"


def find_home(proc: Path = Path("/proc/self"), *, inside: str = "") -> GroupHome:
    """Return where groups can be made for a process.

    Parameters
    ----------
    proc : Path
        The process' folder in /proc.
    inside : str, optional
        The process stands in a group of this name of ours, whose home is wanted.

    Raises
    ------
    NodeError
        Nowhere: no such hierarchy, or it is not ours to write.
    """
    try:
        homes = list(_homes(proc, inside))
    except FileNotFoundError:
        homes = []
    for home in homes:
        if os.access(home.folder, os.W_OK):
            return home
    tried = ", ".join(str(home.folder) for home in homes)
    raise NodeError(
        f"control groups with CPU quotas cannot be made in {tried}"
        if tried
        else "this system has no control groups with CPU quotas",
        fault=NodeFault.OURS,
        fix="Delegate one to this user (systemd: Delegate=cpu), or do without quotas",
    )


def _homes(proc: Path, inside: str) -> Iterator[GroupHome]:
    """Return the places to try, nearest to the process first."""
    own = dict(_own_groups(proc))
    for mount, version in _mounts(proc):
        relative = own.get(version, "/").strip("/")
        if inside and relative.rpartition("/")[2] == inside:
            relative = relative.rpartition("/")[0]
        nearest = mount / relative
        if not nearest.is_dir():
            nearest = mount  # In a container, paths may be told from outside.
        if version == 1:
            yield GroupHome(folder=nearest, version=1)
            continue
        for folder in (nearest, *nearest.parents):
            control = folder / "cgroup.subtree_control"
            if control.exists() and "cpu" in control.read_text().split():
                yield GroupHome(folder=folder, version=2)
            if folder == mount:
                break


def _own_groups(proc: Path) -> Iterator[tuple[int, str]]:
    """Return the process' group in each hierarchy that can hold the CPU controller."""
    for line in (proc / "cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(proc: Path) -> Iterator[tuple[Path, int]]:
    """Return where the hierarchies are mounted (proc_pid_mountinfo(5))."""
    for line in (proc / "mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        file_system, _, options = kind.split(" ", 2)
        mount = Path(place.split()[4])
        if file_system == "cgroup2":
            yield mount, 2
        elif file_system == "cgroup" and "cpu" in options.split(","):
            yield mount, 1
