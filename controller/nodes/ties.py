"""What ties a node to its service: who says what it is to hold, who is told, and what ends it.

A node on this machine shares the registry and the process table with its service; one elsewhere
has a join folder (`controller.nodes.joined`). All else is the same supervisor's work.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from controller.nodes.records import (
    ATTACHED,
    DELETION,
    STANDING,
    WANTED,
    Standing,
    Wanted,
    read,
    write,
)
from controller.processes import ProcessMark

LOOKS_PER_ORPHAN = 10
"""A node looks so often in `orphan_s` whether its service is there."""


class Tie(Protocol):
    """Ties one node to its service; its supervisor's only thread calls it."""

    @property
    def life(self) -> int | None:
        """Return the file descriptor that can be read when the node is to end, if there is one."""

    @property
    def next_look(self) -> float | None:
        """Return when `orphaned` is worth asking again [monotonic s]; None is never."""

    def wanted(self) -> int:
        """Return how many workers the node is to hold now."""

    def next_number(self) -> int:
        """Return a number for the next worker that no worker of this node ever had."""

    def orphaned(self) -> str:
        """Return in words that nobody wants the node any more; empty while somebody does."""

    def is_leaving(self) -> bool:
        """Return whether the node was told to go before it came up."""

    def tell(self, standing: Standing) -> None:
        """Tell how the node stands.

        Raises
        ------
        FileNotFoundError
            There is nobody to tell: the node is to end.
        """

    def let_go(self) -> None:
        """Close, in a worker that was just forked, what is the supervisor's only."""


class LocalTie:
    """Ties a node on this machine to the service that shares its registry.

    Parameters
    ----------
    folder : Path
        The node's own in the registry.
    life : int
        File descriptor of a pipe that closes when the nursery ends.
    orphan_s : float or None
        The node does not heed that pipe, and ends when no service has been there for so long [s].
    """

    def __init__(self, folder: Path, life: int, orphan_s: float | None) -> None:
        self._folder = folder
        self._life = life
        self._orphan_s = orphan_s
        self._looks_alone = 0
        self._numbers_used = 0
        self.life = life if orphan_s is None else None
        self.next_look = None if orphan_s is None else time.monotonic()

    def wanted(self) -> int:
        """Return what the registry says."""
        wanted = read(self._folder / WANTED, Wanted)
        return wanted.workers if wanted else 0

    def next_number(self) -> int:
        """Return the next number: this supervisor is the only one that the node ever has."""
        self._numbers_used += 1
        return self._numbers_used - 1

    def orphaned(self) -> str:
        """See whether there is a service, if that is due."""
        now = time.monotonic()
        if self._orphan_s is None or self.next_look is None or now < self.next_look:
            return ""
        # Looks are counted, not seconds: when this process was held up, so was its service.
        self.next_look = now + self._orphan_s / LOOKS_PER_ORPHAN
        service = read(self._folder.parent / ATTACHED, ProcessMark)
        self._looks_alone = 0 if service and service.runs() else self._looks_alone + 1
        if self._looks_alone <= LOOKS_PER_ORPHAN:
            return ""
        return f"no service was there for {self._orphan_s:.0f} s"

    def is_leaving(self) -> bool:
        """Return whether its deletion was asked for while it was being started."""
        return (self._folder / DELETION).exists()

    def tell(self, standing: Standing) -> None:
        """Write it into the registry."""
        write(self._folder / STANDING, standing)

    def let_go(self) -> None:
        """Close the pipe."""
        os.close(self._life)
