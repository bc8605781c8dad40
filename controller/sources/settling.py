"""Waits for files to rest: one that still grows is not taken."""

from __future__ import annotations

import time
from collections.abc import Callable

from controller.apps.command.listing import Files
from controller.apps.command.orders import ListedFile


class Settling:
    """Holds back files that were not the same for a while.

    It compares looks and reads no times of change, so that it works for stores that have none and
    for clocks that differ.

    Parameters
    ----------
    settle_s : float
        A file counts when it was the same for so long [s]; 0 takes all at once.
    clock : callable
        Returns seconds that never go back.
    """

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._waiting: dict[str, tuple[ListedFile, float]] = {}

    @property
    def waits(self) -> bool:
        """Whether any file was held back at the last look."""
        return bool(self._waiting)

    def rested(self, known: Files, there: Files) -> dict[str, ListedFile]:
        """Return what is there, but files that have not rested as they were known, if they were."""
        now = self._clock()
        restless = {
            path: self._since(path, file, now)
            for path, file in there.items()
            if known.get(path) != file
        }
        self._waiting = {
            path: (there[path], since)
            for path, since in restless.items()
            if now - since < self._settle_s
        }
        taken = {path: file for path, file in there.items() if path not in self._waiting}
        return taken | {path: known[path] for path in self._waiting if path in known}

    def _since(self, path: str, file: ListedFile, now: float) -> float:
        seen, since = self._waiting.get(path, (None, now))
        return since if seen == file else now
