"""A course read from the steps of a planner: tasks, busy workers, nodes, whatever happens."""

from __future__ import annotations

import pytest

from planner.commands import RunPart
from planner.core import Planner
from planner.course import Course, Step
from planner.events import (
    AnyEvent,
    NodeLost,
    NodeReady,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    Ticked,
)
from planner.model import NoticeKind
from tests.planner.building import (
    archive_stands,
    cut,
    every,
    finished,
    opened,
    product,
    subscription,
    update,
)


class Watched:
    """A planner whose course is watched."""

    def __init__(self) -> None:
        self.planner: Planner = opened()
        self.course = Course()

    def see(self, *events: AnyEvent) -> list[RunPart]:
        runs: list[RunPart] = []
        for event in events:
            commands = self.planner.handle(event)
            self.course.see(event, commands)
            runs += every(commands, RunPart)
        return runs


def delivered(task_id: str, at: float) -> tuple[AnyEvent, ...]:
    made = ProductCombined(at=at - 0.5, task_id=task_id, attempt=1, run_s=0.2, product=product())
    there = ProductDelivered(at=at, task_id=task_id, attempt=1, run_s=0.2, manifest_url="m")
    return made, there


def test_a_task_is_followed_from_arrival_to_delivery() -> None:
    watched = Watched()
    watched.see(SubscriptionAdded(at=1.0, subscription=subscription(deadline_s=60.0)))
    (task_id,) = watched.course.tasks
    watched.see(cut(task_id, 1.5, 10, 20), Ticked(at=2.0))
    (node_id,) = watched.planner.books.fleet.nodes
    runs = watched.see(NodeReady(at=4.0, node_id=node_id, workers=2), Ticked(at=4.0))
    # The second was sent ahead of its turn: when it began is told by how long it ran.
    watched.see(finished(runs[0], 7.0, run_s=3.0), finished(runs[1], 9.0, run_s=4.0))
    watched.see(*delivered(task_id, 10.0))
    task = watched.course.tasks[task_id]
    assert (task.arrived_at, task.deadline_at) == (1.0, 61.0)
    assert (task.started_at, task.worked_until, task.worked_s) == (4.0, 9.0, 7.0)
    assert (task.delivered_at, task.outcome) == (10.0, NoticeKind.DELIVERED)
    assert [each.files for each in task.features] == [10, 20]
    assert watched.course.worker_s == pytest.approx(7.0)
    assert watched.course.steps()[:4] == [
        Step(4.0, 1, 2),
        Step(5.0, 2, 2),
        Step(7.0, 1, 2),
        Step(9.0, 0, 2),
    ]
    assert (watched.course.began_at, watched.course.ended_at) == (1.0, 10.0)


def test_a_node_that_is_lost_stands_no_more() -> None:
    watched = Watched()
    watched.see(SubscriptionAdded(at=1.0, subscription=subscription()))
    (task_id,) = watched.course.tasks
    watched.see(cut(task_id, 1.0, 10), Ticked(at=1.0))
    (node_id,) = watched.planner.books.fleet.nodes
    watched.see(NodeReady(at=4.0, node_id=node_id, workers=2))
    watched.see(NodeLost(at=6.0, node_id=node_id, reason="gone"))
    assert watched.course.steps() == [Step(4.0, 0, 2), Step(6.0, 0, 0)]
    assert watched.course.fleet.node_seconds(9.0) == pytest.approx(5.0)


def test_an_update_that_holds_nothing_for_a_task_is_told() -> None:
    watched = Watched()
    watched.see(archive_stands(0.5))
    watched.see(SubscriptionAdded(at=1.0, subscription=subscription(backfill=False)))
    watched.see(update(2.0, 1))
    (task_id,) = watched.course.tasks
    assert not watched.course.tasks[task_id].features
    watched.see(cut(task_id, 3.0))
    assert watched.course.tasks[task_id].is_empty
    assert watched.course.tasks[task_id].delivered_at is None
