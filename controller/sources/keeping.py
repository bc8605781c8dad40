"""What a source keeps on disk, so that it comes back with the numbers that it told.

A state or an update is there whole or not at all, and durable before anybody is told of it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from controller.errors import StorageError

PARTIAL = ".partial"
"""Ending of what is being written, or was when the machine stopped."""

_LOST = (
    "Restore the folder of sources from the backup that the store is of, or begin from an index"
    " that was kept (--since)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where one source keeps its state, and what of it counts.

    Parameters
    ----------
    folder : Path
        Of this source alone; made as needed.
    known : int or None
        The last update of the dataset in the journal; None where the journal knows nothing of the
        dataset. What was kept beyond it was never told, and is found anew.
    """

    folder: Path
    known: int | None = None

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of what is kept under names as ``state-{}.json``, ascending."""
        self.assured()
        pattern = re.compile(re.escape(name).replace(r"\{\}", r"(\d{1,12})"))
        found = (pattern.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def write(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file that is there whole, durably, or as it was before.

        Raises
        ------
        StorageError
            There is no room, or the folder cannot be written to.
        """
        self.assured()
        place, partial = self.folder / name, self.folder / f".{name}{PARTIAL}"
        try:
            with partial.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
            _sync(self.folder)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise self._fault(f"{place} cannot be written", error) from error

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where it is not there.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(f"{self.folder / name} cannot be read", error) from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._fault(f"{self.folder / name} cannot be removed", error) from error

    def sweep(self) -> None:
        """Remove what was being written when the machine stopped.

        Raises
        ------
        StorageError
        """
        for path in self.assured().glob(f".*{PARTIAL}"):
            self.remove(path.name)

    def scratch(self) -> IO[bytes]:
        """Return a file without a name, for what is looked at before it counts.

        Raises
        ------
        StorageError
        """
        try:
            return cast(IO[bytes], tempfile.TemporaryFile(dir=self.assured()))
        except OSError as error:
            raise self._fault(f"nothing can be written to {self.folder}", error) from error

    def lost(self, dataset: str) -> StorageError:
        """Return the fault that nothing is kept of what the journal knows of a dataset."""
        return StorageError(
            f"of dataset {dataset} the journal knows update {self.known}, but {self.folder} holds"
            " no state of it",
            fix=_LOST,
            retry=False,
        )

    def assured(self) -> Path:
        """Return the folder, made if need be; of its owner alone.

        Raises
        ------
        StorageError
        """
        try:
            for folder in (*reversed(self.folder.parents), self.folder):
                if not folder.exists():
                    folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._fault(f"the folder {self.folder} cannot be made", error) from error
        return self.folder

    def _fault(self, what: str, error: OSError) -> StorageError:
        return StorageError(f"{what}: {error.strerror or error}", fix="Give it space and rights")


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
