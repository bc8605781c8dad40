"""Wake-ups that must come, must not come again and again, and what a tick does in between."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from planner.commands import DrainNode, ProvisionNode, RemoveNode, RunPart, UndrainNode, WakeAt
from planner.core import Planner
from planner.events import (
    NodeLost,
    NodeReady,
    NodeRemoved,
    OffersChanged,
    ProductCombined,
    ProductDelivered,
    Ticked,
)
from planner.model import NodeOffer
from planner.scaling.policy import BUILT_IN
from planner.scaling.view import Keep, Launch, Release, ScalingView, Wanted
from planner.settings import PlannerSettings, ScalingSettings
from planner.steering import ATTEMPT_LIMIT_FACTOR
from tests.planner.building import (
    OFFER,
    archive_stands,
    every,
    feed,
    finished,
    node_up,
    one,
    opened,
    opened_task,
    product,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The memory of a policy that has none."""


@dataclass(slots=True)
class Obedient:
    """A policy that wants what a test tells it to."""

    wanted: Wanted = field(default_factory=Wanted)
    seen: ScalingView | None = None
    name: ClassVar[str] = "obedient"
    memory_type: ClassVar[type] = Nothing

    def start(self) -> Nothing:
        return Nothing()

    def step(self, memory: Nothing, view: ScalingView) -> tuple[Nothing, Wanted]:
        self.seen = view
        return memory, self.wanted

    def nodes_reachable(self, view: ScalingView) -> int:
        return view.nodes_allowed


@pytest.fixture
def policy() -> Obedient:
    return Obedient()


def led_by(policy: Obedient, *offers: NodeOffer) -> Planner:
    """Return a planner that knows these offers and an archive."""
    settings = PlannerSettings(scaling=ScalingSettings(policy="obedient"))
    planner = Planner(settings, {**BUILT_IN, "obedient": policy})
    feed(planner, OffersChanged(at=0.0, offers=offers or (OFFER,)), archive_stands())
    return planner


def launch(node_type: str = "local") -> Launch:
    return Launch(node_type=node_type, workers=2, reason="wanted")


def test_a_node_that_is_used_again_is_sent_parts_at_once(policy: Obedient) -> None:
    planner = led_by(policy)
    opened_task(planner, 10)
    policy.wanted = Wanted(launches=(launch(),))
    node_id = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    feed(planner, NodeReady(at=2.0, node_id=node_id, workers=2))
    policy.wanted = Wanted(releases=(Release(node_id=node_id, reason="not wanted"),))
    drained = planner.handle(Ticked(at=2.0))
    assert every(drained, RunPart)
    assert every(drained, DrainNode)
    opened_task(planner, 10, name="more", at=3.0)
    policy.wanted = Wanted(keeps=(Keep(node_id=node_id, reason="wanted again"),))
    kept = planner.handle(Ticked(at=3.0))
    assert every(kept, UndrainNode)
    assert one(kept, RunPart).node_id == node_id


@pytest.mark.parametrize(
    ("wish", "wake_at"), [(5.0, 11.0), (10.0, 11.0), (12.5, 12.5), (math.nan, 11.0)]
)
def test_a_policy_that_wants_to_be_asked_in_the_past_is_asked_soon_but_not_at_once(
    wish: float, wake_at: float, policy: Obedient
) -> None:
    planner = led_by(policy)
    policy.wanted = Wanted(wake_at=wish)
    assert one(planner.handle(Ticked(at=10.0)), WakeAt).wake_at == wake_at


@pytest.mark.parametrize("speed", [1.0, 0.05])
def test_an_attempt_on_a_slow_node_has_the_more_time(speed: float, policy: Obedient) -> None:
    planner = led_by(policy, replace(OFFER, speed=speed))
    policy.wanted = Wanted(launches=(launch(),))
    opened_task(planner, 10_000)
    node_id = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    feed(planner, NodeReady(at=2.0, node_id=node_id, workers=2))
    run = one(planner.handle(Ticked(at=2.0)), RunPart)
    found = planner.books.backlog.part(run.part_id)
    assert found is not None
    assert run.limit_s > ATTEMPT_LIMIT_FACTOR * found[1].mean_s / speed


def test_a_policy_that_wants_never_to_be_asked_again_is_not(policy: Obedient) -> None:
    planner = led_by(policy)
    policy.wanted = Wanted(wake_at=math.inf)
    assert planner.handle(Ticked(at=10.0)) == []


def test_a_node_is_given_up_at_the_very_instant_that_was_asked_for() -> None:
    """Else the tick would ask for the same instant again, and again."""
    asked_at = 1_700_000_000.0
    assert (asked_at + 30.1) - asked_at < 30.1  # It is rounded.
    planner = opened(PlannerSettings(scaling=ScalingSettings(registration_s_max=30.1)))
    opened_task(planner, 10, at=asked_at, deadline_s=None)
    node_id = one(planner.handle(Ticked(at=asked_at)), ProvisionNode).node_id
    given_up = planner.handle(Ticked(at=asked_at + 30.1))
    assert [removal.node_id for removal in every(given_up, RemoveNode)] == [node_id]


def test_a_node_whose_workers_left_for_good_is_given_up() -> None:
    planner = opened(PlannerSettings(scaling=ScalingSettings(registration_s_max=30.0)))
    opened_task(planner, 10)
    node_id = node_up(planner)
    feed(planner, NodeReady(at=5.0, node_id=node_id, workers=0))
    assert one(planner.handle(Ticked(at=5.0)), WakeAt).wake_at == 35.0
    gone = one(planner.handle(Ticked(at=35.0)), RemoveNode)
    assert (gone.node_id, gone.reason) == (node_id, "no worker joined for 30 s")
    feed(planner, NodeRemoved(at=36.0, node_id=node_id))
    one(planner.handle(Ticked(at=36.0)), ProvisionNode)


def test_workers_that_come_back_keep_their_node() -> None:
    planner = opened(PlannerSettings(scaling=ScalingSettings(registration_s_max=30.0)))
    opened_task(planner, 10)
    node_id = node_up(planner)
    feed(planner, NodeReady(at=5.0, node_id=node_id, workers=0), Ticked(at=5.0))
    feed(planner, NodeReady(at=34.0, node_id=node_id, workers=2))
    assert not every(planner.handle(Ticked(at=35.0)), RemoveNode)


def test_a_wake_up_that_came_is_a_change_though_nothing_else_came_of_it(policy: Obedient) -> None:
    """Else a replay, where that tick is left out, would think that it is still to come."""
    planner = led_by(policy)
    policy.wanted = Wanted(wake_at=60.0)
    assert planner.handle(Ticked(at=10.0)) == [WakeAt(wake_at=60.0)]
    policy.wanted = Wanted()
    assert planner.handle(Ticked(at=60.0)) == []
    assert planner.changed
    policy.wanted = Wanted(wake_at=60.0)
    assert planner.handle(Ticked(at=59.0)) == [WakeAt(wake_at=60.0)]  # The clock stepped back.


def test_what_is_left_of_an_offer_counts_the_nodes_that_came_since(policy: Obedient) -> None:
    planner = led_by(policy, replace(OFFER, nodes_max=2))
    policy.wanted = Wanted(launches=(launch(),))
    asked = [one(planner.handle(Ticked(at=float(at))), ProvisionNode).node_id for at in range(2)]
    assert not every(planner.handle(Ticked(at=3.0)), ProvisionNode)
    assert policy.seen is not None
    assert [offer.nodes_max for offer in policy.seen.offers] == [0]
    assert policy.seen.nodes_allowed == 0
    feed(planner, NodeLost(at=4.0, node_id=asked[0], reason="gone"))
    one(planner.handle(Ticked(at=9.0)), ProvisionNode)


def test_an_offer_that_is_told_anew_counts_from_then_on(policy: Obedient) -> None:
    planner = led_by(policy, replace(OFFER, nodes_max=2))
    policy.wanted = Wanted(launches=(launch(),))
    one(planner.handle(Ticked(at=0.0)), ProvisionNode)
    feed(planner, OffersChanged(at=1.0, offers=(replace(OFFER, nodes_max=1),)))
    one(planner.handle(Ticked(at=1.0)), ProvisionNode)
    assert not every(planner.handle(Ticked(at=2.0)), ProvisionNode)


def test_tasks_that_wait_are_judged_by_how_long_delivering_has_come_to_take() -> None:
    planner = opened()
    first = opened_task(planner, 10)
    waiting = opened_task(planner, *[10_000] * 8, name="late", deadline_s=600.0)
    node_up(planner)
    run = next(r for r in every(planner.handle(Ticked(at=2.0)), RunPart) if r.task_id == first)
    before = planner.books.backlog.tasks[waiting].reserve_s
    found = planner.books.backlog.part(run.part_id)
    assert found is not None
    made = ProductCombined(at=4.0, task_id=first, attempt=1, run_s=20.0, product=product())
    there = ProductDelivered(at=5.0, task_id=first, attempt=1, run_s=20.0, manifest_url="m")
    as_predicted = finished(run, 3.0, run_s=found[1].mean_s)
    feed(planner, as_predicted, made, there, Ticked(at=5.0))
    task = planner.books.backlog.tasks[waiting]
    assert task.reserve_s > 1.5 * before
    entry = planner.books.backlog.queue.get(waiting)
    assert entry is not None
    assert entry.due_at == 600.0 - task.reserve_s


def test_a_clock_that_was_set_back_does_not_put_off_judging_until_it_comes_by_again() -> None:
    planner = Planner(PlannerSettings(scaling=ScalingSettings(policy="none", judge_interval_s=5.0)))
    feed(planner, OffersChanged(at=9000.0, offers=(OFFER,)), archive_stands(9000.0))
    feed(planner, Ticked(at=9000.0))
    opened_task(planner, 100, at=1000.0)
    assert every(planner.handle(Ticked(at=1000.0)), ProvisionNode)


def test_what_comes_while_judging_is_put_off_is_judged_at_its_end() -> None:
    planner = Planner(PlannerSettings(scaling=ScalingSettings(policy="none", judge_interval_s=5.0)))
    feed(planner, OffersChanged(at=0.0, offers=(OFFER,)), archive_stands(), Ticked(at=0.0))
    opened_task(planner, 100, at=1.0)
    assert planner.handle(Ticked(at=1.0)) == [WakeAt(wake_at=5.0)]
    assert every(planner.handle(Ticked(at=5.0)), ProvisionNode)
