"""A nasty world plays against the planner: nothing that it may do breaks what must hold.

Messages come late, twice, in any order; nodes are lost at any time, workers go and come back; what
can fail fails; subscriptions change in the middle; clocks step back. After each event the books
must agree, a replay of the journal and a restored snapshot must command the same (`World`). In the
end the world turns kind: then every task must end, driven by nothing but answers and `WakeAt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
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
    OffersChanged,
    PartFailed,
    ProductCombined,
    ProductDelivered,
    SettingsChanged,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskCut,
    TaskRefused,
    UpdateArrived,
)
from planner.importance import ORDERS
from planner.lifecycle import NodeState
from planner.model import Features, NodeOffer, PartSpec
from planner.settings import DispatchSettings, PlannerSettings, ScalingSettings
from tests.planner.building import (
    ARGO,
    IN_THE_MEDITERRANEAN,
    NOTHING,
    finished,
    product,
    subscription,
    view,
)
from tests.planner.nasty import POLICIES, Fickle, Share, Wish, World

EXAMPLES = 150
"""Stories told, 60 moves and more each: what some 15 seconds allow."""

START_AT = 1_700_000_000.123
"""A realistic instant: what is added to it is rounded."""

SMALL = NodeOffer(
    node_type="small", slots=1, slots_max=2, boot_s=2.0, nodes_max=3, price_per_h=36.0
)
BIG = NodeOffer(
    node_type="big",
    slots=2,
    slots_max=3,
    speed=1.7,
    boot_s=5.0,
    nodes_max=2,
    price_per_h=90.0,
    quantum_s=60.0,
)
NAMES = ("a", "b", "c", "d")
ICE, MOORINGS = "10.5067/ice", "10.1234/moorings"
DATASETS = (ARGO, ARGO, ICE, MOORINGS)
"""Where updates come, the first more often; of the ice is known only that they came."""
WANTED = (
    (ARGO,),
    (ARGO,),
    (ARGO, ICE),
    (ICE, ARGO),
    (ICE,),
    (MOORINGS, ARGO, ICE),
    (MOORINGS, ICE),
)
"""What a subscription may be to."""
PLACES = (*range(6), 9, 14, 30)
"""How far back in a list something lies that is said again, or that something befalls."""

MOODS = (*["good"] * 7, "bad", "bad", "fatal", "lost")
STEPS_TO_THE_END_MAX = 2000

Choices = Mapping[str, Sequence[Any]]

SCALING: Choices = {
    "policy": sorted(POLICIES),
    "nodes_min": (0, 0, 1),
    "nodes_max": (1, 2, 3, 5),
    "budget": (None, None, 10.0, 30.0),
    "budget_period_s": (600.0,),
    "best_effort_s": (300.0,),
    "margin_s": (0.0, 10.0),
    "threshold_s": (5.0, 60.0),
    "signal_interval_s": (0.0, 5.0),
    "judge_interval_s": (0.0, 0.0, 0.7, 30.0),
    "registration_s_max": (12.3, 30.1),
}
DISPATCH: Choices = {
    "order": ORDERS,
    "attempts_max": (1, 2, 3, 4),
    "retry_s": (0.1, 1.0),
    "retry_s_max": (4.0,),
    "reserve_part_s_max": (0.0, 0.25, 10.0),
    "matches_per_step_max": (1, 2, 3),
}


class NastyWorld:
    """What a world may do to a planner; see `MOVES`."""

    def __init__(self, settings: PlannerSettings, number: int | None) -> None:
        self.world = World(settings, START_AT)
        self.said: list[AnyEvent] = []
        self.versions = dict.fromkeys(NAMES, 0)
        self.world.happen(OffersChanged(at=START_AT, offers=(SMALL, BIG)))
        if number is not None:
            self.arrive(ARGO, number)

    def move_the_clock(self, by_s: float) -> None:
        self.world.now += by_s
        self.world.tick()

    def sleep_until_woken(self) -> None:
        if self.world.wake_at is not None:
            self.world.now = max(self.world.now, self.world.wake_at)
            self.world.tick()

    def answer(self, place: int, mood: str) -> None:
        """Answer a command."""
        if self.world.unanswered:
            command = self.world.unanswered.pop(place % len(self.world.unanswered))
            self.say(*self.answers(command, mood))

    def work(self, place: int, first: str, second: str, third: str, by_s: float) -> None:
        """Answer some commands, together as one batch."""
        self.world.now += by_s
        for mood in (first, second, third):
            self.answer(place, mood)
        self.world.tick()

    def restart(self) -> None:
        self.world.restart()

    def wish(self, name: str, datasets: tuple[str, ...], priority: float, **wishes: Any) -> None:
        self.versions[name] += 1
        wanted = subscription(name, version=self.versions[name], **wishes)
        views = tuple(replace(view(), dataset=dataset) for dataset in datasets)
        wanted = replace(wanted, views=views, priority=priority)
        old = self.world.wishes.get(name)
        self.world.wishes[name] = Wish(
            version=wanted.version,
            shares={each: self.share(name, each, old, wanted.backfill) for each in datasets},
        )
        self.world.happen(SubscriptionAdded(at=self.at(), subscription=wanted))

    def share(self, name: str, dataset: str, old: Wish | None, backfill: bool) -> Share:
        """Return what a version of a subscription wants of a dataset: no less than the last one."""
        share = old.shares.get(dataset) if old else None
        if share is None:
            return Share(backfill=backfill, since=self.world.newest.get(dataset))
        if self.world.covered_to(name, dataset) is None:
            share.backfill = backfill
        return share

    def change_mind(self, name: str, kind: type[Any]) -> None:
        self.world.happen(kind(at=self.at(), subscription_id=name))
        if kind is SubscriptionRemoved:
            self.world.wishes.pop(name, None)

    def update(self, dataset: str, ahead: int) -> None:
        newest = self.world.newest.get(dataset)
        self.arrive(dataset, ahead if newest is None else newest + ahead)

    def answer_and_go_on(self, place: int) -> None:
        """Answer a command now and once more later: a doubled message."""
        if self.world.unanswered:
            command = self.world.unanswered[place % len(self.world.unanswered)]
            self.say(*self.answers(command, "good"))

    def say_again(self, place: int) -> None:
        if self.said:
            self.world.happen(replace(self.said[-1 - place % len(self.said)], at=self.at()))

    def workers_come_and_go(self, place: int, workers: int) -> None:
        if node_id := self.some_node(place):
            self.say(NodeReady(at=self.at(), node_id=node_id, workers=workers))

    def a_node_goes(self, place: int, end: str) -> None:
        node_id = self.some_node(place)
        if not node_id:
            return
        ends: dict[str, AnyEvent] = {
            "lost": NodeLost(at=self.at(), node_id=node_id, reason="gone"),
            "removed": NodeRemoved(at=self.at(), node_id=node_id),
            "refused": NodeRefused(at=self.at(), node_id=node_id, reason="no quota", retry=False),
        }
        self.say(ends[end])

    def change_settings(self, salt: int) -> None:
        self.world.happen(SettingsChanged(at=self.at(), settings=settings_of(salt)))

    def change_offers(self, offers: tuple[NodeOffer, ...]) -> None:
        self.world.happen(OffersChanged(at=self.at(), offers=offers))

    def turn_kind(self) -> None:
        """Answer all that is asked, and assert that every task ends."""
        world, books = self.world, self.world.planner.books
        self.change_offers((SMALL, BIG))
        if books.settings.scaling.policy == Fickle.name:
            world.happen(SettingsChanged(at=self.at(), settings=PlannerSettings()))
        for node in list(books.fleet.nodes.values()):
            if node.state in {NodeState.READY, NodeState.DRAINING}:
                world.happen(NodeReady(at=self.at(), node_id=node.id, workers=node.workers))
        world.tick()
        for _ in range(STEPS_TO_THE_END_MAX):
            if world.unanswered:
                for event in self.answers(world.unanswered.pop(0), "good"):
                    world.happen(event)
                world.now += 0.01
            elif world.wake_at is not None:
                world.now = max(world.now, world.wake_at)
            else:
                break
            world.tick()
        assert not books.backlog.tasks, "tasks wait, and nobody will wake the planner"
        world.check_given()

    def arrive(self, dataset: str, number: int) -> None:
        newest = self.world.newest.get(dataset)
        known = NOTHING if number == 0 else None if dataset == ICE else IN_THE_MEDITERRANEAN
        event = UpdateArrived(at=self.at(), dataset=dataset, number=number, observations=known)
        self.world.newest[dataset] = number if newest is None else max(newest, number)
        for wish in self.world.wishes.values():
            share = wish.shares.get(dataset)
            if newest is None and share and not share.backfill:
                share.since = number - 1
        self.say(event)

    def say(self, *events: AnyEvent) -> None:
        for event in events:
            self.said.append(event)
            self.world.happen(event)

    def at(self) -> float:
        return self.world.now

    def some_node(self, place: int) -> str:
        """Return a node that was asked for, mostly one of the last."""
        ids = self.world.node_ids
        return ids[-1 - place % len(ids)] if ids else ""

    def answers(self, command: AnyCommand, mood: str) -> list[AnyEvent]:
        """Return what may come of a command."""
        good = self.good_answer(command)
        if mood == "good" or good is None:
            return [good] if good else []
        return [self.bad_answer(command, mood, good)]

    def good_answer(self, command: AnyCommand) -> AnyEvent | None:
        at = self.at()
        match command:
            case CutTask():
                return cut_somehow(command, at)
            case RunPart():
                return finished(command, at, run_s=0.1 + len(command.part_id) / 3)
            case CombineProduct(task_id=task_id, attempt=attempt):
                return ProductCombined(
                    at=at, task_id=task_id, attempt=attempt, run_s=0.3, product=product()
                )
            case DeliverProduct(task_id=task_id, attempt=attempt):
                return ProductDelivered(
                    at=at, task_id=task_id, attempt=attempt, run_s=0.7, manifest_url="m"
                )
            case ProvisionNode(node_id=node_id, workers=n) | SetWorkers(node_id=node_id, workers=n):
                return NodeReady(at=at, node_id=node_id, workers=n)
            case RemoveNode(node_id=node_id):
                return NodeRemoved(at=at, node_id=node_id)
        assert isinstance(command, DrainNode)
        return None

    def bad_answer(self, command: AnyCommand, mood: str, good: AnyEvent) -> AnyEvent:
        at, why, retry = self.at(), "bad luck", mood == "bad"
        match command:
            case CutTask(task_id=task_id):
                return TaskRefused(at=at, task_id=task_id, reason=why)
            case RunPart(part_id=part_id, attempt=n) if mood == "lost":
                return AttemptLost(at=at, part_id=part_id, attempt=n, reason=why)
            case RunPart(part_id=part_id, attempt=n):
                return PartFailed(at=at, part_id=part_id, attempt=n, reason=why, retry=retry)
            case CombineProduct(task_id=task_id, attempt=n):
                return CombineFailed(at=at, task_id=task_id, attempt=n, reason=why, retry=retry)
            case DeliverProduct(task_id=task_id, attempt=n):
                return DeliveryFailed(at=at, task_id=task_id, attempt=n, reason=why, retry=retry)
            case ProvisionNode(node_id=node_id) if mood == "lost":
                return NodeLost(at=at, node_id=node_id, reason=why)
            case ProvisionNode(node_id=node_id):
                return NodeRefused(at=at, node_id=node_id, reason=why, retry=retry)
        return good


def cut_somehow(command: CutTask, at: float) -> TaskCut:
    """Return the cut of a task; one dataset or another may turn out to hold nothing of it."""
    number = int(command.task_id[1:].partition(".")[0])
    parts = []
    for place, selection in enumerate(command.selections):
        count = (number + place) % 4 + (len(command.selections) == 1)
        for part in range(max(count, selection.is_first)):
            files = (7 * number + 31 * part + 101 * place) % 500
            features = Features(files=files, values=2 * files)
            parts.append(PartSpec(extent=selection.view.extent, features=features, selection=place))
    return TaskCut(
        at=at, task_id=command.task_id, parts=tuple(parts), partitioner="balanced", version="1"
    )


MOVES: tuple[tuple[int, Callable[..., None], Choices], ...] = (
    (
        12,
        NastyWorld.work,
        {
            "place": PLACES,
            "first": MOODS,
            "second": MOODS,
            "third": MOODS,
            "by_s": (0.01, 0.4, 5.0),
        },
    ),
    (3, NastyWorld.answer, {"place": PLACES, "mood": MOODS}),
    (2, NastyWorld.answer_and_go_on, {"place": PLACES}),
    (4, NastyWorld.say_again, {"place": PLACES}),
    (5, NastyWorld.move_the_clock, {"by_s": (0.0, 1e-6, 0.1, 1.0, 3.7, 20.0, 61.0, -0.5, -3.0)}),
    (4, NastyWorld.sleep_until_woken, {}),
    (2, NastyWorld.restart, {}),
    (
        4,
        NastyWorld.wish,
        {
            "name": NAMES,
            "datasets": WANTED,
            "deadline_s": (None, 3.0, 20.0, 300.0),
            "firm": (False, False, True),
            "backfill": (True, True, False),
            "priority": (0.0, 1.0, 5.0),
        },
    ),
    (
        2,
        NastyWorld.change_mind,
        {
            "name": NAMES,
            "kind": (SubscriptionPaused, SubscriptionResumed, SubscriptionRemoved),
        },
    ),
    (5, NastyWorld.update, {"dataset": DATASETS, "ahead": (0, 1, 1, 1, 3)}),
    (2, NastyWorld.workers_come_and_go, {"place": PLACES, "workers": (0, 1, 2, 3)}),
    (1, NastyWorld.a_node_goes, {"place": PLACES, "end": ("lost", "removed", "refused")}),
    (1, NastyWorld.change_settings, {"salt": range(1000)}),
    (1, NastyWorld.change_offers, {"offers": ((SMALL,), (BIG,), (SMALL, BIG), ())}),
)
"""How often, what, and with which arguments."""


def settings_of(salt: int) -> PlannerSettings:
    """Return the settings that a number stands for."""
    rng = Random(salt)
    scaling = ScalingSettings(**chosen(SCALING, rng))
    return PlannerSettings(scaling=scaling, dispatch=DispatchSettings(**chosen(DISPATCH, rng)))


def move_of(salt: int) -> tuple[Callable[..., None], dict[str, Any]]:
    """Return the move that a number stands for."""
    rng = Random(salt)
    ((_, move, choices),) = rng.choices(MOVES, [often for often, _, _ in MOVES])
    return move, chosen(choices, rng)


def chosen(choices: Choices, rng: Random) -> dict[str, Any]:
    return {name: rng.choice(values) for name, values in choices.items()}


salts = st.integers(0, 2**32 - 1)


numbers = st.sampled_from([None, 0, 0, 3])
stories = st.lists(salts, min_size=60)


def tell(salt: int, number: int | None, story: list[int]) -> None:
    """Play a story: each number is a move, so they are quick to draw, and shrink to few."""
    nasty = NastyWorld(settings_of(salt), number)
    for move, arguments in map(move_of, story):
        note(f"{move.__name__} {arguments}")
        move(nasty, **arguments)
    nasty.turn_kind()


@settings(max_examples=EXAMPLES, deadline=None)
@given(salt=salts, number=numbers, story=stories)
def test_whatever_the_world_does_the_books_agree_and_every_task_ends(
    salt: int, number: int | None, story: list[int]
) -> None:
    tell(salt, number, story)


@pytest.mark.slow
@settings(max_examples=10 * EXAMPLES, deadline=None)
@given(salt=salts, number=numbers, story=stories)
def test_nor_in_a_long_campaign(salt: int, number: int | None, story: list[int]) -> None:
    tell(salt, number, story)
