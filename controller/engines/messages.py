"""What the scheduler and the workers tell the engine: one vocabulary, on one topic of Dask's.

Receipts travel here, too, rather than as results that the engine would have to fetch: a result is
lost, and made again, when its worker dies before it is fetched; what was said is said.
"""

from __future__ import annotations

import msgspec

from planner.model import Fragment

TOPIC = "slackwater"
"""No message may have a field ``worker``: Dask writes the sender's address there."""


class Roster(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Who is there now, by name and address; who of them takes parts (one that leaves does not).

    It is told whole, at every change and time and again: the last one is always enough, a lost one
    is made good, and an engine that hears none knows that its scheduler is gone.
    """

    present: dict[str, str]
    running: dict[str, str]


class WorkerHung(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker's lease has ended; its process may still be there."""

    name: str
    reason: str


class WorkerEnding(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker is about to end itself, and why."""

    name: str
    reason: str


class PartDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A part has left its fragment, `run_s` after it began [s]."""

    part_id: str
    attempt: int
    run_s: float
    fragment: Fragment


class PartRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A part ended in a typed error; many such errors cannot be pickled, so words travel."""

    part_id: str
    attempt: int
    reason: str
    retry: bool


Message = Roster | WorkerHung | WorkerEnding | PartDone | PartRefused


def to_wire(message: Message) -> object:
    """Return a message as Dask can carry it."""
    return msgspec.to_builtins(message)


def from_wire(carried: object) -> Message:
    """Return the message that was carried."""
    message: Message = msgspec.convert(carried, Message)
    return message
