"""The worker archive: the Python environment of a node in one file, for hosts without a network.

``make worker-archive`` installs what `requirements/node.txt` pins, checked by hash, and slackwater
itself into a folder, and `pack` makes of it a tar file that unpacks over an empty virtual
environment::

    python3.11 -m venv --without-pip /opt/slackwater
    tar -xzf slackwater-worker-0.1.0-py311-linux_x86_64.tar.gz -C /opt/slackwater

    bin/slackwater                the command
    lib/python3.11/site-packages  every package, compiled
    worker-archive.json           `ArchiveFacts`: for which hosts it is

Nothing is installed on the node but that, so it needs neither pip nor an index. The same sources
and pins give the same bytes.
"""

from __future__ import annotations

import compileall
import gzip
import hashlib
import io
import platform
import re
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from py_compile import PycInvalidationMode

import msgspec

from controller.errors import NodeError, NodeFault

FACTS = "worker-archive.json"
MTIME = 315532800
"""Of every file in it [POSIX s]: 1980-01-01, the first that a wheel can tell."""

INSTALLER_NOTES = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
"""What an installer writes about itself; another one writes other things."""

COMMAND = """\
#!/bin/sh
'''exec' "$(dirname "$(readlink -f "$0")")/python3" "$0" "$@"
' '''
import sys

from controller.cli import main

sys.exit(main())
"""
"""Finds the Python that lies beside it, wherever the environment was unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFacts:
    """For which hosts a worker archive is, and what it holds.

    Parameters
    ----------
    version : str
        Of slackwater.
    python : str
        The version that it needs, as ``3.11``.
    machine : str
        As ``x86_64``.
    glibc : str
        The least that its wheels need, as ``2.28``; empty if none says.
    packages : dict of str to str
        Version of each distribution in it.
    """

    version: str
    python: str
    machine: str
    glibc: str
    packages: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerArchive:
    """A worker archive, as a playbook is told of it."""

    path: Path
    sha256: str
    facts: ArchiveFacts


def read_worker_archive(path: Path) -> WorkerArchive:
    """Return what an archive says of itself, and its hash.

    Raises
    ------
    NodeError
        It cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with tarfile.open(path) as archive:
            first = archive.next()
            found = archive.extractfile(first) if first and first.name == FACTS else None
            facts = msgspec.json.decode(found.read() if found else b"", type=ArchiveFacts)
    except (OSError, tarfile.TarError, msgspec.DecodeError) as error:
        raise NodeError(
            f"the worker archive {path} cannot be read: {error}",
            fault=NodeFault.OURS,
            fix="Make it by `make worker-archive`, and name it in the settings",
        ) from error
    return WorkerArchive(path=path, sha256=sha256, facts=facts)


def pack(packages: Path, folder: Path) -> Path:
    """Make the archive of a folder of installed packages, which is brought into shape for that.

    Parameters
    ----------
    packages : Path
        As an installer leaves it after ``--target``.
    folder : Path
        Where the archive is to lie.

    Returns
    -------
    Path
    """
    facts = facts_of(packages)
    trim(packages)
    python = f"python{facts.python}"
    tag = f"py{facts.python.replace('.', '')}-linux_{facts.machine}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"slackwater-worker-{facts.version}-{tag}.tar.gz"
    draft = path.with_suffix(".draft")
    with (
        draft.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        # First, so that it is read without reading on.
        add(archive, FACTS, msgspec.json.format(msgspec.json.encode(facts), indent=1))
        add(archive, "bin/slackwater", COMMAND.encode(), mode=0o755)
        for each in files_in(packages):
            name = f"lib/{python}/site-packages/{each.relative_to(packages)}"
            add(archive, name, each.read_bytes(), mode=0o755 if each.stat().st_mode & 1 else 0o644)
    return draft.rename(path)


def facts_of(packages: Path) -> ArchiveFacts:
    """Return for which hosts packages are: those like this one, as their wheels allow."""
    found = {each.name: each for each in distributions(path=[str(packages)])}
    tags = "".join(each.read_text("WHEEL") or "" for each in found.values())
    needs = [
        (int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)", tags)
    ]
    return ArchiveFacts(
        version=found["slackwater"].version,
        python=sysconfig.get_python_version(),
        machine=platform.machine(),
        glibc=".".join(map(str, max(needs))) if needs else "",
        packages={name: found[name].version for name in sorted(found)},
    )


def trim(packages: Path) -> None:
    """Remove what no worker needs and what tells of this machine, and compile the rest."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for tests in [each for each in packages.glob("*/**/tests") if each.is_dir()]:
        shutil.rmtree(tests)
    for cache in list(packages.rglob("__pycache__")):
        shutil.rmtree(cache)
    for info in packages.glob("*.dist-info"):
        for note in INSTALLER_NOTES:
            (info / note).unlink(missing_ok=True)
    # Judged by hash or never: every file here has the same time.
    compileall.compile_dir(
        packages,
        quiet=2,
        stripdir=packages,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder in an order of their own."""
    yield from sorted(each for each in folder.rglob("*") if each.is_file())


def add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """Add a file that belongs to root and has no age."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), mode, MTIME
    member.uname = member.gname = "root"
    archive.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
