"""A folder of any other file system of fsspec: as safe as that file system's own move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from controller.delivery.causes import Cause, network_cause, system_cause
from controller.delivery.moving import put_by_move, remove_leftovers
from controller.delivery.place import BLOCK_BYTES, Content, IsOurs, sha256_of
from controller.product_files import file_name


class OtherPlace:
    """A folder of a file system that fsspec reaches.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    folder : str
        Path on it.
    """

    faults: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = folder.rstrip("/")

    def cause(self, error: Exception) -> Cause:
        """See `Place`."""
        assert isinstance(error, OSError)
        return network_cause(error) or system_cause(error)

    def prepare(self, is_ours: IsOurs) -> None:
        """See `Place`."""
        self._filesystem.makedirs(self._folder, exist_ok=True)
        remove_leftovers(self, is_ours)

    def names(self) -> list[str]:
        """See `Place`."""
        return [file_name(path) for path in self._filesystem.ls(self._folder, detail=False)]

    def has(self, name: str) -> bool:
        """See `Place`."""
        return bool(self._filesystem.exists(self._path(name)))

    def blocks(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        with self._filesystem.open(self._path(name), "rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def sha256(self, name: str) -> str:
        """Return the checksum of what is read back, all of it."""
        return sha256_of(self.blocks(name))

    def put(self, name: str, content: Content) -> None:
        """See `Place`."""
        put_by_move(self, name, content)

    def write(self, name: str, content: Content) -> None:
        """See `Steps`."""
        with self._filesystem.open(self._path(name), "wb") as file:
            for block in content.blocks:
                file.write(block)

    def move(self, name: str, final: str) -> None:
        """See `Steps`."""
        self._filesystem.mv(self._path(name), self._path(final))

    def remove(self, name: str) -> None:
        """See `Place`."""
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(self._path(name))

    def close(self) -> None:
        """See `Place`."""

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"
