"""What delivery asks of a destination: one folder, whose files appear whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from controller.delivery.causes import Cause

BLOCK_BYTES = 4 * 2**20
"""Copied at once [bytes]: large enough for a far store, small beside a worker's memory."""

IsOurs = Callable[[str], bool]
"""Tells whether a file of this name belongs to the product at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file is to hold, to be read once.

    Parameters
    ----------
    size_bytes : int
    blocks : iterator of bytes
    """

    size_bytes: int
    blocks: Iterator[bytes]


class Place(Protocol):
    """A folder at a destination; names are those of files in it, without a path.

    A name that is not there is a FileNotFoundError; all that goes wrong is one of `faults`.
    """

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What this place's calls may raise when the world is at fault."""
        ...

    def cause(self, error: Exception) -> Cause:
        """Return what one of `faults` means."""
        ...

    def prepare(self, is_ours: IsOurs) -> None:
        """Make the folder, and remove what a `put` that was cut short left of files of ours."""
        ...

    def names(self) -> list[str]:
        """Return the names of what lies in the folder."""
        ...

    def has(self, name: str) -> bool:
        """Tell whether a file is there."""
        ...

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield what a file holds."""
        ...

    def sha256(self, name: str) -> str:
        """Return the checksum of what a file holds, as this place can prove it."""
        ...

    def put(self, name: str, content: Content) -> None:
        """Store a file, proved to be what was sent; it appears, or is replaced, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def close(self) -> None:
        """Let go of what the place holds open."""
        ...


def sha256_of(blocks: Iterable[bytes]) -> str:
    """Return the SHA-256 of what is read, as hexadecimal digits."""
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()
