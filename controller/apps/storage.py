"""Writes a file so that it is there whole or not at all."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from controller.errors import StorageError
from controller.reach import reach
from controller.returning import put_by


@contextmanager
def replacing(url: str) -> Iterator[IO[bytes]]:
    """Open a file to write that takes its name, and its predecessor's place, when it is complete.

    Folders are made as needed. Two that write under one name at once do not meet: each writes under
    a name of its own, and the last to finish stands. On a worker that does not see the place it is
    put by (`controller.returning`).

    Raises
    ------
    StorageError
        The place cannot be written to; nothing is left of the attempt.
    """
    filesystem, path = reach(str(put_by(url) or url))
    partial = f"{path}.{secrets.token_hex(4)}.partial"
    try:
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        with filesystem.open(partial, "wb") as file:
            yield file
        filesystem.mv(partial, path)
    except OSError as error:
        _forget(filesystem, partial)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"{url} cannot be written: {error.strerror or error}",
            fix="Free space there; TMPDIR says where temporary files go" if full else "",
        ) from error
    except BaseException:
        _forget(filesystem, partial)
        raise


def read_whole(url: str) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    StorageError
        It is not there or cannot be read.
    """
    filesystem, path = reach(url)
    try:
        content: bytes = filesystem.cat_file(path)
    except FileNotFoundError as error:
        raise StorageError(f"{url} is not there", retry=False) from error
    except OSError as error:
        raise StorageError(f"{url} cannot be read: {error}") from error
    return content


def _forget(filesystem: Any, partial: str) -> None:
    with suppress(OSError):
        filesystem.rm(partial)
