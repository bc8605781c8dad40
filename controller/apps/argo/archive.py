"""Reads an Argo archive (GDAC layout): index files at the top, one profile a file below ``dac/``.

Where it lies is an fsspec URL. What an index names is foreign input: every path is confined to
``dac/`` before a file system sees it.
"""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, cast

from controller.apps.argo.orders import ArchiveAddress
from controller.errors import ArchiveError
from controller.reach import reach

FILE_BYTES_MAX = 256 * 1024 * 1024
"""Largest file read whole [bytes]: ten times what the largest profile file of the GDAC has."""

PATH_LENGTH_MAX = 200
"""Longest path below ``dac/`` [characters]; GDAC paths have about 45."""

INDEX_ENDINGS = (".txt", ".txt.gz", ".csv", ".csv.gz")

_UNREADABLE = (OSError, EOFError, zlib.error)
"""What is raised for a file that is there but cannot be read, or is packed but torn."""


class MissingFile(ArchiveError):
    """The archive has no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBytes:
    """The bytes of a profile file, and the path below ``dac/`` that they were really read from."""

    path: str
    content: bytes


def open_archive(address: ArchiveAddress) -> Archive:
    """Reach the archive at an address; nothing is read yet.

    Raises
    ------
    ArchiveError
        The URL names a protocol that is unknown or not installed here.
    """
    try:
        filesystem, root = reach(address.url)
    except (ImportError, ValueError, OSError) as error:
        raise ArchiveError(
            f"archive {address.shown} cannot be opened: {error}",
            fix="Give a folder or an fsspec URL whose protocol is installed",
        ) from error
    return Archive(address=address, filesystem=filesystem, root=root.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive that can be read from; make it with `open_archive`.

    Parameters
    ----------
    address : ArchiveAddress
    filesystem : fsspec.AbstractFileSystem
    root : str
        The archive's folder as the file system names it.
    """

    address: ArchiveAddress
    filesystem: Any = field(repr=False)
    root: str = field(repr=False)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file, after the archive's declared latency.

        Parameters
        ----------
        path : str
            Below ``dac/``, as an index names it.

        Raises
        ------
        MissingFile
            The archive has no such file.
        ArchiveError
            The path leads out of ``dac/``, or the file is too large or cannot be read.
        """
        place = self._place(path)
        if self.address.read_latency_s > 0:
            time.sleep(self.address.read_latency_s)
        with self._faults_named(path):
            self._refuse_odd_file(place, path)
            return cast(bytes, self.filesystem.cat_file(place))

    def read_profile(self, path: str) -> ProfileBytes:
        """Return a profile file, or its delayed-mode sibling where it was renamed since the index.

        Raises
        ------
        MissingFile
            Neither the file nor its sibling is there.
        ArchiveError
            As `read`.
        """
        try:
            return ProfileBytes(path=path, content=self.read(path))
        except MissingFile:
            sibling = delayed_sibling(path)
            if sibling is None:
                raise
        try:
            return ProfileBytes(path=sibling, content=self.read(sibling))
        except MissingFile as error:
            raise MissingFile(
                f"the archive {self.address.shown} has neither {path} nor its delayed-mode"
                f" {sibling}"
            ) from error

    def exists(self, path: str) -> bool:
        """Tell whether a file stands below ``dac/``.

        Raises
        ------
        ArchiveError
            The path leads out of ``dac/``.
        """
        return bool(self.filesystem.isfile(self._place(path)))

    def size_bytes(self, path: str) -> int:
        """Return the size of a profile file, or of its delayed-mode sibling where it was renamed.

        Raises
        ------
        MissingFile
            Neither the file nor its sibling is there.
        ArchiveError
            As `read`.
        """
        sibling = delayed_sibling(path)
        if sibling is not None and not self.exists(path):
            path = sibling
        place = self._place(path)
        with self._faults_named(path):
            return int(self.filesystem.size(place) or 0)

    def listing(self, folder: str) -> tuple[str, ...]:
        """Return the paths of the files in a folder below ``dac/``, sorted.

        Raises
        ------
        MissingFile
            There is no such folder.
        ArchiveError
            The path leads out of ``dac/``, or the folder cannot be read.
        """
        place = self._place(folder)
        with self._faults_named(folder):
            return tuple(f"{folder.strip('/')}/{name}" for name in self._file_names(place))

    def index_names(self) -> tuple[str, ...]:
        """Return the names of the index files at the top of the archive, sorted.

        Raises
        ------
        ArchiveError
            The folder does not exist or cannot be read.
        """
        place = self.root or "/"
        with self._faults_named("its folder"):
            if not self.filesystem.isdir(place):
                there = self.filesystem.exists(place)
                what = "is no folder" if there else "is not there, or not to be seen"
                raise ArchiveError(
                    f"the archive {self.address.shown} {what}",
                    fix="Give the folder that holds the index files and dac/",
                )
            names = self._file_names(place)
        return tuple(name for name in names if "index" in name and name.endswith(INDEX_ENDINGS))

    def assure_presence(self, known: Iterable[str]) -> None:
        """Make sure that the archive is still there: it had an index when it was opened.

        Parameters
        ----------
        known : iterable of str
            Names that indexes have: web servers need not list what they serve.

        Raises
        ------
        ArchiveError
            It is gone, or its folder is as empty as the place where a disk was mounted.
        """
        try:
            names = self.index_names()
        except ArchiveError as error:
            if self._has_any(known):
                return
            raise ArchiveError(error.what, fix=error.fix, retry=True) from error
        if not names:
            raise ArchiveError(
                f"the archive {self.address.url} has no index files any more",
                fix="It may be away: see that its folder is mounted",
                retry=True,
            )

    def _has_any(self, names: Iterable[str]) -> bool:
        with suppress(*_UNREADABLE):
            return any(self.filesystem.exists(self._index_place(name)) for name in names)
        return False

    @contextmanager
    def open_index(self, name: str) -> Iterator[IO[bytes]]:
        """Open an index file at the top of the archive, unpacked if its name ends in ``.gz``.

        Raises
        ------
        MissingFile
            There is no such index.
        ArchiveError
            The name is no plain file name, or the file breaks off or cannot be read.
        """
        place = self._index_place(name)
        with self._faults_named(name), self.filesystem.open(place, "rb") as packed:
            if not name.endswith(".gz"):
                # Remote files do not know how to read a line of a bounded length.
                yield io.BufferedReader(cast(io.RawIOBase, packed))
                return
            with gzip.GzipFile(fileobj=packed) as unpacked:
                yield cast(IO[bytes], unpacked)

    def _index_place(self, name: str) -> str:
        if "/" in confined(name):
            raise ArchiveError(f"{name!r} is no name of an index file")
        return f"{self.root}/{name}"

    def _place(self, path: str) -> str:
        return f"{self.root}/dac/{confined(path)}"

    def _file_names(self, place: str) -> list[str]:
        entries = self.filesystem.ls(place, detail=True)
        return sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == "file")

    def _refuse_odd_file(self, place: str, path: str) -> None:
        # Remote stores charge a request for this, and hold neither pipes nor devices.
        if "file" not in _protocols(self.filesystem):
            return
        facts = self.filesystem.info(place)
        if facts["type"] != "file":
            raise ArchiveError(f"{path} in archive {self.address.shown} is no regular file")
        if facts["size"] > FILE_BYTES_MAX:
            raise ArchiveError(
                f"{path} in archive {self.address.shown} has {facts['size']} bytes, "
                f"more than the {FILE_BYTES_MAX} that a profile file may have"
            )

    @contextmanager
    def _faults_named(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise MissingFile(f"the archive {self.address.shown} has no {path}") from error
        except _UNREADABLE as error:
            raise ArchiveError(
                f"{path} in archive {self.address.shown} cannot be read: {error}"
            ) from error


def confined(path: str) -> str:
    """Return a path that an index names, sure to stay below the folder it is joined to.

    Raises
    ------
    ArchiveError
        It is empty, absolute, overlong, steps upward or holds what no GDAC path holds.
    """
    steps = path.split("/")
    # A colon could make a URL or a drive of it; fsspec would also expand a "::" chain.
    odd = not path.isprintable() or any(sign in path for sign in ":\\~*?[]")
    if odd or len(path) > PATH_LENGTH_MAX or any(step in ("", ".", "..") for step in steps):
        raise ArchiveError(
            f"{path[:PATH_LENGTH_MAX]!r} is no path in an Argo archive",
            fix="The index names a file that no Argo archive can have: mend or replace the index",
        )
    return path


def delayed_sibling(path: str) -> str | None:
    """Return the path that a real-time profile file is renamed to in delayed mode, or None.

    ``R`` becomes ``D``, ``BR`` ``BD`` and ``SR`` ``SD``; any other file has no such sibling.
    """
    folder, slash, name = path.rpartition("/")
    for real_time, delayed in (("R", "D"), ("BR", "BD"), ("SR", "SD")):
        if name.startswith(real_time) and name[len(real_time) : len(real_time) + 1].isdigit():
            return f"{folder}{slash}{delayed}{name[len(real_time) :]}"
    return None


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
