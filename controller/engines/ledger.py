"""The ledger of a scheduler that outlives its service: what it was sent, and what became of that.

Dask forgets a part as soon as the client that sent it is gone. The ledger wants every part by
itself, until it has ended; then it keeps its end, which is a receipt of some hundred bytes, until a
service says that it has written it down. So what runs goes on without a service, and what ends
meanwhile is told to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from controller.engines.messages import (
    Carried,
    End,
    Message,
    PartDone,
    PartLost,
    PartOver,
    PartRefused,
)

KEEPER = "slackwater-ledger"
"""The client, as Dask sees it, that wants what the ledger keeps."""

PART = "part"

ENDS_MAX = 100_000
"""Ends that are kept (some 50 MB); far more than can be under way. The oldest goes first, and its
part runs again."""

PartKey = tuple[str, str, int, str, int]
"""Dask's name of a part that was sent: "part", its id, its attempt, the name of its worker, and a
number that makes it the only one. Dask groups by what stands first: one group, however many."""

AttemptKey = tuple[str, int]


def key_of(part_id: str, attempt: int, worker_name: str, number: int) -> PartKey:
    """Return Dask's name of a part."""
    return (PART, part_id, attempt, worker_name, number)


def is_part(key: object) -> bool:
    """Return whether Dask's name of something is a part's."""
    return isinstance(key, tuple) and len(key) == 5 and key[0] == PART


def attempt_of(key: PartKey) -> AttemptKey:
    """Return which attempt a part that was sent is."""
    return key[1], key[2]


class Ledger(SchedulerPlugin):
    """Keeps parts and their ends for a service that may be away.

    Parameters
    ----------
    scheduler : Scheduler
    tell : callable
        Tells a message to the services that listen.
    epitaph : callable
        Returns why a worker of this name ended.
    """

    name = KEEPER

    def __init__(
        self,
        scheduler: Scheduler,
        tell: Callable[[Message], None],
        epitaph: Callable[[str], str],
    ) -> None:
        self._scheduler = scheduler
        self._tell = tell
        self._epitaph = epitaph
        self._carried: dict[AttemptKey, PartKey] = {}
        self._noted: set[AttemptKey] = set()
        self._adopted: set[PartKey] = set()
        self._ended: dict[AttemptKey, End] = {}

    def update_graph(self, scheduler: Scheduler, *, keys: set[Any], **_: Any) -> None:
        """See parts come, and want them."""
        # What a later service has adopted is not sent anew but by one that it has replaced.
        parts = [key for key in keys if is_part(key) and self._carried_as(key) not in self._adopted]
        scheduler.client_desires_keys(parts, KEEPER)
        for key in parts:
            before = self._carried_as(key)
            self._carried[attempt_of(key)] = key
            if before is not None:  # It was taken back, and that word comes after this one.
                asyncio.get_running_loop().call_soon(self._release, before)

    def transition(self, key: Any, start: str, finish: str, *_: Any, **details: Any) -> None:
        """See a part end, in whatever way."""
        if not is_part(key) or self._carried_as(key) != key:
            return
        if finish == "memory":
            self._conclude(key, self._lost(key, "it ended without a receipt"))
        elif finish == "erred":
            self._conclude(key, self._failed(key, details.get("exception_text")))
        elif finish == "no-worker":
            self._conclude(key, self._lost(key, self._epitaph(key[3])))
        elif finish == "forgotten":
            self._drop(key)

    def note(self, receipt: PartDone | PartRefused) -> None:
        """Take in what a worker says of a part that it is about to end."""
        if (receipt.part_id, receipt.attempt) in self._carried:
            self._noted.add((receipt.part_id, receipt.attempt))
        self._keep(receipt)

    async def take_back_parts(self, keys: Iterable[Sequence[Any]]) -> None:
        """Want these parts no more: their service will send them anew."""
        for part_id, attempt, name, number in keys:
            key = key_of(part_id, attempt, name, number)
            self._drop(key)
            self._release(key)

    async def acknowledge_parts(self, attempts: Iterable[Sequence[Any]]) -> None:
        """Forget the ends of attempts: a service has written them down."""
        for part_id, attempt in attempts:
            self._ended.pop((part_id, attempt), None)

    def adopt(self) -> tuple[list[Carried], list[End]]:
        """Return what is under way and what ended, to a service that attaches itself.

        It did not send those parts, so Dask does not tell it of their ends: the ledger will.
        """
        self._adopted.update(self._carried.values())
        ended = list(self._ended.values())
        carried = [
            Carried(part_id=part_id, attempt=attempt, name=name)
            for _, part_id, attempt, name, _ in self._carried.values()
        ]
        return carried, ended

    def _carried_as(self, key: PartKey) -> PartKey | None:
        """Return the part that was sent last for the same attempt."""
        return self._carried.get(attempt_of(key))

    def _conclude(self, key: PartKey, end: End) -> None:
        attempt = attempt_of(key)
        if attempt in self._noted:
            # Its receipt came first, and may even be acknowledged already.
            end = self._ended.get(attempt, end)
        else:
            self._keep(end)
        if key in self._adopted:
            self._tell(PartOver(name=key[3], end=end))
        self._drop(key)
        # Not within a transition of that very part.
        asyncio.get_running_loop().call_soon(self._release, key)

    def _keep(self, end: End) -> None:
        """Keep the first end that is known of an attempt."""
        self._ended.setdefault((end.part_id, end.attempt), end)
        if len(self._ended) > ENDS_MAX:
            del self._ended[next(iter(self._ended))]

    def _drop(self, key: PartKey) -> None:
        if self._carried_as(key) == key:
            del self._carried[attempt_of(key)]
            self._noted.discard(attempt_of(key))
        self._adopted.discard(key)

    def _release(self, key: PartKey) -> None:
        self._scheduler.client_releases_keys([key], KEEPER)

    def _lost(self, key: PartKey, reason: str) -> PartLost:
        return PartLost(part_id=key[1], attempt=key[2], reason=reason)

    def _failed(self, key: PartKey, exception_text: str | None) -> PartLost | PartRefused:
        """Return how a part failed: by itself, or because its worker died."""
        if exception_text is None:
            return self._lost(key, self._epitaph(key[3]))
        return PartRefused(part_id=key[1], attempt=key[2], reason=exception_text, retry=True)
