"""Files that appear by a move: written under a temporary name, read back, moved in one step."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from controller.delivery.place import Content, IsOurs
from controller.errors import DeliveryError

_TOKEN_BYTES = 4

_TEMPORARY = re.compile(rf"\.(.+)\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.part", re.DOTALL)


class Steps(Protocol):
    """What a place does to store a file by a move."""

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """See `Place`."""
        ...

    def names(self) -> list[str]:
        """See `Place`."""
        ...

    def sha256(self, name: str) -> str:
        """See `Place`."""
        ...

    def remove(self, name: str) -> None:
        """See `Place`."""
        ...

    def write(self, name: str, content: Content) -> None:
        """Write a file; others may see it while it grows."""
        ...

    def move(self, name: str, final: str) -> None:
        """Give a file its final name in one step, whatever has that name."""
        ...


def put_by_move(steps: Steps, name: str, content: Content) -> None:
    """Store a file so that it appears whole.

    Raises
    ------
    DeliveryError
        What arrived is not what was sent.
    """
    temporary = f".{name}.{secrets.token_hex(_TOKEN_BYTES)}.part"
    sent = hashlib.sha256()
    try:
        steps.write(
            temporary, Content(size_bytes=content.size_bytes, blocks=_told(content.blocks, sent))
        )
        if steps.sha256(temporary) != sent.hexdigest():
            raise DeliveryError(f"{name} was damaged on its way")
        steps.move(temporary, name)
    except BaseException:
        with suppress(*steps.faults):
            steps.remove(temporary)
        raise


def remove_leftovers(steps: Steps, is_ours: IsOurs) -> None:
    """Remove what writing was cut short of files of ours."""
    for name in steps.names():
        found = _TEMPORARY.fullmatch(name)
        if found and is_ours(found[1]):
            steps.remove(name)


def _told(blocks: Iterator[bytes], sent: hashlib._Hash) -> Iterator[bytes]:
    for block in blocks:
        sent.update(block)
        yield block
