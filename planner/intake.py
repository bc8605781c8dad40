"""What comes in: subscriptions and updates become tasks, and each task is sent to be cut."""

from __future__ import annotations

import heapq

from planner.backlog import Task
from planner.books import Books, Page
from planner.commands import AnyCommand, CutTask, StopPart
from planner.events import (
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    UpdateArrived,
)
from planner.model import Selection, Subscription, UpdateSpan


def subscription_added(books: Books, event: SubscriptionAdded) -> list[AnyCommand]:
    """Enter a subscription; what the archive holds already is its first task, where wanted."""
    row = books.registry.row(event.subscription.id)
    if row is not None and event.subscription.version <= row.subscription.version:
        books.count_late(event)
        return []
    left = () if row is None else row.subscription.datasets_not_in(event.subscription)
    due = books.registry.add(event.subscription)
    for dataset in left:
        _strike_from_pages(books, event.subscription.id, dataset)
    return [open_task(books, event.subscription, due, event.at)] if due else []


def subscription_paused(books: Books, event: SubscriptionPaused) -> list[AnyCommand]:
    """Make no tasks of further updates."""
    if not books.registry.pause(event.subscription_id):
        books.count_late(event)
    return []


def subscription_resumed(books: Books, event: SubscriptionResumed) -> list[AnyCommand]:
    """Make tasks again; the gap, of all datasets together, is one task."""
    row = books.registry.row(event.subscription_id)
    if row is None or not row.paused:
        books.count_late(event)
        return []
    due = books.registry.resume(event.subscription_id)
    return [open_task(books, row.subscription, due, event.at)] if due else []


def subscription_removed(books: Books, event: SubscriptionRemoved) -> list[AnyCommand]:
    """Forget a subscription and drop its open tasks."""
    if not books.registry.remove(event.subscription_id):
        books.count_late(event)
    dropped = books.backlog.of_subscription(event.subscription_id)
    return [stop for task in dropped for stop in end_early(books, task, "dropped", event.at)]


def update_arrived(books: Books, event: UpdateArrived) -> list[AnyCommand]:
    """Turn an update into a task for every subscription that it concerns, a page at a time."""
    newest = books.registry.newest(event.dataset)
    if newest is not None and event.number <= newest:
        books.count_late(event)
        return []
    firsts = books.registry.arrived(event.dataset, event.number)
    matched = books.registry.matched(event.dataset, event.observations)
    already = set(firsts)
    whole = UpdateSpan(after=None, upto=event.number)
    increment = UpdateSpan(after=event.number - 1 if newest is None else newest, upto=event.number)
    others = [key for key in matched if key not in already] if already else matched
    for keys, span in ((firsts, whole), (others, increment)):
        if keys:
            page = Page(dataset=event.dataset, keys=list(keys), updates=span, arrived_at=event.at)
            books.desk.pages.append(page)
    return turn_page(books)


def turn_page(books: Books) -> list[AnyCommand]:
    """Make the next tasks of the waiting pages, at most `matches_per_step_max` of them."""
    commands: list[AnyCommand] = []
    room = books.settings.dispatch.matches_per_step_max
    while books.desk.pages and room > 0:
        page = books.desk.pages[0]
        keys = page.keys[:room]
        del page.keys[:room]
        room -= len(keys)
        books.changed = True
        for key in keys:
            subscription = books.registry.by_key(key)
            found = subscription and subscription.selection(page.dataset, page.updates)
            if subscription and found:
                ordinal = len(commands)
                commands.append(open_task(books, subscription, (found,), page.arrived_at, ordinal))
        if not page.keys:
            books.desk.pages.pop(0)
    return commands


def _strike_from_pages(books: Books, subscription_id: str, dataset: str) -> None:
    """Let what waits of a dataset be nothing to a subscription, though it come back to it."""
    key = books.registry.key(subscription_id)
    for page in books.desk.pages:
        if page.dataset == dataset and key in page.keys:
            page.keys.remove(key)


def open_task(
    books: Books,
    subscription: Subscription,
    selections: tuple[Selection, ...],
    at: float,
    ordinal: int = 0,
) -> CutTask:
    """Open a task and ask for its cut; its clock started at `at` [POSIX s]."""
    books.desk.tasks_made += 1
    task = Task(
        id=books.new_id("t", ordinal),
        ordinal=books.desk.tasks_made,
        subscription=subscription,
        selections=selections,
        arrived_at=at,
        deadline_at=subscription.deadline_from(selections, at),
        reserve_s=books.reserve_s,
    )
    books.backlog.add(task)
    if subscription.firm and task.deadline_at is not None:
        heapq.heappush(books.desk.firm, (task.deadline_at, task.id))
    return _cut(books, task)


def end_early(books: Books, task: Task, by: str, at: float) -> list[AnyCommand]:
    """Close a task that nobody waits for any more and stop what runs for it."""
    stops: list[AnyCommand] = []
    for part in task.running():
        stops.append(StopPart(part_id=part.id, attempt=part.attempt))
        books.fleet.end(part.node_id, part.id, at)
    books.backlog.close(task, by)
    return stops


def _cut(books: Books, task: Task) -> CutTask:
    cutting, scaling = books.settings.cutting, books.settings.scaling
    slots = max((offer.slots_max for offer in books.offers), default=1)
    workers_max = max(1, scaling.nodes_max) * slots
    return CutTask(
        task_id=task.id,
        subscription_id=task.subscription.id,
        version=task.subscription.version,
        selections=task.selections,
        partitioner=cutting.partitioner,
        parts_wanted=min(cutting.parts_max, cutting.parts_per_worker * workers_max),
        part_s_min=cutting.part_s_min,
        part_s_max=cutting.part_s_max,
        parts_max=cutting.parts_max,
        costs=tuple(books.times(each.view.dataset).costs for each in task.selections),
    )
