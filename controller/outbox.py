"""Which commands are under way: what is carried out again after a restart, and nothing else.

A command that has an outcome is kept under a key until its outcome is journaled. Everything kept is
idempotent, so that it may be carried out twice: it was begun before the service died, or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from planner.books import Books
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    StopPart,
)
from planner.events import (
    AnyEvent,
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    TaskCut,
    TaskRefused,
    WorkersRefused,
)
from planner.lifecycle import NodeState, PartState, TaskState


def key_of(command: AnyCommand) -> str:
    """Return under which key a command is under way, empty when nothing comes of it."""
    key = _KEYS.get(type(command))
    return key(command) if key else ""


def settled_by(event: AnyEvent) -> tuple[str, ...]:
    """Return the keys of the commands that an event ends, whether or not they are under way."""
    keys = _SETTLED.get(type(event))
    return keys(event) if keys else ()


def overtaken_by(command: AnyCommand) -> tuple[str, ...]:
    """Return the keys of the commands that another one makes pointless."""
    match command:
        case StopPart():
            return (_run(command),)
        case RemoveNode():
            return _making(command)
        case _:
            return ()


def _cut(of: CutTask | TaskCut | TaskRefused) -> str:
    return f"cut {of.task_id}"


def _run(of: RunPart | StopPart | PartFinished | PartFailed | AttemptLost) -> str:
    return f"run {of.part_id} {of.attempt}"


def _combine(of: CombineProduct | ProductCombined | CombineFailed) -> str:
    return f"combine {of.task_id} {of.attempt}"


def _deliver(of: DeliverProduct | ProductDelivered | DeliveryFailed) -> str:
    return f"deliver {of.task_id} {of.attempt}"


def _making(of: RemoveNode | NodeReady | NodeRefused | NodeLost) -> tuple[str, ...]:
    return f"provision {of.node_id}", f"resize {of.node_id}"


def _falls_short(event: AnyEvent, command: AnyCommand | None) -> bool:
    """Tell whether an event is not yet the answer to a resize: too few joined, or an older one."""
    if not isinstance(command, SetWorkers):
        return False
    match event:
        case NodeReady():
            return event.workers < command.workers
        case WorkersRefused():
            return event.workers != command.workers
        case _:
            return False


def _all_of_node(of: NodeRemoved) -> tuple[str, ...]:
    return f"provision {of.node_id}", f"resize {of.node_id}", f"remove {of.node_id}"


_KEYS: dict[type, Callable[[Any], str]] = {
    CutTask: _cut,
    RunPart: _run,
    CombineProduct: _combine,
    DeliverProduct: _deliver,
    ProvisionNode: lambda command: f"provision {command.node_id}",
    SetWorkers: lambda command: f"resize {command.node_id}",
    RemoveNode: lambda command: f"remove {command.node_id}",
}

_SETTLED: dict[type, Callable[[Any], tuple[str, ...]]] = {
    TaskCut: lambda event: (_cut(event),),
    TaskRefused: lambda event: (_cut(event),),
    PartFinished: lambda event: (_run(event),),
    PartFailed: lambda event: (_run(event),),
    AttemptLost: lambda event: (_run(event),),
    ProductCombined: lambda event: (_combine(event),),
    CombineFailed: lambda event: (_combine(event),),
    ProductDelivered: lambda event: (_deliver(event),),
    DeliveryFailed: lambda event: (_deliver(event),),
    NodeReady: _making,
    NodeRefused: _making,
    WorkersRefused: lambda event: (f"resize {event.node_id}",),
    NodeLost: _making,
    NodeRemoved: _all_of_node,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a batch did to the commands under way; what began and ended in it is in neither.

    Parameters
    ----------
    opened : dict of str to AnyCommand
        Those that it leaves under way, by key.
    ended : set of str
        Keys of those that it has ended.
    stale : set of int
        Positions of outcomes of nothing that was under way: doubled, or of an older attempt.
    """

    opened: dict[str, AnyCommand]
    ended: set[str]
    stale: set[int]


@dataclass(slots=True)
class Outbox:
    """The commands under way, by key."""

    commands: dict[str, AnyCommand] = field(default_factory=dict)

    def take(self, steps: Sequence[tuple[AnyEvent, Iterable[AnyCommand]]]) -> Taken:
        """Take a batch of steps in."""
        opened: dict[str, AnyCommand] = {}
        ended: set[str] = set()
        stale: set[int] = set()
        for number, (event, commands) in enumerate(steps):
            keys = settled_by(event)
            if keys and self.commands.keys().isdisjoint(keys):
                stale.add(number)
            for key in keys:
                if not _falls_short(event, self.commands.get(key)):
                    self._end(key, opened, ended)
            for command in commands:
                for key in overtaken_by(command):
                    self._end(key, opened, ended)
                if key := key_of(command):
                    opened[key] = self.commands[key] = command
        return Taken(opened=opened, ended=ended - opened.keys(), stale=stale)

    def unwanted(self, books: Books) -> set[str]:
        """Return the keys of what means nothing to the planner any more.

        A node that is struck out takes its attempts with it, and a subscription its tasks: nobody
        may ever tell their outcome.
        """
        return {key for key, each in self.commands.items() if not is_wanted(each, books)}

    def drop(self, keys: Iterable[str]) -> None:
        """Drop commands."""
        for key in keys:
            del self.commands[key]

    def _end(self, key: str, opened: dict[str, AnyCommand], ended: set[str]) -> None:
        if self.commands.pop(key, None) is not None:
            ended.add(key)
            opened.pop(key, None)


def is_wanted(command: AnyCommand, books: Books) -> bool:
    """Tell whether a command that is under way still means something to the planner."""
    match command:
        case RunPart():
            found = books.backlog.part(command.part_id)
            return (
                found is not None
                and found[1].state is PartState.RUNNING
                and found[1].attempt == command.attempt
            )
        case CutTask():
            return _stands(books, command.task_id, TaskState.CUTTING)
        case CombineProduct():
            return _stands(books, command.task_id, TaskState.COMBINING)
        case DeliverProduct():
            return _stands(books, command.task_id, TaskState.DELIVERING)
        case ProvisionNode() | SetWorkers():
            node = books.fleet.nodes.get(command.node_id)
            return node is not None and node.state is not NodeState.REMOVING
        case _:
            return True


def _stands(books: Books, task_id: str, state: TaskState) -> bool:
    task = books.backlog.tasks.get(task_id)
    return task is not None and task.state is state
