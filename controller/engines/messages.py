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
    """A part has left its fragment, `run_s` after it began [s], on the worker of this name.

    The fragment's bytes come with it from a worker that could not put them in their place; nobody
    but the scheduler sees them (`controller.engines.receiving`).
    """

    part_id: str
    attempt: int
    name: str
    run_s: float
    fragment: Fragment
    content: bytes | None = None


class PartRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A part ended in a typed error; many such errors cannot be pickled, so words travel."""

    part_id: str
    attempt: int
    reason: str
    retry: bool


class PartLost(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A part's worker is gone, and the part with it; only the scheduler says so."""

    part_id: str
    attempt: int
    reason: str


End = PartDone | PartRefused | PartLost


class PartOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A part that an earlier service sent has left its worker, whose name is told, and how."""

    name: str
    end: End


class TakenOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A service has attached itself to the scheduler: any other one has to stop."""

    service: str


Message = Roster | WorkerHung | WorkerEnding | PartDone | PartRefused | PartOver | TakenOver


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A part that was sent and has not ended, and the name of the worker it was sent to."""

    part_id: str
    attempt: int
    name: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduler holds for the service that attaches itself.

    Parameters
    ----------
    roster : Roster
    carried : list of Carried
    ended : list of End
        Ends that nobody has acknowledged, in their order.
    hung : dict of str to str
        Workers whose lease ended while nobody heard, and why.
    """

    roster: Roster
    carried: list[Carried]
    ended: list[End]
    hung: dict[str, str]


def to_wire(message: msgspec.Struct) -> object:
    """Return a message as Dask can carry it."""
    return msgspec.to_builtins(message, builtin_types=(bytes,))


def from_wire(carried: object) -> Message:
    """Return the message that was carried."""
    message: Message = msgspec.convert(carried, Message, builtin_types=(bytes,))
    return message


def held_from_wire(carried: object) -> Held:
    """Return what a scheduler holds."""
    return msgspec.convert(carried, Held)
