"""Nodes that are told to hold more workers, and providers that refuse it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.commands import ProvisionNode, SetWorkers, WakeAt
from planner.core import Planner
from planner.events import NodeReady, OffersChanged, Ticked, WorkersRefused
from planner.lifecycle import NodeState
from planner.scaling.policy import BUILT_IN
from planner.scaling.thresholds import NoMemory, NoScaling
from planner.scaling.view import Grow, NodePhase, ScalingView, Wanted
from planner.settings import DispatchSettings, PlannerSettings, ScalingSettings
from tests.planner.building import OFFER, archive_stands, every, feed, one, opened_task

DISPATCH = DispatchSettings(retry_s=5.0, retry_s_max=60.0)


class Greedy(NoScaling):
    """Wants two workers on each node, and says so at each step."""

    name = "greedy"

    def step(self, memory: NoMemory, view: ScalingView) -> tuple[NoMemory, Wanted]:
        memory, wanted = super().step(memory, view)
        grows = tuple(
            Grow(node_id=node.node_id, workers=2, reason="more")
            for node in view.nodes
            if node.phase is NodePhase.READY and node.slots < 2
        )
        return memory, replace(wanted, grows=grows)


def told_to_grow() -> tuple[Planner, SetWorkers]:
    """Return a planner that has one node of one worker, and has just told it to hold two."""
    settings = PlannerSettings(scaling=ScalingSettings(policy="greedy"), dispatch=DISPATCH)
    planner = Planner(settings, {**BUILT_IN, "greedy": Greedy()})
    offer = replace(OFFER, slots=1, slots_max=2)
    feed(planner, OffersChanged(at=0.0, offers=(offer,)), archive_stands())
    opened_task(planner, 10, 10, 10)
    node_id = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    feed(planner, NodeReady(at=1.0, node_id=node_id, workers=1))
    return planner, one(planner.handle(Ticked(at=1.0)), SetWorkers)


def refused(command: SetWorkers, at: float, *, retry: bool = True) -> WorkersRefused:
    return WorkersRefused(
        at=at, node_id=command.node_id, workers=command.workers, reason="no quota", retry=retry
    )


@pytest.mark.parametrize(("retry", "pause_s"), [(True, 5.0), (False, 60.0)])
def test_a_refused_resize_is_asked_for_again_after_a_pause(retry: bool, pause_s: float) -> None:
    planner, told = told_to_grow()
    assert every(planner.handle(Ticked(at=1.5)), SetWorkers) == []  # It is under way.
    feed(planner, refused(told, 2.0, retry=retry))
    commands = planner.handle(Ticked(at=2.0))
    assert every(commands, SetWorkers) == []
    assert one(commands, WakeAt).wake_at <= 2.0 + pause_s
    assert every(planner.handle(Ticked(at=1.9 + pause_s)), SetWorkers) == []
    assert every(planner.handle(Ticked(at=2.0 + pause_s)), SetWorkers) == [told]


def test_a_node_that_was_refused_workers_stands_and_is_counted_with_those_it_has() -> None:
    planner, told = told_to_grow()
    feed(planner, refused(told, 2.0))
    node = planner.books.fleet.nodes[told.node_id]
    assert (node.state, node.workers, node.joined) == (NodeState.READY, 1, 1)
    assert planner.books.desk.no_launch_until == 0.0


def test_a_refusal_of_what_came_about_or_was_never_asked_is_counted() -> None:
    planner, told = told_to_grow()
    feed(
        planner,
        refused(replace(told, workers=3), 2.0),
        refused(replace(told, node_id="n99"), 2.0),
        NodeReady(at=2.0, node_id=told.node_id, workers=2),
        refused(told, 3.0),
    )
    assert planner.books.desk.late_messages == {"WorkersRefused": 3}
    assert planner.books.fleet.nodes[told.node_id].workers == 2
