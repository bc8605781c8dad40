"""What a journal tells of its tasks beside what came from outside: the truth, to be kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from planner.commands import AnyCommand, CutTask, ProvisionNode
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    FullProductRequested,
    NodeReady,
    OffersChanged,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    SubscriptionResumed,
    TaskCut,
    UpdateArrived,
)
from planner.journal import Step
from planner.model import NodeOffer, Subscription, UnitCosts, product_id


@dataclass(slots=True, kw_only=True)
class ToldTask:
    """A task as a journal tells it.

    Parameters
    ----------
    command : CutTask
        What was asked of the cutter.
    priority : float
    cut : TaskCut or None
        What it answered; None where the journal ends before.
    arrived_at, deadline_s : float
        When its clock started [POSIX s], and when it was due after that [s]; None is best effort.
    true_parts_s : dict of int to float
        By position of the part, how long its successful attempt took on a slot of speed 1
        [reference s].
    combine_s, deliver_s : float or None
        How long its product took [s].
    size_bytes : int or None
        Of its product.
    """

    command: CutTask
    arrived_at: float
    deadline_s: float | None
    priority: float = 1.0
    cut: TaskCut | None = None
    true_parts_s: dict[int, float] = field(default_factory=dict)
    combine_s: float | None = None
    deliver_s: float | None = None
    size_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class Told:
    """What a whole journal tells.

    Parameters
    ----------
    tasks : dict of str to ToldTask
        By the name of the product, which is the same under every policy.
    boots_s : dict of str to list of float
        By node type, how long nodes took from request to ready [s].
    offers : list of OffersChanged
    costs : dict of str to UnitCosts
        By dataset, as it was calibrated last.
    """

    tasks: dict[str, ToldTask] = field(default_factory=dict)
    boots_s: dict[str, list[float]] = field(default_factory=dict)
    offers: list[OffersChanged] = field(default_factory=list)
    costs: dict[str, UnitCosts] = field(default_factory=dict)


def told_by(steps: Iterable[Step]) -> Told:
    """Read what a journal tells, in one pass."""
    reading = _Reading()
    for step in steps:
        reading.take(step)
    return reading.told


@dataclass(slots=True)
class _Reading:
    """A journal while it is read: open tasks by id, nodes, subscriptions and updates."""

    told: Told = field(default_factory=Told)
    open: dict[str, ToldTask] = field(default_factory=dict)
    offers: dict[str, NodeOffer] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    booting: dict[str, float] = field(default_factory=dict)
    wishes: dict[str, Subscription] = field(default_factory=dict)
    updated_at: dict[tuple[str, int], float] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        """Take one step in."""
        event = step.event
        match event:
            case TaskCut() | ProductCombined() | ProductDelivered() if event.task_id in self.open:
                self._settle(self.open[event.task_id], event)
            case PartFinished():
                self._part_finished(event)
            case NodeReady() if event.node_id in self.booting:
                boot_s = event.at - self.booting.pop(event.node_id)
                self.told.boots_s.setdefault(self.nodes[event.node_id], []).append(boot_s)
            case OffersChanged():
                self.told.offers.append(event)
                self.offers |= {offer.node_type: offer for offer in event.offers}
            case ApplicationCalibrated():
                self.told.costs[event.dataset] = event.costs
            case SubscriptionAdded(subscription=wish):
                self.wishes[wish.id] = wish
            case UpdateArrived():
                self.updated_at[event.dataset, event.number] = event.at
        for command in step.commands:
            self._hear(command, event)

    def _hear(self, command: AnyCommand, event: AnyEvent) -> None:
        match command:
            case CutTask():
                self._task(command, event)
            case ProvisionNode():
                self.nodes[command.node_id] = command.node_type
                self.booting[command.node_id] = event.at

    def _settle(self, task: ToldTask, event: TaskCut | ProductCombined | ProductDelivered) -> None:
        match event:
            case TaskCut():
                task.cut = event
            case ProductCombined():
                task.combine_s, task.size_bytes = event.run_s, event.product.size_bytes
            case ProductDelivered():
                task.deliver_s = event.run_s
                del self.open[event.task_id]

    def _task(self, command: CutTask, event: AnyEvent) -> None:
        name = product_id(command.subscription_id, command.version, command.selections)
        at, first = event.at, command.selections[0]
        if not isinstance(event, SubscriptionAdded | SubscriptionResumed | FullProductRequested):
            # A large update makes its tasks page by page, but their clocks started with it.
            at = self.updated_at.get((first.view.dataset, first.updates.upto), at)
        wish = self.wishes.get(command.subscription_id)
        due_at = None if wish is None else wish.deadline_from(command.selections, at)
        self.told.tasks[name] = self.open[command.task_id] = ToldTask(
            command=command,
            arrived_at=at,
            deadline_s=None if due_at is None else due_at - at,
            priority=1.0 if wish is None else wish.priority,
        )

    def _part_finished(self, event: PartFinished) -> None:
        task_id, _, position = event.part_id.rpartition("/")
        task = self.open.get(task_id)
        if task is None:
            return
        offer = self.offers.get(self.nodes.get(event.node_id, ""))
        speed = 1.0 if offer is None else offer.speed
        # The first to end is the one whose result was used.
        task.true_parts_s.setdefault(int(position), event.run_s * speed)
