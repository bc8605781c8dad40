"""What must hold after every event of a run, whatever goes wrong in its world.

A breach is a bug of the planner (or of the world), never of the scenario: it ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from planner.budget import LOOK_S_MIN
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    StopPart,
    UndrainNode,
)
from planner.events import (
    AnyEvent,
    AttemptLost,
    FullProductRequested,
    NodeLost,
    NodeRefused,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
    SubscriptionAdded,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskCut,
    Ticked,
    UpdateArrived,
)
from planner.fleet import billed_for_s
from planner.lifecycle import NodeState, PartState
from planner.model import NodeOffer, NoticeKind, Subscription
from planner.results import ENDS
from planner.steering import UNPAID
from sim.world import World

SLACK_ERROR_S = 1e-5
"""A slack is this exact [s]: floats hold POSIX seconds to a quarter microsecond."""

MONEY_ERROR = 1e-6
"""Sums of money are this exact [currency]."""


class Breach(AssertionError):
    """Something that must never happen did."""


class Checkers:
    """Watches one world.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._work = _Work()
        self._fleet = _FleetRules(world)
        self._clock = _Clock()
        self._compared_at = 0

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Check one step.

        Raises
        ------
        Breach
            What must hold does not.
        """
        self._work.hear(event)
        self._fleet.hear(event)
        self._clock.hear(event)
        for command in commands:
            self._work.obey(command, self._world)
            self._fleet.obey(command, event.at, self._work)
            self._clock.obey(command, event)
        if isinstance(event, Ticked):
            self._fleet.check_budget(event.at)
            self._compare(self._world)

    def end(self) -> None:
        """Check what must hold when all is over: nothing is left open."""
        _must(not self._clock.open, f"tasks never ended: {sorted(self._clock.open)[:5]}")
        self._compared_at = -1
        self._compare(self._world)

    def _compare(self, world: World) -> None:
        """Hold the books against the world, about once for every event that it takes."""
        things = len(world.nodes) + len(world.errands)
        if world.events < self._compared_at + things // 2:
            return
        self._compared_at = world.events
        books = world.planner.books
        tasks = books.backlog.tasks
        _must(tasks.keys() == world.errands.keys(), "the books hold other tasks than the world")
        standing = {
            node_id: node
            for node_id, node in books.fleet.nodes.items()
            if node.state is not NodeState.REMOVING
        }
        _must(standing.keys() == world.nodes.keys(), "the books hold other nodes than the world")
        for node_id, node in standing.items():
            true = world.nodes[node_id]
            sent = {*true.running, *(each.part_id for each in true.queued)}
            _must(node.running.keys() == sent, f"node {node_id} runs {sorted(sent)} in truth")
            _must(
                node.joined == true.workers, f"node {node_id} has {true.workers} workers in truth"
            )
        for task_id, task in tasks.items():
            done = sum(part.state is PartState.FINISHED for part in task.parts)
            told = self._work.finished(task_id)
            _must(done == told, f"task {task_id} has {told} parts finished in truth, not {done}")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Breach(otherwise)


class _Work:
    """No part is lost or run twice to effect; every product is made of all its parts, once."""

    def __init__(self) -> None:
        self._live: dict[str, tuple[int, str]] = {}
        self._on_node: dict[str, set[str]] = {}
        self._attempts: dict[str, dict[str, int]] = {}
        self._finished: dict[str, set[str]] = {}

    def finished(self, task_id: str) -> int:
        """Return how many parts of a task have finished."""
        return len(self._finished.get(task_id, ()))

    def busy(self, node_id: str) -> set[str]:
        """Return the parts that were sent to a node and have not ended."""
        return self._on_node.get(node_id, set())

    def hear(self, event: AnyEvent) -> None:
        match event:
            case PartFinished() if self._ends(event.part_id, event.attempt):
                task_id = _task_of(event.part_id)
                done = self._finished.setdefault(task_id, set())
                _must(event.part_id not in done, f"part {event.part_id} finished twice")
                done.add(event.part_id)
            case PartFailed() | AttemptLost():
                self._ends(event.part_id, event.attempt)
            case NodeLost() | NodeRemoved():
                for part_id in self._on_node.pop(event.node_id, ()):
                    del self._live[part_id]

    def _ends(self, part_id: str, attempt: int) -> bool:
        live = self._live.get(part_id)
        if live is None or live[0] != attempt:
            return False
        self._forget(part_id)
        return True

    def _forget(self, part_id: str) -> None:
        _, node_id = self._live.pop(part_id)
        self._on_node[node_id].discard(part_id)

    def obey(self, command: AnyCommand, world: World) -> None:
        match command:
            case RunPart(part_id=part_id, task_id=task_id):
                _must(part_id not in self._live, f"part {part_id} runs twice at a time")
                done = self._finished.get(task_id, set())
                _must(part_id not in done, f"part {part_id} runs again though it has finished")
                attempts = self._attempts.setdefault(task_id, {})
                expected = attempts.get(part_id, 0) + 1
                _must(command.attempt == expected, f"part {part_id}: attempt {command.attempt}")
                attempts[part_id] = expected
                self._live[part_id] = (command.attempt, command.node_id)
                self._on_node.setdefault(command.node_id, set()).add(part_id)
            case StopPart(part_id=part_id) if part_id in self._live:
                self._forget(part_id)
            case CombineProduct(task_id=task_id):
                parts = len(world.errands[task_id].parts)
                found = sum(map(len, command.fragments))
                whole = self.finished(task_id) == parts == found
                _must(whole, f"task {task_id} is combined of {found} of its {parts} parts")
            case DeliverProduct(task_id=task_id):
                _must(task_id in self._finished, f"task {task_id} is delivered before it is made")
            case Notify() if command.kind in ENDS:
                self._finished.pop(command.task_id, None)
                self._attempts.pop(command.task_id, None)


def _task_of(part_id: str) -> str:
    return part_id.rpartition("/")[0]


class _FleetRules:
    """Caps and budget hold, and no busy node is removed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._offers: dict[str, NodeOffer] = {}
        self._asked: dict[str, tuple[NodeOffer, float]] = {}
        self._spent: dict[str, float] = {}
        self._draining: set[str] = set()
        self._paid: list[tuple[float, float]] = []

    def hear(self, event: AnyEvent) -> None:
        match event:
            case OffersChanged():
                self._offers = {offer.node_type: offer for offer in event.offers}
            case NodeLost() | NodeRemoved() | NodeRefused() if event.node_id in self._asked:
                self._paid.append((event.at, self._owed(event.node_id, event.at)))
                del self._asked[event.node_id]
                self._spent.pop(event.node_id, None)
                self._draining.discard(event.node_id)

    def obey(self, command: AnyCommand, at: float, work: _Work) -> None:
        match command:
            case ProvisionNode(node_id=node_id):
                self._ask(command, at)
            case SetWorkers(node_id=node_id):
                slots_max = self._asked[node_id][0].slots_max
                _must(
                    command.workers <= slots_max, f"node {node_id} gets {command.workers} workers"
                )
            case DrainNode(node_id=node_id):
                self._draining.add(node_id)
                if command.reason == UNPAID:
                    self._spent[node_id] = self._owed(node_id, at)
            case UndrainNode(node_id=node_id):
                self._draining.discard(node_id)
                self._spent.pop(node_id, None)
            case RunPart(node_id=node_id):
                _must(node_id not in self._draining, f"draining node {node_id} is sent a part")
            case RemoveNode(node_id=node_id):
                busy = sorted(work.busy(node_id))
                _must(not busy, f"node {node_id} is removed while it runs {busy}")

    def _ask(self, command: ProvisionNode, at: float) -> None:
        offer = self._offers[command.node_type]
        self._asked[command.node_id] = (offer, at)
        nodes_max = self._world.planner.settings.scaling.nodes_max
        count = len(self._asked)
        _must(count <= nodes_max, f"{count} nodes stand or boot, {nodes_max} may")
        alike = sum(each.node_type == offer.node_type for each, _ in self._asked.values())
        _must(alike <= offer.nodes_max, f"{alike} nodes of type {offer.node_type}")
        _must(command.workers <= offer.slots_max, f"{command.workers} workers on a new node")

    def check_budget(self, at: float) -> None:
        """Check what was spent in the last period; parts that end on a node may overdraw it."""
        scaling = self._world.planner.settings.scaling
        if scaling.budget is None:
            return
        self._paid = [each for each in self._paid if each[0] + scaling.budget_period_s > at]
        paid = sum(cost for _, cost in self._paid)
        owed = sum(self._owed(node_id, at) for node_id in self._asked)
        look_s = max(LOOK_S_MIN, scaling.judge_interval_s)
        dearest = max(offer.price_per_h for offer in self._offers.values())
        unseen = look_s * scaling.nodes_max * dearest / 3600.0
        _must(
            paid + owed <= scaling.budget + unseen + MONEY_ERROR,
            f"{paid + owed:.5f} of a budget of {scaling.budget:.5f} is spent",
        )

    def _owed(self, node_id: str, at: float) -> float:
        offer, since = self._asked[node_id]
        billed_s = billed_for_s(at - since, offer.quantum_s)
        return min(self._spent.get(node_id, float("inf")), billed_s * offer.price_per_h / 3600.0)


class _Clock:
    """Every task ends exactly once, and the time to its deadline is told right."""

    def __init__(self) -> None:
        self._wishes: dict[str, tuple[Subscription, float]] = {}
        self._arrived: dict[tuple[str, int], float] = {}
        self.open: dict[str, float | None] = {}
        self._of: dict[str, set[str]] = {}

    def hear(self, event: AnyEvent) -> None:
        match event:
            case SubscriptionAdded():
                self._wishes[event.subscription.id] = (event.subscription, event.at)
            case UpdateArrived():
                self._arrived.setdefault((event.dataset, event.number), event.at)
            case SubscriptionRemoved():
                self._wishes.pop(event.subscription_id, None)
                for task_id in self._of.pop(event.subscription_id, ()):
                    self.open.pop(task_id, None)
            case TaskCut(parts=()):
                self.open.pop(event.task_id, None)

    def obey(self, command: AnyCommand, event: AnyEvent) -> None:
        match command:
            case CutTask(task_id=task_id):
                _must(task_id not in self.open, f"task {task_id} is opened twice")
                self.open[task_id] = self._deadline_at(command, event)
                self._of.setdefault(command.subscription_id, set()).add(task_id)
            case Notify() if command.kind in ENDS:
                _must(command.task_id in self.open, f"task {command.task_id} ends twice")
                self._of.get(command.subscription_id, set()).discard(command.task_id)
                self._check_slack(command, self.open.pop(command.task_id), event.at)

    def _deadline_at(self, command: CutTask, event: AnyEvent) -> float | None:
        wish, since = self._wishes[command.subscription_id]
        arrivals = [
            self._arrived.get((each.view.dataset, each.updates.upto), since)
            for each in command.selections
        ]
        first = any(each.is_first for each in command.selections)
        arrived_at = max([*arrivals, since] if first else arrivals)
        if isinstance(event, SubscriptionResumed | FullProductRequested):
            arrived_at = event.at
        return wish.deadline_from(command.selections, arrived_at)

    def _check_slack(self, command: Notify, deadline_at: float | None, at: float) -> None:
        if command.kind not in (NoticeKind.DELIVERED, NoticeKind.LATE):
            return
        told, task_id = command.slack_s, command.task_id
        if deadline_at is None or told is None:
            _must(told is deadline_at is None, f"task {task_id}: slack {told} without a deadline")
            return
        true_s = deadline_at - at
        _must(abs(told - true_s) < SLACK_ERROR_S, f"task {task_id}: slack {told}, truly {true_s}")
        late = command.kind is NoticeKind.LATE
        _must(late == (told < 0), f"task {task_id} is told {command.kind} with slack {told}")
