"""What one run of a command leaves: one line of JSON that says what it is, then the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from controller.apps.command.orders import Form, Join, ListedFile
from controller.apps.storage import replacing
from controller.errors import CommandError, StorageError
from controller.reach import reach
from planner.model import Fragment

BLOCK_BYTES = 2**20
"""Copied at once [bytes]: large enough for a far store, small beside a worker's memory."""

HEAD_BYTES_MAX = 64 * 2**20
"""Longest first line of a fragment [bytes]: it names the files that its part was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line of a fragment.

    Parameters
    ----------
    dataset : str
    bbox : tuple of float
    datetime : str
        What the command was to keep.
    rows : int
        Lines below the header; of what is no text 1, or 0 where nothing was found.
    size_bytes : int
    sha256 : str
        Both of the bytes that the command has written.
    tool_version : str
        What its version command printed.
    files : tuple of ListedFile or None
        Those it was given.
    """

    dataset: str
    bbox: tuple[float, ...]
    datetime: str
    rows: int
    size_bytes: int
    sha256: str
    tool_version: str
    files: tuple[ListedFile, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a command has written: how much, and its checksum."""

    lines: int
    size_bytes: int
    sha256: str

    def rows(self, form: Form) -> int:
        """Return what counts as rows of it (see `Head`)."""
        if form.join is Join.LINES:
            return max(0, self.lines - form.header_lines)
        return int(self.size_bytes > 0)


@contextmanager
def written_file(path: Path, size_bytes_max: int) -> Iterator[IO[bytes]]:
    """Open the file that a command was to write, and no other that it may have put there.

    Raises
    ------
    CommandError
        There is none; it is a link, a folder or a pipe; it is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CommandError(
            "the command ended well but wrote no fragment",
            fix=f"It must write {{fragment}} (named {path.name}), empty where it found nothing",
        ) from None
    except OSError as error:
        raise CommandError(
            f"the fragment {path.name} is no regular file: {error.strerror}",
            fix="The command must write the bytes themselves, not link to them",
        ) from error
    try:
        _refuse_odd_file(path, os.fstat(descriptor), size_bytes_max)
    except CommandError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _refuse_odd_file(path: Path, found: os.stat_result, size_bytes_max: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(
            f"the fragment {path.name} is no regular file",
            fix="The command must write one file; an archive of several will do",
        )
    if found.st_size > size_bytes_max:
        raise CommandError(
            f"the fragment has more than {size_bytes_max:,} bytes",
            fix="Raise output_bytes_max of its dataset, or have more parts cut",
        )


def measured(file: IO[bytes]) -> Found:
    """Read a file to its end; a last line without its newline counts too."""
    found, lines, size_bytes, last = hashlib.sha256(), 0, 0, b"\n"
    while block := file.read(BLOCK_BYTES):
        found.update(block)
        lines += block.count(b"\n")
        size_bytes += len(block)
        last = block[-1:]
    return Found(lines=lines + (last != b"\n"), size_bytes=size_bytes, sha256=found.hexdigest())


def write_fragment(url: str, head: Head, file: IO[bytes]) -> Fragment:
    """Write a fragment, there whole or not at all.

    Raises
    ------
    StorageError
        It cannot be written.
    CommandError
        The bytes are no longer those of the head: the command, or what it started, still writes.
    """
    whole, body = hashlib.sha256(), hashlib.sha256()
    line = json.dumps(asdict(head)).encode() + b"\n"
    size_bytes = len(line)
    with replacing(url) as out:
        out.write(line)
        whole.update(line)
        while block := file.read(BLOCK_BYTES):
            out.write(block)
            whole.update(block)
            body.update(block)
            size_bytes += len(block)
        if body.hexdigest() != head.sha256:
            raise CommandError("the fragment changed while it was read", retry=True)
    return Fragment(url=url, rows=head.rows, size_bytes=size_bytes, sha256=whole.hexdigest())


@contextmanager
def reading(fragment: Fragment) -> Iterator[tuple[Head, Callable[[], bytes]]]:
    """Open a fragment: what it is, and a function that returns its next bytes, empty at the end.

    Raises
    ------
    StorageError
        It is gone, cannot be read, or was read to its end and is not what its part has left.
    """
    filesystem, path = reach(fragment.url)
    try:
        with filesystem.open(path, "rb") as file:
            yield from _opened(fragment, file)
    except FileNotFoundError as error:
        raise StorageError(f"{fragment.url} is not there", retry=False) from error
    except OSError as error:
        raise StorageError(f"{fragment.url} cannot be read: {error.strerror or error}") from error


def _opened(fragment: Fragment, file: IO[bytes]) -> Iterator[tuple[Head, Callable[[], bytes]]]:
    line = file.readline(HEAD_BYTES_MAX)
    whole = hashlib.sha256(line)

    def block() -> bytes:
        read = file.read(BLOCK_BYTES)
        whole.update(read)
        if not read and whole.hexdigest() != fragment.sha256:
            raise _changed(fragment)
        return read

    yield _head(fragment, line), block


def _head(fragment: Fragment, line: bytes) -> Head:
    try:
        told: dict[str, Any] = json.loads(line)
        files = told.pop("files")
        named = None if files is None else tuple(ListedFile(**file) for file in files)
        return Head(**told | {"bbox": tuple(told["bbox"])}, files=named)
    except (ValueError, KeyError, TypeError) as error:
        raise _changed(fragment) from error


def _changed(fragment: Fragment) -> StorageError:
    return StorageError(
        f"{fragment.url} is not what its part has left",
        fix="Its task must be run again",
        retry=False,
    )
