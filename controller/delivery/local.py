"""A folder of this machine, or of one that is mounted here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from controller.delivery.causes import Cause, system_cause
from controller.delivery.moving import put_by_move, remove_leftovers
from controller.delivery.place import BLOCK_BYTES, Content, IsOurs, sha256_of


class LocalPlace:
    """A folder of the local file system.

    Parameters
    ----------
    folder : str
        Absolute path.
    """

    faults: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def cause(self, error: Exception) -> Cause:
        """See `Place`."""
        assert isinstance(error, OSError)
        return system_cause(error)

    def prepare(self, is_ours: IsOurs) -> None:
        """See `Place`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self, is_ours)

    def names(self) -> list[str]:
        """See `Place`."""
        return [path.name for path in self._folder.iterdir()]

    def has(self, name: str) -> bool:
        """See `Place`."""
        return (self._folder / name).exists()

    def blocks(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        with (self._folder / name).open("rb") as file:
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
        with (self._folder / name).open("wb") as file:
            file.writelines(content.blocks)
            file.flush()
            os.fsync(file.fileno())

    def move(self, name: str, final: str) -> None:
        """See `Steps`."""
        (self._folder / name).replace(self._folder / final)
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, name: str) -> None:
        """See `Place`."""
        with suppress(FileNotFoundError):
            (self._folder / name).unlink()

    def close(self) -> None:
        """See `Place`."""
