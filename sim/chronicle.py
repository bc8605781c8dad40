"""What happened in one run, kept for pictures: the fleet over time, and each task's end."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.commands import AnyCommand, CutTask, Notify, ProvisionNode, RunPart, StopPart
from planner.events import (
    AnyEvent,
    AttemptLost,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    PartFailed,
    PartFinished,
    Ticked,
)
from planner.model import NoticeKind
from planner.results import ENDS

Floats = NDArray[np.float64]

POINTS_MAX = 600
"""Of a line in a picture: as many as are told apart on a screen."""

PERCENTILES = tuple(range(101))
"""At which slacks are told, so that few numbers stand for very many tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """The fleet over time, as columns of equal length; each value holds until the next instant.

    Parameters
    ----------
    at_s : tuple of float
        After the start [s].
    nodes, workers, busy : tuple of float
        Nodes that are paid for, workers that are ready, and those that run something.
    """

    at_s: tuple[float, ...]
    nodes: tuple[float, ...]
    workers: tuple[float, ...]
    busy: tuple[float, ...]

    def thinned(self, points_max: int = POINTS_MAX) -> Moments:
        """Return the same with fewer instants, where there are more.

        Of each span it tells the most nodes and workers, and how many were busy on average.
        """
        if len(self.at_s) <= points_max:
            return self
        at_s = np.array(self.at_s)
        edges = np.linspace(at_s[0], at_s[-1], points_max + 1)[:-1]
        first = np.unique(np.searchsorted(at_s, edges, side="left").clip(max=len(at_s) - 1))
        lasts_s = np.append(np.diff(at_s), 0.0)
        held_s = np.add.reduceat(lasts_s, first)
        busy_s = np.add.reduceat(lasts_s * np.array(self.busy), first)
        return Moments(
            at_s=tuple(at_s[first].tolist()),
            nodes=tuple(np.maximum.reduceat(np.array(self.nodes), first).tolist()),
            workers=tuple(np.maximum.reduceat(np.array(self.workers), first).tolist()),
            busy=tuple((busy_s / np.maximum(held_s, 1e-9)).tolist()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A task and its end.

    Parameters
    ----------
    subscription_id : str
    outcome : NoticeKind
    began_s, ended_s : float
        After the start of the run [s].
    slack_s : float or None
        Deadline minus delivery [s].
    """

    subscription_id: str
    outcome: NoticeKind
    began_s: float
    ended_s: float
    slack_s: float | None


@dataclass(slots=True)
class _Place:
    """A node: its workers, and the parts that were sent to it."""

    workers: int = 0
    parts: set[str] = field(default_factory=set)

    @property
    def busy(self) -> int:
        return min(self.workers, len(self.parts))


class Chronicle:
    """Takes a run in, step by step.

    Attributes
    ----------
    ended : list of Ended
        Tasks in the order of their ends.
    """

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self._began_at: float | None = None
        self._cut_at: dict[str, float] = {}
        self._places: dict[str, _Place] = {}
        self._sent_to: dict[str, str] = {}
        self._workers = self._busy = 0
        self._columns = tuple(array("d") for _ in range(4))

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        if self._began_at is None:
            self._began_at = event.at
        after_s = event.at - self._began_at
        match event:
            case PartFinished() | PartFailed() | AttemptLost():
                self._leave(event.part_id)
            case NodeReady():
                self._grow(event.node_id, event.workers)
            case NodeLost() | NodeRemoved() | NodeRefused():
                self._go(event.node_id)
        for command in commands:
            self._command(command, after_s)
        if isinstance(event, Ticked):
            self._note(after_s)

    def moments(self) -> Moments:
        """Return the fleet over time so far."""
        at_s, nodes, workers, busy = map(tuple, self._columns)
        return Moments(at_s=at_s, nodes=nodes, workers=workers, busy=busy)

    def slacks_s(self) -> tuple[float, ...]:
        """Return the slack at each of `PERCENTILES` [s]; nothing where nothing was due."""
        slacks = [one.slack_s for one in self.ended if one.slack_s is not None]
        return tuple(np.percentile(slacks, PERCENTILES).tolist()) if slacks else ()

    def _command(self, command: AnyCommand, after_s: float) -> None:
        match command:
            case RunPart():
                self._send(command.part_id, command.node_id)
            case StopPart():
                self._leave(command.part_id)
            case ProvisionNode():
                self._places[command.node_id] = _Place()
            case CutTask():
                self._cut_at.setdefault(command.task_id, after_s)
            case Notify() if command.kind in ENDS:
                self.ended.append(
                    Ended(
                        subscription_id=command.subscription_id,
                        outcome=command.kind,
                        began_s=self._cut_at.pop(command.task_id, after_s),
                        ended_s=after_s,
                        slack_s=command.slack_s,
                    )
                )

    def _send(self, part_id: str, node_id: str) -> None:
        place = self._places.get(node_id)
        if place is None:
            return
        self._busy -= place.busy
        place.parts.add(part_id)
        self._sent_to[part_id] = node_id
        self._busy += place.busy

    def _leave(self, part_id: str) -> None:
        place = self._places.get(self._sent_to.pop(part_id, ""))
        if place is None:
            return
        self._busy -= place.busy
        place.parts.discard(part_id)
        self._busy += place.busy

    def _grow(self, node_id: str, workers: int) -> None:
        place = self._places.get(node_id)
        if place is None:
            return
        self._busy -= place.busy
        self._workers += workers - place.workers
        place.workers = workers
        self._busy += place.busy

    def _go(self, node_id: str) -> None:
        place = self._places.pop(node_id, None)
        if place is None:
            return
        self._busy -= place.busy
        self._workers -= place.workers
        for part_id in place.parts:
            self._sent_to.pop(part_id, None)

    def _note(self, after_s: float) -> None:
        now = (float(len(self._places)), float(self._workers), float(self._busy))
        if self._columns[0] and tuple(column[-1] for column in self._columns[1:]) == now:
            return
        for column, value in zip(self._columns, (after_s, *now), strict=True):
            column.append(value)
