"""How a load went, gathered from the steps of a planner: live, from a journal, or in a rehearsal.

It keeps what a report tells: when each task began and ended, which workers were busy, which nodes
stood. The same class reads what was rehearsed and what was measured, so the two can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from planner.commands import AnyCommand, CutTask, Notify, RunPart
from planner.events import (
    AnyEvent,
    NodeLost,
    NodeReady,
    NodeRemoved,
    OffersChanged,
    PartFinished,
    SubscriptionAdded,
    TaskCut,
)
from planner.model import (
    Features,
    NodeOffer,
    NoticeKind,
    PartSpec,
    Selection,
    Subscription,
    product_id,
)
from planner.results import ENDS, FleetUse


@dataclass(slots=True, kw_only=True)
class TaskCourse:
    """One task, from its arrival to its delivery; instants are POSIX seconds.

    Parameters
    ----------
    task_id, subscription_id, product_id : str
    selections : tuple of Selection
        What it delivers of each dataset.
    arrived_at : float
    deadline_at : float or None
    parts : tuple of PartSpec
        Empty until it is cut.
    started_at : float or None
        When its first part was sent to a worker.
    worked_s : float
        Time that workers spent on its parts [s].
    worked_until : float or None
        When its last part ended.
    ended_at : float or None
        When it was delivered, expired or failed.
    outcome : NoticeKind or None
        None while it is under way, and where an update held nothing for it.
    """

    task_id: str
    subscription_id: str
    product_id: str
    selections: tuple[Selection, ...]
    arrived_at: float
    deadline_at: float | None
    parts: tuple[PartSpec, ...] = ()
    started_at: float | None = None
    worked_s: float = 0.0
    worked_until: float | None = None
    ended_at: float | None = None
    outcome: NoticeKind | None = None

    @property
    def features(self) -> tuple[Features, ...]:
        """What each part reads."""
        return tuple(part.features for part in self.parts)

    @property
    def delivered_at(self) -> float | None:
        """When its product was delivered, in time or late [POSIX s]; None where it was not."""
        reached = self.outcome in (NoticeKind.DELIVERED, NoticeKind.LATE)
        return self.ended_at if reached else None

    @property
    def is_empty(self) -> bool:
        """Whether an update turned out to hold nothing for it."""
        return not self.parts and not any(each.is_first for each in self.selections)


class Step(NamedTuple):
    """From an instant on [POSIX s], so many workers were busy and so many stood."""

    at: float
    busy: int
    standing: int


@dataclass(slots=True, kw_only=True)
class Course:
    """Tasks by id, the fleet, and what workers were doing when.

    Parameters
    ----------
    tasks : dict of str to TaskCourse
    fleet : FleetUse
    offers : dict of str to NodeOffer
        What the provider offered, by node type.
    began_at, ended_at : float
        Of the first and the last step [POSIX s].
    """

    tasks: dict[str, TaskCourse] = field(default_factory=dict)
    fleet: FleetUse = field(default_factory=FleetUse)
    offers: dict[str, NodeOffer] = field(default_factory=dict)
    began_at: float = math.nan
    ended_at: float = math.nan
    _wishes: dict[str, Subscription] = field(default_factory=dict)
    _busy: list[tuple[float, int]] = field(default_factory=list)
    _standing: list[tuple[float, int]] = field(default_factory=list)
    _workers: dict[str, int] = field(default_factory=dict)

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        self.began_at = event.at if math.isnan(self.began_at) else self.began_at
        self.ended_at = event.at
        match event:
            case OffersChanged():
                self.offers |= {offer.node_type: offer for offer in event.offers}
            case SubscriptionAdded(subscription=subscription):
                self._wishes[subscription.id] = subscription
            case TaskCut(task_id=task_id) if task_id in self.tasks:
                self.tasks[task_id].parts = event.parts
            case PartFinished():
                self._finished(event)
            case NodeReady():
                self._stand(event.node_id, event.workers, event.at)
            case NodeLost() | NodeRemoved():
                self._stand(event.node_id, 0, event.at)
        self.fleet.see(event, commands)
        for command in commands:
            self._hear(event, command)

    def steps(self) -> list[Step]:
        """Return how many workers were busy and how many stood, at every change."""
        changes = [(at, change, 0) for at, change in self._busy]
        changes += [(at, 0, change) for at, change in self._standing]
        steps: list[Step] = []
        busy = standing = 0
        for at, more_busy, more_standing in sorted(changes):
            busy, standing = busy + more_busy, standing + more_standing
            if steps and steps[-1].at == at:
                steps.pop()
            steps.append(Step(at, busy, standing))
        return steps

    @property
    def worker_s(self) -> float:
        """Time that workers were busy with parts, all together [s]."""
        return math.fsum(task.worked_s for task in self.tasks.values())

    def _hear(self, event: AnyEvent, command: AnyCommand) -> None:
        match command:
            case CutTask():
                self.tasks[command.task_id] = self._opened(command, event.at)
            case RunPart(task_id=task_id) if task_id in self.tasks:
                task = self.tasks[task_id]
                task.started_at = event.at if task.started_at is None else task.started_at
            case Notify() if command.kind in ENDS and command.task_id in self.tasks:
                task = self.tasks[command.task_id]
                task.outcome, task.ended_at = command.kind, event.at

    def _opened(self, command: CutTask, at: float) -> TaskCourse:
        wish = self._wishes.get(command.subscription_id)
        return TaskCourse(
            task_id=command.task_id,
            subscription_id=command.subscription_id,
            product_id=product_id(command.subscription_id, command.version, command.selections),
            selections=command.selections,
            arrived_at=at,
            deadline_at=None if wish is None else wish.deadline_from(command.selections, at),
        )

    def _finished(self, event: PartFinished) -> None:
        # A part may be sent ahead of its turn: when it began follows from when it ended.
        self._busy += [(event.at - event.run_s, 1), (event.at, -1)]
        task = self.tasks.get(event.part_id.rpartition("/")[0])
        if task is not None:
            task.worked_s += event.run_s
            task.worked_until = event.at

    def _stand(self, node_id: str, workers: int, at: float) -> None:
        before = self._workers.get(node_id, 0)
        if workers != before:
            self._standing.append((at, workers - before))
        self._workers[node_id] = workers
