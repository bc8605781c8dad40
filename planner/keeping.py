"""How a snapshot is written: in one piece, or without the rows of subscriptions, kept elsewhere.

A snapshot of a service stands beside a table of subscriptions that always holds them as they were
at that step, so it leaves them out. A task names its subscription by key and version, and its parts
are written without the names of fields: there may be a hundred thousand of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec

from planner.backlog import Part, Task
from planner.books import Snapshot
from planner.errors import BrokenJournal, InvalidExtent
from planner.extent import Box, Extent, Period
from planner.model import Features, Selection, Subscription, UpdateSpan
from planner.registry import RegistryState, Row
from planner.scaling.policy import BUILT_IN, Policy

FORMAT = 2
"""Version of the format; a reader refuses a newer one. Version 1 was the books as they are."""

Rows = Iterable[tuple[int, Row]]
"""Subscriptions by key, in order of arrival."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot in one piece, as JSON."""
    return _encoded(snapshot, list(snapshot.registry.rows.items()))


def encode_state(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON, without the rows of subscriptions: somebody else keeps those."""
    return _encoded(snapshot, None)


def decode_snapshot(
    data: bytes, policies: Mapping[str, Policy] = BUILT_IN, rows: Rows = ()
) -> Snapshot:
    """Return a snapshot; its policy tells the type of its memory.

    Parameters
    ----------
    data : bytes
    policies : mapping of str to Policy
    rows : iterable of (int, Row)
        For one that was written without its rows: those that stood when it was taken.

    Raises
    ------
    BrokenJournal
        The bytes are no snapshot that this version knows, or the rows are not those of it.
    """
    try:
        told = msgspec.json.decode(data, type=_Head)
        if told.format > FORMAT:
            raise BrokenJournal(
                f"the snapshot has format {told.format}, this program reads up to {FORMAT}",
                fix="Use the version that wrote it, or a newer one",
            )
        snapshot = _first_format(data) if told.format == 1 else _decoded(data, rows)
        policy = policies[snapshot.settings.scaling.policy]
        snapshot.memory = msgspec.convert(snapshot.memory, policy.memory_type)
    except (msgspec.MsgspecError, KeyError, InvalidExtent) as error:
        raise BrokenJournal(f"not a snapshot of this version ({error})") from None
    return snapshot


def holds_rows(data: bytes) -> bool:
    """Tell whether a snapshot was written with its rows."""
    told = msgspec.json.decode(data, type=_Head)
    return told.format == 1 or bytes(told.rows) != b"null"


class _Head(msgspec.Struct, kw_only=True):
    """What tells how the rest is to be read."""

    format: int = 1
    rows: msgspec.Raw = msgspec.Raw(b"null")


class _Written(msgspec.Struct, kw_only=True):
    """A snapshot as it is written.

    Parameters
    ----------
    books : Snapshot
        Without tasks and rows.
    subscriptions : int
        How many rows there are.
    former : list of (int, Subscription)
        Versions that are no more but for tasks that belong to them, by key.
    tasks : list of tuple
        Each the fields of a `Task` in order, as `_TASK` has them.
    rows : list of (int, Row), or None
        None where they are kept apart.
    """

    format: int = FORMAT
    books: Snapshot
    subscriptions: int
    former: list[tuple[int, Subscription]]
    tasks: msgspec.Raw
    rows: list[tuple[int, Row]] | None = None


# --- records: the fields of a dataclass in order, without their names


@dataclass(frozen=True, slots=True)
class _Record:
    """The fields of a dataclass in order, and the type of the tuple that they are written as."""

    names: tuple[str, ...]
    written: Any


def _record(kind: type, otherwise: Mapping[str, Any]) -> _Record:
    """Return how values of a dataclass are written, some fields of it in other words."""
    names, hints = tuple(field.name for field in fields(kind)), get_type_hints(kind)
    kinds: Any = tuple(otherwise.get(name, hints[name]) for name in names)
    return _Record(names, tuple.__class_getitem__(kinds))


_SPAN = tuple[int, int | None, int]
"""A selection: the place of its view, and the updates (after, upto]."""

_BOX, _PERIOD = _record(Box, {}), _record(Period, {})
_EXTENT = _record(Extent, {"box": _BOX.written, "period": _PERIOD.written})
_FEATURES = _record(Features, {})
_PART = _record(Part, {"extent": _EXTENT.written | None, "features": _FEATURES.written})
_TASK = _record(
    Task,
    {
        "subscription": tuple[int, int],
        "selections": tuple[_SPAN, ...],
        "parts": list[_PART.written],  # type: ignore[name-defined]
        "waiting": list[tuple[float, int]],
    },
)
_fields_of_box, _fields_of_period = attrgetter(*_BOX.names), attrgetter(*_PERIOD.names)
_fields_of_features = attrgetter(*_FEATURES.names)
_fields_of_part, _fields_of_task = attrgetter(*_PART.names), attrgetter(*_TASK.names)
_tasks_decoder: msgspec.json.Decoder[list[tuple[Any, ...]]] = msgspec.json.Decoder(
    list[_TASK.written]  # type: ignore[name-defined]
)


# --- writing


def _encoded(snapshot: Snapshot, rows: list[tuple[int, Row]] | None) -> bytes:
    registry = snapshot.registry
    wanted = {task.subscription.id for task in snapshot.tasks}
    keys = {
        row.subscription.id: key
        for key, row in registry.rows.items()
        if row.subscription.id in wanted
    }
    former: dict[tuple[int, int], Subscription] = {}
    for task in snapshot.tasks:
        key, version = keys[task.subscription.id], task.subscription.version
        if registry.rows[key].subscription.version != version:
            former[key, version] = task.subscription
    bare = RegistryState(newest=registry.newest, next_key=registry.next_key)
    records = [_task_record(task, keys) for task in snapshot.tasks]
    return msgspec.json.encode(
        _Written(
            books=replace(snapshot, registry=bare, tasks=[]),
            subscriptions=len(registry.rows),
            former=[(key, subscription) for (key, _), subscription in former.items()],
            tasks=msgspec.Raw(msgspec.json.encode(records)),
            rows=rows,
        )
    )


def _task_record(task: Task, keys: Mapping[str, int]) -> tuple[Any, ...]:
    told = dict(zip(_TASK.names, _fields_of_task(task), strict=True))
    told["subscription"] = keys[task.subscription.id], task.subscription.version
    told["selections"] = [
        (each.place, each.updates.after, each.updates.upto) for each in task.selections
    ]
    told["parts"] = [_part_record(part, task.selections) for part in task.parts]
    told["waiting"] = [task.by_length(position) for position in task.waiting]
    return tuple(told.values())


def _part_record(part: Part, selections: tuple[Selection, ...]) -> tuple[Any, ...]:
    told = dict(zip(_PART.names, _fields_of_part(part), strict=True))
    is_whole = part.extent == selections[part.selection].view.extent
    told["extent"] = None if is_whole else _extent_record(part.extent)
    told["features"] = _fields_of_features(part.features)
    return tuple(told.values())


def _extent_record(extent: Extent) -> tuple[Any, ...]:
    return _fields_of_box(extent.box), _fields_of_period(extent.period), extent.parameters


# --- reading


def _first_format(data: bytes) -> Snapshot:
    """Return a snapshot that holds the books as they are."""
    told = msgspec.json.decode(data, type=dict)
    for row in told["registry"]["rows"].values():
        if not row.pop("paused"):
            del row["covered_to"]
    for task in told["tasks"]:
        task["waiting"] = [position for _, position in task["waiting"]]
    snapshot: Snapshot = msgspec.convert(told, Snapshot, str_keys=True)
    return snapshot


def _decoded(data: bytes, rows: Rows) -> Snapshot:
    written = msgspec.json.decode(data, type=_Written)
    standing = dict(rows if written.rows is None else written.rows)
    if len(standing) != written.subscriptions:
        raise BrokenJournal(
            f"the snapshot was taken of {written.subscriptions} subscriptions, and"
            f" {len(standing)} of them are there",
            fix="Restore a backup (`slackwater db restore`)",
        )
    former = {(key, wish.version): wish for key, wish in written.former}
    snapshot = written.books
    snapshot.registry.rows = standing
    reader = _Reader(standing, former)
    snapshot.tasks = [reader.task(each) for each in _tasks_decoder.decode(written.tasks)]
    return snapshot


class _Reader:
    """Makes tasks of their records; what is equal in many of them becomes one object."""

    def __init__(
        self, rows: Mapping[int, Row], former: Mapping[tuple[int, int], Subscription]
    ) -> None:
        self._rows, self._former = rows, former
        self._spans: dict[tuple[int | None, int], UpdateSpan] = {}
        self._boxes: dict[tuple[float, ...], Box] = {}
        self._periods: dict[tuple[float | None, ...], Period] = {}

    def task(self, record: tuple[Any, ...]) -> Task:
        told = dict(zip(_TASK.names, record, strict=True))
        key, version = told["subscription"]
        subscription = self._rows[key].subscription
        if subscription.version != version:
            subscription = self._former[key, version]
        selections = tuple([self._selection(subscription, *each) for each in told["selections"]])
        told["subscription"], told["selections"] = subscription, selections
        told["parts"] = tuple([self._part(each, selections) for each in told["parts"]])
        told["waiting"] = [position for _, position in told["waiting"]]
        return Task(**told)

    def _selection(
        self, subscription: Subscription, place: int, after: int | None, upto: int
    ) -> Selection:
        updates = self._spans.get((after, upto))
        if updates is None:
            updates = self._spans[after, upto] = UpdateSpan(after=after, upto=upto)
        return Selection(view=subscription.views[place], updates=updates, place=place)

    def _part(self, record: tuple[Any, ...], selections: tuple[Selection, ...]) -> Part:
        told = dict(zip(_PART.names, record, strict=True))
        extent = told["extent"]
        whole = selections[told["selection"]].view.extent
        told["extent"] = whole if extent is None else self._extent(*extent)
        told["features"] = Features(**dict(zip(_FEATURES.names, told["features"], strict=True)))
        return Part(**told)

    def _extent(
        self,
        edges: tuple[float, ...],
        ends: tuple[float | None, ...],
        parameters: tuple[str, ...],
    ) -> Extent:
        box, period = self._boxes.get(edges), self._periods.get(ends)
        if box is None:
            box = self._boxes[edges] = Box(**dict(zip(_BOX.names, edges, strict=True)))
        if period is None:
            period = self._periods[ends] = Period(**dict(zip(_PERIOD.names, ends, strict=True)))
        return Extent(box=box, period=period, parameters=parameters)
