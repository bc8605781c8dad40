"""Rehearsals: the whole planner in virtual time, and what must hold in every one."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.commands import AnyCommand, CutTask, ProvisionNode
from planner.core import Planner
from planner.events import (
    AnyEvent,
    OffersChanged,
    SubscriptionAdded,
    SubscriptionRemoved,
    TaskCut,
    Ticked,
)
from planner.keeping import decode_snapshot, encode_snapshot
from planner.model import Features, PartSpec
from planner.results import Results
from planner.settings import PlannerSettings
from sim.rehearsal import Foreseen, Settling, rehearse
from tests.planner.building import OFFER, archive_stands, subscription, update

Step = tuple[AnyEvent, list[AnyCommand]]


def world(files: int = 400, parts: int = 8) -> Foreseen:
    """Return a nature by which every task reads so many files, 10 ms each."""

    def cut(command: CutTask, at: float) -> TaskCut:
        features = Features(files=files // parts, values=2 * files // parts)
        part = PartSpec(extent=command.selections[0].view.extent, features=features)
        return TaskCut(
            at=at, task_id=command.task_id, parts=(part,) * parts, partitioner="even", version="1"
        )

    return Foreseen(
        cut_as=cut,
        run_s=lambda _, features: 0.01 * features.files,
        settle=lambda _: Settling(combine_s=0.2, deliver_s=0.2),
        boot_s=lambda offer: offer.boot_s,
        combining_max=8,
        deliveries_max=8,
    )


def load(subscriptions: int, deadline_s: float, updates: int = 2) -> list[AnyEvent]:
    """Return first deliveries at once, and updates every 20 s."""
    wishes = [
        SubscriptionAdded(at=0.0, subscription=subscription(f"s{i}", deadline_s=deadline_s))
        for i in range(subscriptions)
    ]
    arriving = [update(20.0 * number, number) for number in range(1, updates + 1)]
    return [OffersChanged(at=0.0, offers=(OFFER,)), archive_stands(), *wishes, *arriving]


class Recorder(Planner):
    """A planner that writes down what it was told and what it answered."""

    def __init__(self, planner_settings: PlannerSettings) -> None:
        super().__init__(planner_settings)
        self.steps: list[Step] = []

    def handle(self, event: AnyEvent) -> list[AnyCommand]:
        """Handle and write down; ticks that change nothing are left out, as in a journal."""
        commands = super().handle(event)
        if not isinstance(event, Ticked) or self.changed:
            self.steps.append((event, commands))
        return commands


def under(policy: str, nodes_max: int = 8) -> PlannerSettings:
    """Return settings with a policy."""
    plain = PlannerSettings()
    scaling = replace(plain.scaling, policy=policy, nodes_max=nodes_max, threshold_s=30.0)
    return replace(plain, scaling=scaling)


def rehearsed(policy: str, events: list[AnyEvent]) -> tuple[Results, list[Step]]:
    """Rehearse a load and return what came of it, and every step."""
    planner = Recorder(under(policy))
    return rehearse(planner, world(), events), planner.steps


POLICIES = ("none", "static", "dynamic", "prefix")


@pytest.mark.parametrize("policy", POLICIES)
def test_every_task_ends_in_a_product(policy: str) -> None:
    outcome, _ = rehearsed(policy, load(6, 60.0))
    assert len(outcome.tasks) == 18
    assert all(task.slack_s is not None for task in outcome.tasks.values())


def test_the_default_policy_meets_deadlines_that_one_node_misses() -> None:
    one_node, _ = rehearsed("none", load(6, 10.0))
    default, _ = rehearsed("prefix", load(6, 10.0))
    assert sum(task.missed for task in one_node.tasks.values()) > 0
    assert sum(task.missed for task in default.tasks.values()) == 0
    assert default.fleet.peak() > one_node.fleet.peak() == 1


def test_one_node_suffices_where_there_is_time() -> None:
    outcome, _ = rehearsed("prefix", load(2, 3600.0))
    assert outcome.fleet.peak() == 1
    assert not any(task.missed for task in outcome.tasks.values())


@pytest.mark.parametrize("policy", POLICIES)
def test_ticks_that_change_nothing_may_be_left_out_of_a_replay(policy: str) -> None:
    _, steps = rehearsed(policy, load(4, 20.0))
    again = Planner(under(policy))
    for event, commands in steps:
        assert again.handle(event) == commands


@pytest.mark.parametrize("policy", POLICIES)
def test_a_snapshot_at_any_step_goes_on_with_the_same_commands(policy: str) -> None:
    _, steps = rehearsed(policy, load(3, 15.0))
    planner = Planner(under(policy))
    for number, (event, commands) in enumerate(steps):
        if number % 7 == 0:
            kept = encode_snapshot(planner.snapshot())
            planner = Planner.restore(decode_snapshot(kept))
        assert planner.handle(event) == commands, f"step {number}"


@settings(max_examples=25)
@given(
    subscriptions=st.integers(1, 8),
    deadline_s=st.floats(3.0, 120.0),
    nodes_max=st.integers(1, 8),
    policy=st.sampled_from(POLICIES),
)
def test_caps_hold_and_everything_ends(
    subscriptions: int, deadline_s: float, nodes_max: int, policy: str
) -> None:
    planner = Recorder(under(policy, nodes_max))
    outcome = rehearse(planner, world(), load(subscriptions, deadline_s))
    assert outcome.fleet.peak() <= nodes_max
    assert len(outcome.tasks) == 3 * subscriptions
    assert all(task.slack_s is not None for task in outcome.tasks.values())
    assert not planner.books.desk.late_messages


@pytest.mark.parametrize(("combining_max", "last_s"), [(1, 4.0), (2, 2.0), (4, 1.0)])
def test_products_wait_for_those_that_are_combined_before(
    combining_max: int, last_s: float
) -> None:
    slow = replace(
        world(files=8),
        settle=lambda _: Settling(combine_s=1.0, deliver_s=0.0),
        combining_max=combining_max,
    )
    wide = replace(OFFER, slots=64, slots_max=64)
    events = [OffersChanged(at=0.0, offers=(wide,)), *load(4, 60.0, updates=0)[1:]]
    outcome = rehearse(Planner(under("none")), slow, events)
    worked_s = OFFER.boot_s + 0.01
    slacks = [task.slack_s for task in outcome.tasks.values() if task.slack_s is not None]
    assert min(slacks) == pytest.approx(60.0 - worked_s - last_s)


def test_what_is_judged_rarely_still_ends_and_replays() -> None:
    rarely = replace(
        under("prefix"), scaling=replace(under("prefix").scaling, judge_interval_s=3.0)
    )
    planner = Recorder(rarely)
    outcome = rehearse(planner, world(), load(6, 60.0))
    assert all(task.slack_s is not None for task in outcome.tasks.values())
    launches = [
        event.at
        for event, commands in planner.steps
        if any(isinstance(command, ProvisionNode) for command in commands)
    ]
    assert launches
    assert min(b - a for a, b in pairwise([-3.0, *launches])) >= 3.0
    again = Planner(rarely)
    for number, (event, commands) in enumerate(planner.steps):
        if number % 7 == 0:
            again = Planner.restore(decode_snapshot(encode_snapshot(again.snapshot())))
        assert again.handle(event) == commands


def test_a_page_that_waits_is_not_the_end() -> None:
    plain = under("none")
    one_a_step = replace(plain.dispatch, matches_per_step_max=1)
    planner = Planner(replace(plain, dispatch=one_a_step))
    wishes = [
        SubscriptionAdded(at=0.0, subscription=subscription(name, backfill=False)) for name in "abc"
    ]
    removals = [SubscriptionRemoved(at=20.0, subscription_id=name) for name in "ab"]
    events: list[AnyEvent] = [OffersChanged(at=0.0, offers=(OFFER,)), archive_stands(), *wishes]
    events += [update(20.0, 1), *removals]
    outcome = rehearse(planner, world(), events)
    delivered = [task.subscription_id for task in outcome.tasks.values() if task.outcome]
    assert delivered == ["c"]


def test_a_rehearsal_repeats_to_the_last_command() -> None:
    _, first = rehearsed("prefix", load(5, 12.0))
    _, second = rehearsed("prefix", copy.deepcopy(load(5, 12.0)))
    assert first == second
