"""Subscriptions that change while updates come in: each update is given once, and none is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.commands import CutTask
from planner.core import Planner
from planner.events import (
    FullProductRequested,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    Ticked,
)
from planner.model import Subscription, UpdateSpan
from planner.settings import DispatchSettings, PlannerSettings
from tests.planner.building import (
    PACIFIC,
    archive_stands,
    every,
    feed,
    one,
    opened,
    profiles,
    subscription,
    update,
    updates_of,
)

IN_THE_PACIFIC = profiles((175.0, 0.0))


def added(wish: Subscription, at: float = 0.0) -> SubscriptionAdded:
    return SubscriptionAdded(at=at, subscription=wish)


def paged(*names: str) -> Planner:
    """Return a planner that makes one task a step, with these standing subscriptions."""
    planner = opened(PlannerSettings(dispatch=DispatchSettings(matches_per_step_max=1)))
    feed(planner, *(added(subscription(name, backfill=False)) for name in names))
    return planner


def test_a_new_version_is_given_the_update_that_waits_for_it_in_a_page() -> None:
    planner = paged("a", "b")
    feed(planner, update(1.0, 1))
    feed(planner, added(subscription("b", version=2, backfill=False)))
    ask = one(planner.handle(Ticked(at=1.0)), CutTask)
    assert (ask.subscription_id, ask.version) == ("b", 2)
    assert updates_of(ask) == UpdateSpan(after=0, upto=1)


def test_a_new_version_is_matched_by_its_own_view() -> None:
    planner = paged("a")
    feed(planner, added(subscription("a", box=PACIFIC, version=2)))
    assert feed(planner, update(1.0, 1)) == []
    assert one(planner.handle(update(2.0, 2, IN_THE_PACIFIC)), CutTask).version == 2


def test_a_page_holds_nothing_for_one_that_was_removed_and_made_again() -> None:
    planner = paged("a", "b")
    feed(planner, update(1.0, 1))
    feed(planner, SubscriptionRemoved(at=1.0, subscription_id="b"))
    first = one(planner.handle(added(subscription("b"))), CutTask)
    assert updates_of(first) == UpdateSpan(after=None, upto=1)
    assert not every(planner.handle(Ticked(at=1.0)), CutTask)


def test_a_pause_comes_after_the_update_that_waits_in_a_page() -> None:
    planner = paged("a", "b")
    feed(planner, update(1.0, 1), SubscriptionPaused(at=1.0, subscription_id="b"))
    assert one(planner.handle(Ticked(at=1.0)), CutTask).subscription_id == "b"
    feed(planner, update(2.0, 2))
    again = one(planner.handle(SubscriptionResumed(at=3.0, subscription_id="b")), CutTask)
    assert updates_of(again) == UpdateSpan(after=1, upto=2)


@pytest.mark.parametrize("late", [1, 2])
def test_an_old_version_that_comes_late_or_twice_is_counted_and_changes_nothing(late: int) -> None:
    planner = opened()
    feed(planner, added(subscription(version=1)), added(subscription(version=2, deadline_s=9.0)))
    assert feed(planner, added(subscription(version=late))) == []
    assert planner.books.desk.late_messages == {"SubscriptionAdded": 1}
    row = planner.books.registry.row("med")
    assert row is not None
    assert (row.subscription.version, row.subscription.deadline_s) == (2, 9.0)


def test_updates_that_were_skipped_come_with_the_next_one() -> None:
    planner = paged("a")
    feed(planner, update(1.0, 1))
    assert updates_of(one(planner.handle(update(2.0, 4)), CutTask)) == UpdateSpan(after=1, upto=4)


def test_a_pause_from_before_any_data_leaves_no_gap_when_only_the_archive_came() -> None:
    planner = Planner(PlannerSettings())
    feed(planner, added(subscription(backfill=False)))
    feed(planner, SubscriptionPaused(at=1.0, subscription_id="med"), archive_stands(2.0))
    assert feed(planner, SubscriptionResumed(at=3.0, subscription_id="med")) == []
    assert updates_of(one(planner.handle(update(4.0, 1)), CutTask)) == UpdateSpan(after=0, upto=1)


@pytest.mark.parametrize("event", [SubscriptionPaused, SubscriptionResumed, SubscriptionRemoved])
def test_what_is_said_of_nobody_is_counted(event: type) -> None:
    planner = opened()
    assert feed(planner, event(at=1.0, subscription_id="nobody")) == []
    assert planner.books.desk.late_messages == {event.__name__: 1}


def elsewhere(wish: Subscription) -> Subscription:
    """Return the next version of a subscription, of another dataset."""
    return replace(wish, version=wish.version + 1, views=(replace(wish.views[0], dataset="other"),))


def test_a_version_that_turns_to_another_dataset_begins_anew() -> None:
    planner = opened()
    feed(planner, added(subscription()), replace(archive_stands(1.0), dataset="other"))
    ask = one(planner.handle(added(elsewhere(subscription()))), CutTask)
    assert (ask.version, updates_of(ask)) == (2, UpdateSpan(after=None, upto=0))
    assert feed(planner, update(2.0, 1)) == []
    one(planner.handle(replace(update(3.0, 1), dataset="other")), CutTask)


def test_one_that_is_paused_begins_anew_when_it_is_resumed() -> None:
    planner = opened()
    feed(planner, added(subscription()), SubscriptionPaused(at=1.0, subscription_id="med"))
    feed(planner, replace(archive_stands(1.0), dataset="other"))
    assert feed(planner, added(elsewhere(subscription()))) == []
    ask = one(planner.handle(SubscriptionResumed(at=2.0, subscription_id="med")), CutTask)
    assert updates_of(ask) == UpdateSpan(after=None, upto=0)


def test_all_that_was_given_is_made_one_product_when_asked_for() -> None:
    planner = Planner(PlannerSettings())
    feed(planner, archive_stands(), added(subscription(box=PACIFIC, backfill=False)))
    feed(planner, update(1.0, 1, IN_THE_PACIFIC), update(2.0, 2, IN_THE_PACIFIC))
    asked = FullProductRequested(at=9.0, subscription_id="med")
    cut = one(feed(planner, asked), CutTask)
    assert [each.updates for each in cut.selections] == [UpdateSpan(after=None, upto=2)]
    task = planner.books.backlog.tasks[cut.task_id]
    assert (task.arrived_at, task.deadline_at) == (9.0, 69.0)
    assert every(feed(planner, asked), CutTask) == []  # It is under way.
    other = FullProductRequested(at=9.0, subscription_id="nobody")
    assert every(feed(planner, other), CutTask) == []
    assert planner.books.desk.late_messages == {"FullProductRequested": 2}


def test_before_any_data_there_is_nothing_to_make_one_product_of() -> None:
    planner = Planner(PlannerSettings())
    feed(planner, added(subscription()))
    assert feed(planner, FullProductRequested(at=9.0, subscription_id="med")) == []
