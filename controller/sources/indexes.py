"""The profile indexes of an archive, read again only when one of them is another.

What is fetched lies in a file of its own until it is known to be whole: nothing is compared with
half an index.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, cast
from urllib.parse import urlsplit

from controller.apps.argo.archive import Archive, MissingFile
from controller.apps.argo.catalogue import INDEX_NAMES, profile_indexes
from controller.apps.argo.index import Index, read_index
from controller.errors import ArchiveError
from controller.sources.fetching import FolderPlace, Place, WebPlace
from controller.sources.keeping import Memory
from controller.sources.reaching import Limits, Reaching, Unsettled

GZIP_MAGIC = b"\x1f\x8b"

UNPACKED_BYTES_MAX = 16 * 2**30
"""An index that becomes larger than this [bytes] when it is unpacked was made to do harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What the indexes say now, and the stamp of each by its name."""

    indexes: tuple[Index, ...]
    stamps: Mapping[str, str]


class IndexFeed:
    """Reads the indexes of one archive.

    Parameters
    ----------
    archive : Archive
    limits : Limits
    memory : Memory
        In its folder lies what is being fetched.
    """

    def __init__(self, archive: Archive, limits: Limits, memory: Memory) -> None:
        self._archive = archive
        self._memory = memory
        self._place = _place(archive, limits)
        self._missed = ""

    def read(self) -> News:
        """Read the indexes as they are.

        Raises
        ------
        ArchiveError
            There is none, or one cannot be read whole.
        """
        return self._read({})

    def news(self, seen: Mapping[str, str]) -> News | None:
        """Read the indexes if one of those that were seen is another; None if all are the same.

        Parameters
        ----------
        seen : mapping of str to str
            The stamps of `News`; none reads in any case.

        Raises
        ------
        ArchiveError
            As `read`.
        """
        if not seen:
            return self.read()
        for name, stamp in seen.items():
            with self._memory.scratch() as file:
                try:
                    changed = self._place.fetch(name, stamp, file)
                except MissingFile:
                    return self._without(name)
                self._missed = "" if self._missed == name else self._missed
                if changed is not None:
                    return self._read({name: _Fetched(file=file, stamp=changed)})
        return None

    def _without(self, name: str) -> News:
        """Read what there is without an index that was there, if it was not there twice.

        Beside it may lie an older one, whose rows would be told as if they were new.
        """
        if self._missed != name:
            self._missed = name
            raise Unsettled(f"{name} of {self._shown} is gone; it may be being replaced")
        return self.read()

    def _read(self, fetched: Mapping[str, _Fetched]) -> News:
        kinds = INDEX_NAMES.values()
        found = [each for names in kinds if (each := self._first(self._ordered(names), fetched))]
        if not found:
            self._archive.filesystem.invalidate_cache()
            there = profile_indexes(self._archive)
            raise ArchiveError(f"{', '.join(there)} of {self._shown} cannot be reached", retry=True)
        return News(
            indexes=tuple(index for index, _ in found),
            stamps={index.name: stamp for index, stamp in found},
        )

    def _ordered(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names to try for a kind of profiles, the best first."""
        # Over a network what is packed is a fifth.
        return names if _is_here(self._archive) else tuple(reversed(names))

    def _first(
        self, names: tuple[str, ...], fetched: Mapping[str, _Fetched]
    ) -> tuple[Index, str] | None:
        for name in names:
            if name in fetched:
                return self._parsed(name, fetched[name].file), fetched[name].stamp
            with self._memory.scratch() as file:
                try:
                    stamp = self._place.fetch(name, None, file)
                except MissingFile:
                    continue
                assert stamp is not None
                return self._parsed(name, file), stamp
        return None

    def _parsed(self, name: str, file: IO[bytes]) -> Index:
        file.seek(0)
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        what = f"{name} of {self._shown}"
        with Reaching(what):
            whole = _Whole(cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file, what)
            index = read_index(cast(IO[bytes], whole), name)
        whole.assure_end()
        return index

    @property
    def _shown(self) -> str:
        return f"the archive {self._archive.address.shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """An index that was fetched already."""

    file: IO[bytes]
    stamp: str


class _Whole:
    """A stream that is read to its end, within limits, and must end with a whole line.

    Rows can be cut off anywhere when a file is written while it is read, and a row that ends in the
    middle of its last column looks like a changed one.
    """

    def __init__(self, stream: IO[bytes], what: str) -> None:
        self._stream = stream
        self._what = what
        self._taken_bytes = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        return self._counted(self._stream.read(size))

    def readline(self, size: int) -> bytes:
        """Return the next line, or its beginning."""
        return self._counted(self._stream.readline(size))

    def assure_end(self) -> None:
        """Make sure that the last line was whole.

        Raises
        ------
        ArchiveError
        """
        if self._last != b"\n":
            raise ArchiveError(
                f"{self._what} breaks off within a line",
                fix="It may be half written: look again when it is whole",
                retry=True,
            )

    def _counted(self, block: bytes) -> bytes:
        self._taken_bytes += len(block)
        self._last = block[-1:] or self._last
        if self._taken_bytes > UNPACKED_BYTES_MAX:
            raise ArchiveError(f"{self._what} has more than {UNPACKED_BYTES_MAX:,} bytes unpacked")
        return block


def _place(archive: Archive, limits: Limits) -> Place:
    url, filesystem = archive.address.url, archive.filesystem
    if urlsplit(url).scheme in ("http", "https"):
        headers = (getattr(filesystem, "kwargs", None) or {}).get("headers") or {}
        return WebPlace(url=url, limits=limits, headers=headers)
    return FolderPlace(
        filesystem=filesystem, root=archive.root, shown=archive.address.shown, limits=limits
    )


def _is_here(archive: Archive) -> bool:
    return "://" not in archive.address.url or archive.address.url.startswith("file:")
