"""Nodes that the operator sends away: whatever a policy makes of it, and nothing is lost."""

from __future__ import annotations

from planner.commands import (
    CombineProduct,
    DrainNode,
    ProvisionNode,
    RemoveNode,
    RunPart,
    UndrainNode,
)
from planner.core import Planner
from planner.events import NodeDrainRequested, NodeReady, NodeRemovalRequested, NodeRemoved, Ticked
from planner.keeping import decode_snapshot, encode_snapshot
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings
from tests.planner.building import every, feed, finished, node_up, one, opened, opened_task


def busy() -> tuple[Planner, str, list[RunPart]]:
    """Return a planner whose one node runs two of four parts."""
    planner = opened(PlannerSettings())
    opened_task(planner, 900, 900, 900, 900, deadline_s=6000.0)
    node_id = node_up(planner)
    return planner, node_id, every(planner.handle(Ticked(at=2.0)), RunPart)


def test_a_busy_node_drains_gets_nothing_more_and_goes() -> None:
    planner, node_id, runs = busy()
    (drain,) = planner.handle(NodeDrainRequested(at=3.0, node_id=node_id))
    assert drain == DrainNode(node_id=node_id, reason="the operator asked for it")
    commands = feed(planner, Ticked(at=3.0), finished(runs[0], 4.0), Ticked(at=4.0))
    assert not every(commands, RunPart)
    assert not every(commands, UndrainNode)
    assert one(commands, ProvisionNode).node_id != node_id
    commands = feed(planner, finished(runs[1], 5.0), Ticked(at=5.0))
    assert one(commands, RemoveNode).node_id == node_id


def test_an_idle_or_booting_node_goes_at_once() -> None:
    planner = opened(PlannerSettings())
    opened_task(planner, 10)
    booting = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    (gone,) = planner.handle(NodeDrainRequested(at=1.0, node_id=booting))
    assert gone == RemoveNode(node_id=booting, reason="the operator asked for it")


def test_a_policy_does_not_take_a_dismissed_node_back_even_after_a_restart() -> None:
    planner, node_id, _ = busy()
    planner.handle(NodeDrainRequested(at=3.0, node_id=node_id))
    stored = encode_snapshot(planner.snapshot())
    planner = Planner.restore(decode_snapshot(stored, BUILT_IN))
    assert not every(planner.handle(Ticked(at=4.0)), UndrainNode)
    assert planner.books.fleet.nodes[node_id].dismissed
    assert node_id not in {each.node_id for each in planner.books.fleet.view(4.0)}


def test_what_a_removed_node_ran_runs_elsewhere() -> None:
    planner, node_id, runs = busy()
    (gone,) = planner.handle(NodeRemovalRequested(at=3.0, node_id=node_id))
    assert gone == RemoveNode(node_id=node_id, reason="the operator asked for it")
    planner.handle(NodeRemoved(at=4.0, node_id=node_id))
    other = one(planner.handle(Ticked(at=4.0)), ProvisionNode).node_id
    planner.handle(NodeReady(at=5.0, node_id=other, workers=2))
    again = every(planner.handle(Ticked(at=5.0)), RunPart)
    assert {run.part_id for run in again} <= {f"{runs[0].task_id}/{n}" for n in range(4)}
    done = set()
    while again:
        run = again.pop()
        done.add(run.part_id)
        commands = feed(planner, finished(run, 6.0), Ticked(at=6.0))
        again += every(commands, RunPart)
        if every(commands, CombineProduct):
            break
    assert len(done) == 4


def test_a_node_that_is_not_there_or_goes_already_is_only_counted() -> None:
    planner, node_id, _ = busy()
    assert planner.handle(NodeDrainRequested(at=3.0, node_id="n99")) == []
    planner.handle(NodeRemovalRequested(at=3.0, node_id=node_id))
    assert planner.handle(NodeRemovalRequested(at=3.0, node_id=node_id)) == []
    assert planner.books.desk.late_messages == {"NodeDrainRequested": 1, "NodeRemovalRequested": 1}
