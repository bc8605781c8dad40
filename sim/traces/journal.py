"""Open loop: what came from outside of a journal, met again by a planner that decides otherwise.

Only outside events are fed (`OUTSIDE`); all others follow from what the planner commands, so the
world makes them anew. What a journal tells of the truth is kept: how long parts, products and boots
took. What it does not tell, the world invents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from partitioners.protocol import Partitioner
from planner.commands import CutTask, Notify
from planner.durations import DEFAULT_COSTS
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    FleetPlanned,
    FullProductRequested,
    NodeDrainRequested,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemovalRequested,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SettingsChanged,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskCut,
    TaskRefused,
    Ticked,
    UpdateArrived,
    WorkersRefused,
)
from planner.journal import Step
from planner.model import PartSpec, Selection, Subscription, UnitCosts, product_id
from planner.results import ENDS
from sim.traces.increments import Increments
from sim.traces.record import Told, ToldTask, told_by
from sim.traces.recutting import Truth, told_truth
from sim.workload import DATASET

OUTSIDE: Mapping[type[AnyEvent], bool] = {
    SettingsChanged: True,
    OffersChanged: True,
    ApplicationCalibrated: True,
    SubscriptionAdded: True,
    SubscriptionPaused: True,
    SubscriptionResumed: True,
    FullProductRequested: True,
    SubscriptionRemoved: True,
    UpdateArrived: True,
    FleetPlanned: False,
    TaskCut: False,
    TaskRefused: False,
    PartFinished: False,
    PartFailed: False,
    AttemptLost: False,
    ProductCombined: False,
    CombineFailed: False,
    ProductDelivered: False,
    DeliveryFailed: False,
    NodeReady: False,
    NodeRefused: False,
    WorkersRefused: False,
    NodeLost: False,
    NodeRemoved: False,
    NodeDrainRequested: False,
    NodeRemovalRequested: False,
    Ticked: False,
}
"""Which events come from outside, whatever the planner commands."""


class Settled(NamedTuple):
    """How long a recorded product took to combine and to deliver [s], None where not told."""

    combine_s: float | None
    deliver_s: float | None


@dataclass(slots=True, kw_only=True)
class _Open:
    """A task that was cut: its command and, where told, how long each part truly takes."""

    command: CutTask
    true_parts_s: list[float | None]


class TraceLoad:
    """A native trace as a load (see `sim.workload.Load`).

    Parameters
    ----------
    steps : callable
        Returns the steps of the trace, the same ones each time.
    partitioners : mapping of str to Partitioner
        That tasks are cut by which the trace does not tell the cut of.
    told : Told, optional
        What the trace tells, where that is known already; else it is read for it.
    with_settings : bool
        Whether changes of settings are met too. They would undo what is tried, so they are left out
        where a run has settings of its own.

    Attributes
    ----------
    told : Told
        What the trace tells of the truth: tasks, boots, offers, costs.
    """

    def __init__(
        self,
        steps: Callable[[], Iterable[Step]],
        partitioners: Mapping[str, Partitioner] = BUILT_IN,
        *,
        told: Told | None = None,
        with_settings: bool = False,
    ) -> None:
        self.told = told_by(steps()) if told is None else told
        self._steps = steps
        self._left_out = (OffersChanged,) if with_settings else (OffersChanged, SettingsChanged)
        self._partitioners = partitioners
        self._increments = Increments()
        self._open: dict[str, _Open] = {}

    def events(self) -> Iterator[AnyEvent]:
        """Return what comes from outside in order of time, without offers; it is streamed.

        A job's subscription ends with its task, so its removal after that is told by `ended`
        instead; one that is withdrawn before is removed from outside.
        """
        self._open.clear()
        self._increments.clear()
        jobs, over = set[str](), set[str]()
        at = -math.inf
        for step in self._steps():
            event = step.event
            over |= jobs.intersection(_ended(step))
            if not OUTSIDE[type(event)] or isinstance(event, self._left_out):
                continue
            match event:
                case UpdateArrived():
                    self._increments.take(event)
                case SubscriptionAdded() if _is_job(event.subscription):
                    jobs.add(event.subscription.id)
                case SubscriptionRemoved(subscription_id=name) if name in over:
                    over.discard(name)
                    jobs.discard(name)
                    continue
                case SubscriptionRemoved(subscription_id=name) if name in jobs:
                    over.add(name)  # Its task ends with it, and that removes it once more.
            # What several threads saw may stand in a journal a millisecond out of order.
            at = max(at, event.at)
            yield event if event.at == at else replace(event, at=at)

    def cut(self, command: CutTask, at: float) -> TaskCut | TaskRefused:
        """Answer `CutTask`: as the trace tells where it was asked the same, else cut anew.

        A task whose load nobody tells of is refused.
        """
        name = product_id(command.subscription_id, command.version, command.selections)
        told = self.told.tasks.get(name)
        if told is not None and told.cut is not None and _same(told.command, command):
            self._open[name] = _Open(command=command, true_parts_s=_true_parts(told))
            return replace(told.cut, at=at, task_id=command.task_id)
        truths = [self._truth(told, command, place) for place in range(len(command.selections))]
        if any(truth is None for truth in truths):
            return _refused(command, at)
        return self._cut_anew(name, command, [truth for truth in truths if truth], at)

    def run_s(self, name: str, position: int, part: PartSpec) -> float | None:
        """Return how long a part truly takes [reference s]; None where the trace does not tell."""
        return self._open[name].true_parts_s[position]

    def predicted_s(self, part: PartSpec) -> float:
        """Return how long a part takes by the trace's calibration [reference s]."""
        return self._costs(part.selection).seconds(part.features)

    def size_bytes(self, name: str) -> int | None:
        """Return the size of a product [bytes]; None where the trace does not tell."""
        told = self.told.tasks.get(name)
        return None if told is None else told.size_bytes

    def settled(self, name: str) -> Settled:
        """Return how long a product took to combine and to deliver, where the trace tells."""
        told = self.told.tasks.get(name)
        return Settled(None, None) if told is None else Settled(told.combine_s, told.deliver_s)

    def ended(self, name: str, at: float) -> Iterable[AnyEvent]:
        """Forget a task; nobody subscribes to a job any more that has ended."""
        ended = self._open.pop(name, None)
        if ended is None or not all(_is_job(each) for each in ended.command.selections):
            return ()
        return (SubscriptionRemoved(at=at, subscription_id=ended.command.subscription_id),)

    def _truth(self, told: ToldTask | None, command: CutTask, place: int) -> Truth | None:
        """Return where the load of a selection lies and what it truly takes, if anybody tells."""
        density = self._increments.density(command.selections[place])
        parts = [] if told is None or told.cut is None else list(enumerate(told.cut.parts))
        mine = [(position, part) for position, part in parts if part.selection == place]
        if told is not None and mine:
            true_parts_s = [told.true_parts_s.get(position, math.nan) for position, _ in mine]
            return told_truth(density, [part for _, part in mine], true_parts_s, told.arrived_at)
        return None if density is None else Truth.unknown(density)

    def _cut_anew(self, name: str, command: CutTask, truths: list[Truth], at: float) -> TaskCut:
        loads = [KnownLoad(density=truth.map) for truth in truths]
        event = cut_task(command, loads, self._partitioners).event(at)
        true_parts_s: list[float | None] = []
        for place, truth in enumerate(truths):
            parts = [part for part in event.parts if part.selection == place]
            true_parts_s += truth.of_parts(parts)
        self._open[name] = _Open(command=command, true_parts_s=true_parts_s)
        return event

    def _costs(self, place: int) -> UnitCosts:
        """Return the costs of the dataset that parts of this selection are of.

        With several datasets they are taken in the order in which the trace calibrates them.
        """
        costs = list(self.told.costs.values())
        return costs[min(place, len(costs) - 1)] if costs else DEFAULT_COSTS


def _ended(step: Step) -> Iterator[str]:
    """Return the subscriptions of which a task ended in a step."""
    for command in step.commands:
        if isinstance(command, Notify) and command.kind in ENDS:
            yield command.subscription_id


def _is_job(one: Subscription | Selection) -> bool:
    """Tell whether a subscription, or what a task delivers, is a job: wanted once, and given."""
    if isinstance(one, Selection):
        return one.view.dataset == DATASET and one.is_first
    return one.backfill and all(view.dataset == DATASET for view in one.views)


def _same(told: CutTask, asked: CutTask) -> bool:
    """Tell whether a recorded cut answers a question: what has no archive is cut in no other way.

    Costs are not compared: they are learned on the way, and move the number of parts by few.
    """
    if all(selection.view.dataset == DATASET for selection in asked.selections):
        return True
    return _question(told) == _question(asked)


def _question(command: CutTask) -> tuple[object, ...]:
    return (
        command.partitioner,
        command.parts_wanted,
        command.part_s_min,
        command.part_s_max,
        command.parts_max,
    )


def _true_parts(told: ToldTask) -> list[float | None]:
    assert told.cut is not None
    return [told.true_parts_s.get(position) for position in range(len(told.cut.parts))]


def _refused(command: CutTask, at: float) -> TaskRefused:
    return TaskRefused(
        at=at,
        task_id=command.task_id,
        reason="the trace tells neither how this task was cut nor what its updates brought",
    )
