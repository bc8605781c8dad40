"""A dataset of which nothing is known but that it is there: it changes when somebody says so."""

from __future__ import annotations

import hashlib
import threading

import msgspec

from controller.clock import now
from controller.errors import StorageError
from controller.sources.keeping import Memory
from planner.events import UpdateArrived
from planner.model import Observations

NOTHING = Observations(time_s=(), longitude=(), latitude=(), parameter_set=(), parameter_sets=())
"""The base state of a dataset: nothing in it is new."""

IDS_MAX = 4096
"""Announcements that are known again: who repeats one does so within days, not thousands later."""

ANNOUNCED = "announced.json"


class _Announced(msgspec.Struct, frozen=True, kw_only=True):
    """The update that the last announcement is told with, and by what announcements are known."""

    number: int = 0
    ids: tuple[str, ...] = ()


class UnlistedSource:
    """Turns announcements into updates; without one, no update is ever seen.

    Parameters
    ----------
    dataset : str
        Persistent identifier.
    memory : Memory or None
        Where to keep what was announced; None forgets it at the end.

    Raises
    ------
    StorageError
        What was kept cannot be read.
    """

    listing = None
    again_s = None

    def __init__(self, dataset: str, memory: Memory | None = None) -> None:
        self._dataset = dataset
        self._memory = memory
        # Announcements come from other threads than looks.
        self._lock = threading.Lock()
        self._newest = (memory.known or 0) if memory else 0
        self._announced = _Announced()
        if memory is not None and memory.known is not None:
            self._announced = self._kept(memory)

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known."""
        return UpdateArrived(at=now(), dataset=self._dataset, number=0, observations=NOTHING)

    def faults(self) -> tuple[str, ...]:
        """Return none."""
        return ()

    def announce(self, announcement_id: str) -> bool:
        """Take an announcement; durable when it returns.

        Returns
        -------
        bool
            False if it was known already.

        Raises
        ------
        StorageError
            It cannot be kept, and was not taken.
        """
        known_by = hashlib.sha256(announcement_id.encode()).hexdigest()[:32]
        with self._lock:
            if known_by in self._announced.ids:
                return False
            announced = _Announced(
                number=self._newest + 1, ids=(*self._announced.ids, known_by)[-IDS_MAX:]
            )
            if self._memory is not None:
                content = msgspec.json.encode(announced)
                self._memory.write(ANNOUNCED, lambda file: file.write(content))
            self._announced = announced
            return True

    def look(self) -> UpdateArrived | None:
        """Return an update if one was announced since the last; it may concern everybody."""
        with self._lock:
            if self._announced.number <= self._newest:
                return None
            self._newest = self._announced.number
        return UpdateArrived(
            at=now(), dataset=self._dataset, number=self._newest, observations=None
        )

    def _kept(self, memory: Memory) -> _Announced:
        content = memory.read(ANNOUNCED)
        if content is None:
            return _Announced()
        try:
            return msgspec.json.decode(content, type=_Announced)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"{memory.folder / ANNOUNCED} is damaged: {error}",
                fix="Remove it: an announcement that comes again is then taken again",
                retry=False,
            ) from error
