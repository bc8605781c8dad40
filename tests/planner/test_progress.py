"""Outcomes that come twice, late, against each other, or are not what they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    Notify,
    ProvisionNode,
    RunPart,
)
from planner.core import Planner
from planner.events import (
    AnyEvent,
    CombineFailed,
    DeliveryFailed,
    NodeReady,
    NodeRefused,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    TaskCut,
    Ticked,
)
from planner.model import NoticeKind
from tests.planner.building import (
    ARGO,
    cut,
    every,
    feed,
    finished,
    node_up,
    one,
    opened,
    opened_task,
    product,
    subscription,
)


def combining(planner: Planner) -> str:
    """Bring a task to where its product is being combined and return its id."""
    task_id = opened_task(planner, 10)
    node_up(planner)
    feed(planner, finished(one(planner.handle(Ticked(at=2.0)), RunPart), 3.0))
    return task_id


def not_combined(task_id: str, at: float, attempt: int = 1) -> CombineFailed:
    return CombineFailed(at=at, task_id=task_id, attempt=attempt, reason="pool died")


def combined(task_id: str, at: float, attempt: int = 1) -> ProductCombined:
    return ProductCombined(at=at, task_id=task_id, attempt=attempt, run_s=0.1, product=product())


def settling(commands: list[AnyCommand]) -> list[tuple[type, int]]:
    return [
        (type(command), command.attempt)
        for command in commands
        if isinstance(command, CombineProduct | DeliverProduct)
    ]


def test_a_failure_that_is_told_twice_is_tried_again_once() -> None:
    planner = opened()
    task_id = combining(planner)
    feed(planner, not_combined(task_id, 4.0), not_combined(task_id, 4.1))
    assert settling(planner.handle(Ticked(at=60.0))) == [(CombineProduct, 2)]
    assert planner.books.desk.late_messages == {"CombineFailed": 1}


def test_success_after_failure_of_the_same_attempt_is_stale() -> None:
    planner = opened()
    task_id = combining(planner)
    assert feed(planner, not_combined(task_id, 4.0), combined(task_id, 4.1)) == []
    assert settling(planner.handle(Ticked(at=60.0))) == [(CombineProduct, 2)]
    assert settling(planner.handle(combined(task_id, 61.0, attempt=2))) == [(DeliverProduct, 1)]
    assert settling(planner.handle(Ticked(at=200.0))) == []


def test_a_delivery_that_failed_twice_is_not_under_way_twice() -> None:
    planner = opened()
    task_id = combining(planner)
    lost = DeliveryFailed(at=5.0, task_id=task_id, attempt=1, reason="disk full")
    arrived = ProductDelivered(at=6.0, task_id=task_id, attempt=1, run_s=0.1, manifest_url="m")
    feed(planner, combined(task_id, 4.0), lost, lost, arrived)
    assert settling(planner.handle(Ticked(at=60.0))) == [(DeliverProduct, 2)]
    assert planner.books.desk.late_messages == {"DeliveryFailed": 1, "ProductDelivered": 1}


def test_a_first_delivery_that_is_cut_into_nothing_fails_and_says_so() -> None:
    planner = opened()
    added = SubscriptionAdded(at=0.0, subscription=subscription())
    ask = one(planner.handle(added), CutTask)
    nothing = TaskCut(at=1.0, task_id=ask.task_id, parts=(), partitioner="odd", version="1")
    told = one(planner.handle(nothing), Notify)
    assert (told.kind, told.text) == (NoticeKind.FAILED, "odd cut it into no parts")


def test_a_provider_that_refuses_for_days_is_asked_on_and_on() -> None:
    planner = opened()
    opened_task(planner, 10, deadline_s=None)
    at, asked = 0.0, 0
    for _ in range(1200):
        ask = every(planner.handle(Ticked(at=at)), ProvisionNode)
        asked += len(ask)
        feed(planner, *(NodeRefused(at=at, node_id=a.node_id, reason="no quota") for a in ask))
        at += 61.0
    assert asked == 1200


def test_a_clock_that_steps_back_teaches_no_boot_of_less_than_no_time() -> None:
    planner = opened()
    opened_task(planner, 10)
    node_id = one(planner.handle(Ticked(at=100.0)), ProvisionNode).node_id
    feed(planner, NodeReady(at=97.0, node_id=node_id, workers=1))
    assert planner.books.boots.measured == {"local": [0.0]}


@pytest.mark.parametrize("at", [59.9, 60.0])
def test_what_arrives_at_its_deadline_is_in_time(at: float) -> None:
    planner = opened()
    task_id = combining(planner)
    arrived = ProductDelivered(at=at, task_id=task_id, attempt=1, run_s=0.1, manifest_url="m")
    told = one(feed(planner, combined(task_id, 4.0), arrived), Notify)
    assert told.kind is NoticeKind.DELIVERED


def test_an_answer_to_a_task_that_ended_is_counted() -> None:
    planner = opened()
    events: list[AnyEvent] = [cut("t99", 1.0, 5), not_combined("t99", 1.0), combined("t99", 1.0)]
    assert feed(planner, *events) == []
    assert sum(planner.books.desk.late_messages.values()) == 3


def test_what_other_parts_had_read_says_nothing_of_what_files_cost() -> None:
    planner = opened()
    for number in range(8):
        opened_task(planner, 1000, at=float(number), name=f"s{number}")
    node_up(planner, at=8.0, ready_at=9.0, workers=1)
    before = planner.books.times(ARGO).costs
    for number in range(7):
        at = 10.0 + number
        event = finished(every(planner.handle(Ticked(at=at)), RunPart)[0], at, run_s=0.3)
        feed(planner, replace(event, fragment=replace(event.fragment, shared=1000)))
    after = planner.books.times(ARGO).costs
    assert after.file_s == before.file_s
    assert after.value_s != before.value_s
