"""What the listings say after a restart becomes events, and then planner and world agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ports import AttemptListing, NodeListing, NodeState
from controller.reconciling import Promised, Reconciled, reconcile, running_attempts, unasked
from planner.commands import RunPart
from planner.core import Planner
from planner.events import AttemptLost, NodeLost, NodeReady, Ticked
from planner.lifecycle import NodeState as NodeLife
from tests.planner.building import every, feed, node_up, opened, opened_task

AT = 10.0


def listing(node_id: str, state: NodeState = NodeState.RUNNING, reason: str = "") -> NodeListing:
    return NodeListing(node_id=node_id, node_type="local", state=state, workers=2, reason=reason)


def listed(run: RunPart, *, ended: bool = False) -> AttemptListing:
    return AttemptListing(
        part_id=run.part_id, attempt=run.attempt, node_id=run.node_id, ended=ended
    )


class World:
    """A planner with one node of two workers, and two parts that run on it."""

    def __init__(self) -> None:
        self.planner: Planner = opened()
        self.task_id = opened_task(self.planner, 100, 100, 100)
        self.node_id = node_up(self.planner)
        self.runs = every(feed(self.planner, Ticked(at=3.0)), RunPart)[:2]
        assert len(self.runs) == 2

    def reconcile(self, **told: Any) -> Reconciled:
        """Reconcile with a world in which all is as it was, but for what is told."""
        as_it_was: dict[str, Any] = {
            "fleet": self.planner.books.fleet.nodes.values(),
            "running": running_attempts(self.planner.books),
            "listed": [listing(self.node_id)],
            "attempts": [listed(each) for each in self.runs],
            "workers": {self.node_id: 2},
        }
        return reconcile(at=AT, **(as_it_was | told))


@pytest.fixture
def world() -> World:
    return World()


def test_what_agrees_changes_nothing(world: World) -> None:
    assert world.reconcile() == Reconciled(
        events=(), standing=(world.node_id,), leaving=(), orphans=(), strays=()
    )


def test_a_node_that_is_listed_no_more_is_lost_with_its_attempts(world: World) -> None:
    found = world.reconcile(listed=[], attempts=[], workers={})
    (lost,) = found.events
    assert isinstance(lost, NodeLost)
    assert found.standing == ()
    feed(world.planner, *found.events)
    assert running_attempts(world.planner.books) == ()


def test_a_broken_node_is_lost_with_its_reason(world: World) -> None:
    broken = listing(world.node_id, NodeState.BROKEN, "no service was there for 300 s")
    (lost,) = world.reconcile(listed=[broken], attempts=[], workers={}).events
    assert isinstance(lost, NodeLost)
    assert lost.reason == "no service was there for 300 s"


def test_an_attempt_that_the_engine_does_not_know_is_lost(world: World) -> None:
    first, second = world.runs
    found = world.reconcile(attempts=[listed(second)])
    (lost,) = found.events
    assert isinstance(lost, AttemptLost)
    assert (lost.part_id, lost.attempt) == (first.part_id, first.attempt)


def test_what_is_sent_or_made_again_is_not_lost(world: World) -> None:
    first, second = world.runs
    promised = Promised(attempts=frozenset({(first.part_id, first.attempt)}))
    assert world.reconcile(attempts=[listed(second)], promised=promised).events == ()
    node = Promised(
        nodes=frozenset({world.node_id}),
        attempts=frozenset((each.part_id, each.attempt) for each in world.runs),
    )
    found = world.reconcile(listed=[], attempts=[], promised=node)
    assert found.events == ()
    assert found.standing == ()


def test_an_end_that_waits_to_be_acknowledged_is_no_loss(world: World) -> None:
    first, second = world.runs
    found = world.reconcile(attempts=[listed(first, ended=True), listed(second)])
    assert (found.events, found.strays) == ((), ())


def test_workers_that_left_are_told_before_parts_are_sent_to_them(world: World) -> None:
    found = world.reconcile(workers={})
    assert found.events == (NodeReady(at=AT, node_id=world.node_id, workers=0),)


def test_what_nobody_asked_for_is_deleted_and_stopped(world: World) -> None:
    found = world.reconcile(
        listed=[listing(world.node_id), listing("n-old")],
        attempts=[
            *map(listed, world.runs),
            AttemptListing(part_id="t-old/0", attempt=3, node_id=world.node_id),
        ],
    )
    assert found.events == ()
    assert found.orphans == ("n-old",)
    assert found.strays == (("t-old/0", 3),)


def test_a_node_that_was_told_to_go_is_told_again_be_it_listed_or_not(world: World) -> None:
    (node,) = world.planner.books.fleet.nodes.values()
    node.state = NodeLife.REMOVING
    found = world.reconcile()
    assert (found.standing, found.leaving) == ((), (world.node_id,))
    # Its provider has yet to revoke what it was given, and to say that it is gone.
    gone = world.reconcile(listed=[])
    assert gone.events == ()
    assert (gone.standing, gone.leaving) == ((), (world.node_id,))


@given(
    state=st.sampled_from([None, *NodeState]),
    known=st.sets(st.integers(0, 1)),
    joined=st.integers(0, 2),
)
def test_after_its_events_all_agree(state: NodeState | None, known: set[int], joined: int) -> None:
    world = World()
    told: dict[str, Any] = {
        "listed": [] if state is None else [listing(world.node_id, state)],
        "attempts": [listed(world.runs[number]) for number in sorted(known)],
        "workers": {world.node_id: joined} if joined else {},
    }
    feed(world.planner, *world.reconcile(**told).events)
    told |= {
        "fleet": world.planner.books.fleet.nodes.values(),
        "running": running_attempts(world.planner.books),
    }
    again = world.reconcile(**told)
    assert again.events == ()
    nodes = world.planner.books.fleet.nodes.values()
    assert again.standing == tuple(node.id for node in nodes)


def test_nodes_of_a_provider_that_does_not_answer_are_left_as_they_are(world: World) -> None:
    node_type = next(iter(world.planner.books.fleet.nodes.values())).offer.node_type
    found = world.reconcile(listed=[], silent={node_type})
    assert found.events == ()
    assert found.standing == tuple(world.planner.books.fleet.nodes)


def test_nodes_whose_type_is_named_no_more_are_told(world: World) -> None:
    nodes = tuple(world.planner.books.fleet.nodes.values())
    assert [each.id for each in unasked(nodes, {"m1.medium"})] == [world.node_id]
    assert unasked(nodes, {"m1.medium", nodes[0].offer.node_type}) == ()
