"""A world around a planner that checks every step: what was commanded, answered, and delivered.

Three planners are led side by side: the one that is tried, one that is fed its journal (where ticks
that changed nothing are left out), and one that was restored from its last snapshot. All three must
give the same commands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from planner.budget import money_left
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    Notify,
    ProvisionNode,
    RunPart,
    StopPart,
    UndrainNode,
    WakeAt,
)
from planner.core import Planner
from planner.events import (
    AnyEvent,
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    NodeLost,
    NodeRemoved,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionRemoved,
    TaskCut,
    Ticked,
)
from planner.journal import decode_step, encode_step
from planner.keeping import decode_snapshot, encode_snapshot
from planner.lifecycle import NodeState
from planner.model import Selection
from planner.registry import Row
from planner.results import ENDS
from planner.scaling.policy import BUILT_IN, Policy
from planner.scaling.view import Grow, Keep, Launch, NodePhase, Release, ScalingView, Wanted
from planner.settings import PlannerSettings
from tests.planner.building import every
from tests.planner.invariants import check_books

TICKS_AT_ONE_INSTANT_MAX = 20
"""Pages that wait take some; a planner that asks for more is in a busy loop."""

_DONE_WITH = (Notify, StopPart, UndrainNode, WakeAt)


@dataclass(slots=True, kw_only=True)
class Share:
    """What a standing subscription wants of one dataset, and the updates it was given as tasks."""

    backfill: bool
    since: int | None
    given: set[int] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Wish:
    """A standing subscription, with its share of each of its datasets."""

    version: int
    shares: dict[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How often the fickle policy was asked."""

    number: int = 0


class Fickle:
    """A policy that wants anything: what a bad plug-in might."""

    name: ClassVar[str] = "fickle"
    memory_type: ClassVar[type] = Turn

    def start(self) -> Turn:
        return Turn()

    def step(self, memory: Turn, view: ScalingView) -> tuple[Turn, Wanted]:
        number = memory.number
        ids = [node.node_id for node in view.nodes]
        chosen = ids[number % len(ids)] if ids else "nobody"
        drained = [n.node_id for n in view.nodes if n.phase is NodePhase.DRAINING]
        offers = ["unheard of", *(offer.node_type for offer in view.offers)]
        launch = Launch(node_type=offers[number % len(offers)], workers=number % 7 - 1, reason="x")
        wanted = Wanted(
            launches=(launch,) * (number % 3),
            grows=(Grow(node_id=chosen, workers=number % 6 - 1, reason="x"),) * (number % 2),
            releases=(Release(node_id=chosen, reason="x"),) * (number % 5 == 4),
            keeps=tuple(Keep(node_id=node_id, reason="x") for node_id in drained[number % 3 :]),
            wake_at=(None, math.inf, view.now, view.now - 9.0, view.now + 0.5)[number // 25 % 5],
        )
        return Turn(number=number + 1), wanted

    def nodes_reachable(self, view: ScalingView) -> int:
        return view.nodes_allowed


POLICIES: Mapping[str, Policy] = {**BUILT_IN, Fickle.name: Fickle()}


class World:
    """Feeds a planner, and knows what must follow.

    Attributes
    ----------
    now : float
    unanswered : list of AnyCommand
        What somebody is still at.
    """

    def __init__(self, settings: PlannerSettings, at: float) -> None:
        self.now = at
        self.planner = Planner(settings, POLICIES)
        self.replayed = Planner(settings, POLICIES)
        self.restored: Planner | None = None
        self.unanswered: list[AnyCommand] = []
        self.wake_at: float | None = None
        self.newest: dict[str, int] = {}
        self.wishes: dict[str, Wish] = {}
        self.node_ids: list[str] = []
        self._attempts: dict[str, tuple[int, str]] = {}
        self._settling: dict[str, int] = {}
        self._ended: Counter[str] = Counter()

    def happen(self, event: AnyEvent) -> list[AnyCommand]:
        """Feed an event and check all that follows from it."""
        books = self.planner.books
        tasks = set(books.backlog.tasks)
        nodes = {node.id for node in books.fleet.nodes.values() if node.state is NodeState.READY}
        self._note(event)
        commands = self.planner.handle(event)
        self._compare(event, commands)
        self._check_parts(commands, nodes)
        for command in commands:
            self._check(command)
        self._check_ends(event, commands, tasks)
        check_books(books)
        wakes = every(commands, WakeAt)
        self.wake_at = wakes[-1].wake_at if wakes else self.wake_at
        self.unanswered += [c for c in commands if not isinstance(c, _DONE_WITH)]
        return commands

    def tick(self) -> None:
        """Let the planner judge, as often as it wants to at this instant."""
        for _ in range(TICKS_AT_ONE_INSTANT_MAX):
            if self.wake_at is not None and self.wake_at <= self.now:
                self.wake_at = None
            self.happen(Ticked(at=self.now))
            if self.wake_at is None or self.wake_at > self.now:
                return
        raise AssertionError(f"a busy loop: woken for {self.wake_at} at {self.now}")

    def restart(self) -> None:
        """Restore a planner from a snapshot, to be led beside this one from now on."""
        kept = encode_snapshot(self.planner.snapshot())
        self.restored = Planner.restore(decode_snapshot(kept, POLICIES), POLICIES)

    def check_given(self) -> None:
        """Assert that every subscription was given every update since it was made."""
        assert not self.planner.books.desk.pages
        for name, wish in self.wishes.items():
            if self._row(name).paused:
                continue
            for dataset, share in wish.shares.items():
                first = 0 if share.backfill or share.since is None else share.since + 1
                wanted = range(max(first, 1), self.newest.get(dataset, 0) + 1)
                missing = set(wanted) - share.given
                assert not missing, f"{name} was never given {missing} of {dataset}"

    def covered_to(self, name: str, dataset: str) -> int | None:
        """Return the last update that a subscription was offered, as the books have it."""
        return self.planner.books.registry.offered(self._row(name)).get(dataset)

    def _row(self, name: str) -> Row:
        rows = self.planner.books.registry.state.rows.values()
        return next(row for row in rows if row.subscription.id == name)

    def _note(self, event: AnyEvent) -> None:
        """Note which attempts an event ends."""
        match event:
            case PartFinished() | PartFailed() | AttemptLost():
                if self._attempts.get(event.part_id, (0, ""))[0] == event.attempt:
                    del self._attempts[event.part_id]
            case ProductCombined() | CombineFailed() | ProductDelivered() | DeliveryFailed():
                if self._settling.get(event.task_id) == event.attempt:
                    del self._settling[event.task_id]
            case NodeLost(node_id=node_id) | NodeRemoved(node_id=node_id):
                gone = [part for part, (_, node) in self._attempts.items() if node == node_id]
                for part_id in gone:
                    del self._attempts[part_id]

    def _compare(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Lead the other planners on and assert that they say the same, through the journal."""
        if self.restored is not None:
            assert self.restored.handle(event) == commands, "after a restart"
        if not isinstance(event, Ticked) or self.planner.changed:
            step = decode_step(encode_step(event, commands), 0)
            assert step.event == event, "a value that the journal does not keep"
            assert list(step.commands) == commands, "a value that the journal does not keep"
            assert self.replayed.handle(step.event) == commands, "in a replay"

    def _check_parts(self, commands: list[AnyCommand], ready: set[str]) -> None:
        """Assert that parts go to nodes that may have them, and never twice at a time."""
        ready = ready | {command.node_id for command in every(commands, UndrainNode)}
        for command in every(commands, RunPart):
            assert command.node_id in ready
            assert self.planner.books.fleet.nodes[command.node_id].joined > 0
            assert command.part_id not in self._attempts, "two attempts at a time"
            self._attempts[command.part_id] = command.attempt, command.node_id

    def _check(self, command: AnyCommand) -> None:
        match command:
            case StopPart():
                self._attempts.pop(command.part_id, None)
            case CombineProduct() | DeliverProduct():
                assert command.task_id not in self._settling, "two attempts at a time"
                self._settling[command.task_id] = command.attempt
            case ProvisionNode():
                self._check_caps(command)
            case CutTask():
                self._check_selections(command)
            case WakeAt():
                assert command.wake_at >= self.now

    def _check_caps(self, command: ProvisionNode) -> None:
        books = self.planner.books
        scaling = books.settings.scaling
        assert command.node_id not in self.node_ids
        self.node_ids.append(command.node_id)
        assert len(books.fleet.nodes) <= scaling.nodes_max
        assert money_left(books.fleet, scaling, self.now) >= -1e-9
        assert command.workers <= books.fleet.nodes[command.node_id].offer.slots_max

    def _check_selections(self, command: CutTask) -> None:
        """Assert that a task is for the version that stands, and about each dataset once."""
        wish = self.wishes[command.subscription_id]
        assert command.version == wish.version
        datasets = [selection.view.dataset for selection in command.selections]
        assert 0 < len(set(datasets)) == len(datasets) == len(command.costs)
        views = self._row(command.subscription_id).subscription.views
        for selection in command.selections:
            assert views[selection.place] == selection.view
            self._check_span(command.subscription_id, selection)

    def _check_span(self, name: str, selection: Selection) -> None:
        """Assert that no update of a dataset is given twice."""
        share, updates = self.wishes[name].shares[selection.view.dataset], selection.updates
        if updates.after is None:
            assert not share.given
            assert share.backfill
        first = 0 if updates.after is None else updates.after + 1
        assert first <= updates.upto, f"a task about nothing: {updates}"
        span = set(range(first, updates.upto + 1))
        assert not span & share.given, f"{name} is given {span & share.given} twice"
        share.given |= span

    def _check_ends(self, event: AnyEvent, commands: list[AnyCommand], before: set[str]) -> None:
        """Assert that each task ends once, and that its end is told or has another good reason."""
        ends = {c.task_id for c in every(commands, Notify) if c.kind in ENDS}
        self._ended.update(ends)
        assert all(self._ended[task_id] == 1 for task_id in ends), "a task ended twice"
        opened = {command.task_id for command in every(commands, CutTask)}
        silent = (before | opened) - set(self.planner.books.backlog.tasks) - ends
        assert not ends & set(self.planner.books.backlog.tasks), "told of an end that is none"
        match event:
            case TaskCut():
                assert silent <= {event.task_id}
            case SubscriptionRemoved():
                pass
            case _:
                assert not silent, f"{silent} vanished"
        for task_id in ends | silent:
            self._settling.pop(task_id, None)
