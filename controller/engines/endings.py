"""How an attempt ended, as the planner is told it."""

from __future__ import annotations

import traceback
from typing import Any

from distributed import Future

from controller.clock import now
from controller.engines.messages import End, PartLost, PartRefused
from controller.ports import node_of
from planner.events import AttemptLost, PartFailed, PartFinished

Reported = PartFinished | PartFailed | AttemptLost


def ending(end: End) -> Reported:
    """Return the event that an end means."""
    match end:
        case PartRefused():
            return failed(end.part_id, end.attempt, end.reason, retry=end.retry)
        case PartLost():
            return lost(end.part_id, end.attempt, end.reason)
    return PartFinished(
        at=now(),
        part_id=end.part_id,
        attempt=end.attempt,
        node_id=node_of(end.name),
        run_s=end.run_s,
        fragment=end.fragment,
    )


def failed(part_id: str, attempt: int, reason: str, *, retry: bool) -> PartFailed:
    """Return the event of an attempt that ended in an error."""
    return PartFailed(at=now(), part_id=part_id, attempt=attempt, reason=reason, retry=retry)


def lost(part_id: str, attempt: int, reason: str) -> AttemptLost:
    """Return the event of an attempt that was given up."""
    return AttemptLost(at=now(), part_id=part_id, attempt=attempt, reason=reason)


async def in_words(future: Future[Any], error: BaseException) -> str:
    """Return what a part raised, and where."""
    words = f"{type(error).__name__}: {error}"
    for frame in traceback.extract_tb(await future.traceback())[-1:]:
        words += f", in {frame.name} ({frame.filename}:{frame.lineno})"
    return words
