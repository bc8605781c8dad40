"""The planner's stories: these events, therefore those commands."""

from __future__ import annotations

import pytest

from planner.commands import (
    CombineProduct,
    CutTask,
    DeliverProduct,
    Notify,
    ProvisionNode,
    RemoveNode,
    RunPart,
    StopPart,
    WakeAt,
)
from planner.core import Planner
from planner.events import (
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    NodeLost,
    NodeReady,
    NodeRefused,
    PartFailed,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskRefused,
    Ticked,
)
from planner.model import NoticeKind, Selection, UpdateSpan, product_id
from planner.settings import DispatchSettings, PlannerSettings
from tests.planner.building import (
    IN_THE_MEDITERRANEAN,
    PACIFIC,
    archive_stands,
    cut,
    every,
    feed,
    finished,
    node_up,
    one,
    opened,
    opened_task,
    product,
    profiles,
    subscription,
    update,
    updates_of,
    view,
)


def delivered(planner: Planner, task_id: str, combined_at: float, at: float) -> Notify:
    """Combine and deliver a task's product and return what the subscriber is told."""
    combined = ProductCombined(
        at=combined_at, task_id=task_id, attempt=1, run_s=0.5, product=product()
    )
    assert one(planner.handle(combined), DeliverProduct).destination == "/products/med"
    arrived = ProductDelivered(
        at=at, task_id=task_id, attempt=1, run_s=0.5, manifest_url="/products/med/m.json"
    )
    return one(planner.handle(arrived), Notify)


def test_a_first_delivery_runs_from_subscription_to_notice() -> None:
    planner = opened()
    task_id = opened_task(planner, 10, 20)
    node_id = node_up(planner)
    first, second = every(planner.handle(Ticked(at=2.0)), RunPart)
    assert [first.part_id, second.part_id] == [f"{task_id}/1", f"{task_id}/0"]  # longest first
    assert {first.node_id, second.node_id} == {node_id}
    assert planner.handle(finished(first, 3.0)) == []
    combine = one(planner.handle(finished(second, 3.5)), CombineProduct)
    assert [fragment.url for (fragments,) in [combine.fragments] for fragment in fragments] == [
        f"/fragments/{task_id}/0.npz",
        f"/fragments/{task_id}/1.npz",
    ]
    told = delivered(planner, task_id, 4.0, 5.0)
    assert (told.kind, told.slack_s) == (NoticeKind.DELIVERED, 55.0)
    assert not planner.books.backlog.tasks


def test_a_delivery_after_its_deadline_is_told_as_late() -> None:
    planner = opened()
    task_id = opened_task(planner, 10)
    node_up(planner)
    run = one(planner.handle(Ticked(at=2.0)), RunPart)
    feed(planner, finished(run, 3.0))
    told = delivered(planner, task_id, 59.0, 61.0)
    assert (told.kind, told.slack_s) == (NoticeKind.LATE, -1.0)


def test_without_backfill_only_updates_make_tasks() -> None:
    planner = opened()
    assert feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False))) == []
    ask = one(planner.handle(update(9.0, 1)), CutTask)
    assert updates_of(ask) == UpdateSpan(after=0, upto=1)
    assert planner.books.backlog.tasks[ask.task_id].deadline_at == 69.0


def test_an_update_elsewhere_makes_no_task() -> None:
    planner = opened()
    feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False)))
    assert feed(planner, update(9.0, 1, profiles((-150.0, 0.0)))) == []


def test_a_box_over_the_antimeridian_is_matched_on_both_sides() -> None:
    planner = opened()
    wish = subscription("pacific", box=PACIFIC, backfill=False)
    feed(planner, SubscriptionAdded(at=0.0, subscription=wish))
    for number, longitude in enumerate((175.0, -175.0), start=1):
        one(planner.handle(update(9.0, number, profiles((longitude, 0.0)))), CutTask)


def test_a_subscription_made_before_any_data_gets_its_first_delivery_with_the_first_update() -> (
    None
):
    planner = Planner(PlannerSettings())
    assert feed(planner, SubscriptionAdded(at=0.0, subscription=subscription())) == []
    ask = one(planner.handle(archive_stands(at=100.0)), CutTask)
    assert updates_of(ask) == UpdateSpan(after=None, upto=0)
    assert planner.books.backlog.tasks[ask.task_id].deadline_at == 160.0


def test_the_gap_of_a_pause_is_one_task() -> None:
    planner = opened()
    feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False)))
    one(planner.handle(update(1.0, 1)), CutTask)
    feed(planner, SubscriptionPaused(at=2.0, subscription_id="med"))
    assert feed(planner, update(3.0, 2), update(4.0, 3)) == []
    ask = one(planner.handle(SubscriptionResumed(at=5.0, subscription_id="med")), CutTask)
    assert updates_of(ask) == UpdateSpan(after=1, upto=3)


def test_a_pause_without_updates_leaves_no_gap() -> None:
    planner = opened()
    feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False)))
    feed(planner, SubscriptionPaused(at=2.0, subscription_id="med"))
    assert feed(planner, SubscriptionResumed(at=5.0, subscription_id="med")) == []


def test_an_increment_that_holds_nothing_ends_without_a_product() -> None:
    planner = opened()
    feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False)))
    ask = one(planner.handle(update(9.0, 1)), CutTask)
    assert feed(planner, cut(ask.task_id, 9.0)) == []
    assert not planner.books.backlog.tasks


def test_a_doubled_update_is_counted_and_makes_nothing() -> None:
    planner = opened()
    feed(planner, SubscriptionAdded(at=0.0, subscription=subscription(backfill=False)))
    feed(planner, update(1.0, 1))
    assert feed(planner, update(2.0, 1)) == []
    assert planner.books.desk.late_messages == {"UpdateArrived": 1}


def test_a_removed_subscription_drops_its_tasks_and_stops_their_parts() -> None:
    planner = opened()
    opened_task(planner, 10, 10)
    node_up(planner)
    runs = every(planner.handle(Ticked(at=2.0)), RunPart)
    stops = planner.handle(SubscriptionRemoved(at=3.0, subscription_id="med"))
    assert stops == [StopPart(part_id=run.part_id, attempt=1) for run in reversed(runs)]
    assert not planner.books.backlog.tasks
    assert feed(planner, update(4.0, 1)) == []


def test_a_failing_part_rests_longer_each_time_and_fails_its_task_at_the_limit() -> None:
    planner = opened(PlannerSettings(dispatch=DispatchSettings(attempts_max=3, retry_s=1.0)))
    opened_task(planner, 10)
    node_up(planner)
    run = one(planner.handle(Ticked(at=2.0)), RunPart)
    for attempt, rested_at in ((1, 4.0), (2, 7.0)):
        assert run.attempt == attempt
        at = rested_at - 2.0 ** (attempt - 1)
        failed = PartFailed(at=at, part_id=run.part_id, attempt=attempt, reason="torn file")
        assert planner.handle(failed) == []
        waiting = planner.handle(Ticked(at=at))
        assert not every(waiting, RunPart)
        assert one(waiting, WakeAt).wake_at == rested_at
        run = one(planner.handle(Ticked(at=rested_at)), RunPart)
    failed = PartFailed(at=9.0, part_id=run.part_id, attempt=3, reason="torn file")
    told = one(planner.handle(failed), Notify)
    assert told.kind is NoticeKind.FAILED
    assert told.text == f"part {run.part_id} failed after 3 attempts: torn file"


def test_a_part_that_no_retry_can_help_fails_its_task_at_once() -> None:
    planner = opened()
    opened_task(planner, 10)
    node_up(planner)
    run = one(planner.handle(Ticked(at=2.0)), RunPart)
    failed = PartFailed(at=3.0, part_id=run.part_id, attempt=1, reason="forbidden", retry=False)
    assert one(planner.handle(failed), Notify).kind is NoticeKind.FAILED


def test_a_lost_attempt_runs_again_and_its_late_result_is_counted_not_applied() -> None:
    planner = opened()
    task_id = opened_task(planner, 10)
    node_up(planner)
    first = one(planner.handle(Ticked(at=2.0)), RunPart)
    lost = AttemptLost(at=3.0, part_id=first.part_id, attempt=1, reason="its worker died")
    second = one(feed(planner, lost, Ticked(at=3.0)), RunPart)
    assert (second.part_id, second.attempt) == (first.part_id, 2)
    assert feed(planner, finished(first, 3.5)) == []
    assert planner.books.desk.late_messages == {"PartFinished": 1}
    assert one(planner.handle(finished(second, 4.0)), CombineProduct).task_id == task_id


def test_the_parts_of_a_lost_node_wait_again_and_the_node_is_removed_for_good_measure() -> None:
    planner = opened()
    opened_task(planner, 10, 10)
    node_id = node_up(planner)
    assert len(every(planner.handle(Ticked(at=2.0)), RunPart)) == 2
    answer = planner.handle(NodeLost(at=3.0, node_id=node_id, reason="vanished"))
    assert answer == [RemoveNode(node_id=node_id, reason="vanished")]
    replacement = one(planner.handle(Ticked(at=3.0)), ProvisionNode)
    assert replacement.node_id != node_id
    feed(planner, NodeReady(at=5.0, node_id=replacement.node_id, workers=2))
    assert [r.attempt for r in every(planner.handle(Ticked(at=5.0)), RunPart)] == [2, 2]


def test_a_refused_node_is_asked_for_again_after_a_pause() -> None:
    planner = opened()
    opened_task(planner, 10)
    node_id = one(planner.handle(Ticked(at=0.0)), ProvisionNode).node_id
    feed(planner, NodeRefused(at=1.0, node_id=node_id, reason="no capacity"))
    soon = planner.handle(Ticked(at=1.0))
    assert not every(soon, ProvisionNode)
    wake_at = one(soon, WakeAt).wake_at
    assert wake_at == 2.0
    assert one(planner.handle(Ticked(at=wake_at)), ProvisionNode).node_id != node_id


def test_nodes_that_break_before_they_come_up_are_asked_for_ever_more_rarely() -> None:
    planner = opened()
    opened_task(planner, 10)
    at, pauses = 0.0, []
    node_id = one(planner.handle(Ticked(at=at)), ProvisionNode).node_id
    for _ in range(4):
        lost_at = at + 0.5
        feed(planner, NodeLost(at=lost_at, node_id=node_id, reason="its workers are refused"))
        at = one(planner.handle(Ticked(at=lost_at)), WakeAt).wake_at
        node_id = one(planner.handle(Ticked(at=at)), ProvisionNode).node_id
        pauses.append(at - lost_at)
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert planner.books.desk.boots_failed == 4
    feed(planner, NodeReady(at=at, node_id=node_id, workers=2))
    assert planner.books.desk.boots_failed == 0


def test_a_node_that_never_comes_up_is_given_up() -> None:
    planner = opened()
    opened_task(planner, 10, deadline_s=None)
    node_id = None
    at = 0.0
    for _ in range(20):
        commands = planner.handle(Ticked(at=at))
        provisions, removals = every(commands, ProvisionNode), every(commands, RemoveNode)
        node_id = node_id or (provisions[0].node_id if provisions else None)
        if node_id in [removal.node_id for removal in removals]:
            break
        at = max(at + 1.0, *(wake.wake_at for wake in every(commands, WakeAt)), at + 60.0)
    else:
        pytest.fail("the node was never given up")
    assert at <= 900.0 + 2 * 3600.0


def test_combining_and_delivery_are_tried_again_and_then_fail_loudly() -> None:
    planner = opened(PlannerSettings(dispatch=DispatchSettings(attempts_max=2, retry_s=1.0)))
    task_id = opened_task(planner, 10)
    node_up(planner)
    feed(planner, finished(one(planner.handle(Ticked(at=2.0)), RunPart), 3.0))
    feed(planner, CombineFailed(at=4.0, task_id=task_id, attempt=1, reason="pool died"))
    again = one(planner.handle(Ticked(at=5.0)), CombineProduct)
    assert again.attempt == 2
    combined = ProductCombined(at=6.0, task_id=task_id, attempt=2, run_s=1.0, product=product())
    assert one(planner.handle(combined), DeliverProduct).attempt == 1
    feed(planner, DeliveryFailed(at=7.0, task_id=task_id, attempt=1, reason="disk full"))
    assert one(planner.handle(Ticked(at=8.0)), DeliverProduct).attempt == 2
    failed = DeliveryFailed(at=9.0, task_id=task_id, attempt=2, reason="disk full")
    told = one(planner.handle(failed), Notify)
    assert (told.kind, told.text) == (
        NoticeKind.FAILED,
        "delivery failed after 2 attempts: disk full",
    )


def test_a_task_that_cannot_be_cut_fails_with_its_reason() -> None:
    planner = opened()
    ask = one(planner.handle(SubscriptionAdded(at=0.0, subscription=subscription())), CutTask)
    refused = TaskRefused(at=1.0, task_id=ask.task_id, reason="the index is gone")
    assert one(planner.handle(refused), Notify).text == "the index is gone"


def test_a_firm_task_expires_at_its_deadline_and_a_soft_one_goes_on() -> None:
    planner = opened()
    firm = opened_task(planner, 100_000, name="firm", firm=True, deadline_s=20.0)
    soft = opened_task(planner, 100_000, name="soft", deadline_s=20.0)
    node_up(planner)
    feed(planner, Ticked(at=2.0))
    commands = planner.handle(Ticked(at=20.0))
    assert [n.task_id for n in every(commands, Notify) if n.kind is NoticeKind.EXPIRED] == [firm]
    assert set(planner.books.backlog.tasks) == {soft}


def test_a_deadline_that_no_fleet_can_meet_is_told_before_any_work() -> None:
    planner = opened()
    task_id = opened_task(planner, 100_000, deadline_s=20.0)
    commands = planner.handle(Ticked(at=0.0))
    told = one(commands, Notify)
    assert (told.kind, told.task_id) == (NoticeKind.AT_RISK, task_id)
    assert told.slack_s is not None
    assert told.slack_s < 0


def test_an_update_that_matches_many_is_matched_in_pages() -> None:
    planner = opened(PlannerSettings(dispatch=DispatchSettings(matches_per_step_max=3)))
    for i in range(8):
        wish = subscription(f"s{i}", backfill=False)
        feed(planner, SubscriptionAdded(at=0.0, subscription=wish))
    first = every(planner.handle(update(1.0, 1, IN_THE_MEDITERRANEAN)), CutTask)
    second = planner.handle(Ticked(at=1.0))
    third = planner.handle(Ticked(at=1.0))
    asked = [*first, *every(second, CutTask), *every(third, CutTask)]
    assert [len(first), len(every(second, CutTask)), len(every(third, CutTask))] == [3, 3, 2]
    assert one(second, WakeAt).wake_at == 1.0
    assert len({ask.task_id for ask in asked}) == 8


def test_a_new_version_replaces_the_old_one_without_a_second_first_delivery() -> None:
    planner = opened()
    opened_task(planner, 10)
    assert feed(planner, SubscriptionAdded(at=5.0, subscription=subscription(version=2))) == []
    ask = one(planner.handle(update(6.0, 1)), CutTask)
    assert planner.books.backlog.tasks[ask.task_id].subscription.version == 2


def test_a_tick_that_changes_nothing_says_so() -> None:
    planner = opened()
    feed(planner, Ticked(at=1.0))
    assert planner.handle(Ticked(at=2.0)) == []
    assert not planner.changed


@pytest.mark.parametrize(
    ("after", "upto", "name"),
    [(None, 0, "med-v1-to-u0"), (4, 5, "med-v1-u5"), (4, 7, "med-v1-u5-u7")],
)
def test_a_product_is_named_after_what_it_delivers(after: int | None, upto: int, name: str) -> None:
    selection = Selection(view=view(), updates=UpdateSpan(after=after, upto=upto))
    assert product_id("med", 1, [selection]) == name
