"""How tasks go on: parts cut, run and lost, products combined and delivered, nodes up and gone."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from planner.backlog import Part, Task
from planner.books import Books
from planner.commands import AnyCommand, CombineProduct, DeliverProduct, Notify, RemoveNode
from planner.durations import TIME_S_MIN, RunTimes
from planner.events import (
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    TaskCut,
    TaskRefused,
    WorkersRefused,
)
from planner.fleet import Node
from planner.intake import end_early
from planner.lifecycle import NodeState, PartState, TaskState
from planner.model import Features, Fragment, NoticeKind

DOUBLINGS_MAX = 64
"""A pause doubles no more often: nobody waits longer, and a float must not overflow."""


def task_cut(books: Books, event: TaskCut) -> list[AnyCommand]:
    """Queue the parts of a task; an update that turns out to hold nothing for it ends it."""
    task = books.backlog.tasks.get(event.task_id)
    if task is None or task.state is not TaskState.CUTTING:
        books.count_late(event)
        return []
    if not event.parts and any(selection.is_first for selection in task.selections):
        return _fail(books, task, f"{event.partitioner} cut it into no parts", event.at)
    if not event.parts:
        books.backlog.close(task, "empty")
        return []
    books.backlog.cut(task, event.parts, books.times)
    return []


def task_refused(books: Books, event: TaskRefused) -> list[AnyCommand]:
    """Fail a task that cannot be cut."""
    task = books.backlog.tasks.get(event.task_id)
    if task is None or task.state is not TaskState.CUTTING:
        books.count_late(event)
        return []
    return _fail(books, task, event.reason, event.at)


def part_finished(books: Books, event: PartFinished) -> list[AnyCommand]:
    """Learn from a finished part; the last one of a task lets its product be combined."""
    found = _running(books, event)
    if found is None:
        return []
    task, part = found
    node = books.fleet.nodes.get(part.node_id)
    speed = node.offer.speed if node else 1.0
    learned = _read_by_itself(part.features, event.fragment)
    _learn(task, part, books.times(task.dataset_of(part)), learned, event.run_s * speed)
    books.fleet.end(part.node_id, part.id, event.at)
    books.backlog.finish(task, part, event.fragment)
    if task.state is TaskState.COMBINING:
        times = books.times(task.dataset)
        times.spread.learn(task.evidence, task.level(times))
        return [_combine(task, attempt=1)]
    revise(books, task)
    return []


def _learn(task: Task, part: Part, times: RunTimes, read: Features, run_s: float) -> None:
    """Learn from a part that took this long [reference s], of its task and of all."""
    news = 1.0
    if task.tells_of(part):
        news = times.spread.news(task.evidence.parts)
        ratio = max(run_s, TIME_S_MIN) / times.mean_s(read)
        task.evidence = task.evidence.and_of(ratio, task.level(times))
        task.outrun = 0.0
    times.learn(read, run_s, news)


def revise(books: Books, task: Task) -> None:
    """Predict the parts of a task anew, those that run too, if more is known of them now."""
    if books.backlog.revise(task, books.times):
        for part in task.running():
            books.fleet.expect(part.node_id, part.id, part.mean_s)


def _read_by_itself(features: Features, fragment: Fragment) -> Features:
    """Return what a part read itself: what others had read says nothing of what files cost."""
    if features.files > 0 and fragment.shared == 0:
        return features
    own = max(0, features.files - fragment.shared)
    size_bytes = features.size_bytes * own // max(1, features.files)
    return replace(features, files=own, size_bytes=size_bytes)


def parts_outrun(books: Books, at: float) -> None:
    """Learn of tasks from their parts that run for longer than was predicted."""
    for part_id in books.fleet.outrun(at):
        books.changed = True
        found = books.backlog.part(part_id)
        if found is not None and found[0].evidence.parts == 0:
            task = found[0]
            task.outrun = _outrun(books, task, at)
            revise(books, task)


def _outrun(books: Books, task: Task, at: float) -> float:
    """Return how many times their predictions a task's running parts have taken: all but one.

    One that hangs, or that a bad node runs, tells nothing of its siblings.
    """
    ratios: list[float] = []
    times = books.times(task.dataset)
    for part in filter(task.tells_of, task.running()):
        node = books.fleet.nodes.get(part.node_id)
        if node is not None and part.id in islice(node.running, node.joined):
            expected_s = times.mean_s(part.features)
            ratios.append((at - part.started_at) * node.offer.speed / expected_s)
    ratios.sort(reverse=True)
    return ratios[1] if len(ratios) > 1 else sum(ratios)


def part_failed(books: Books, event: PartFailed) -> list[AnyCommand]:
    """Let a failed part rest and try again, or fail its task for good."""
    found = _running(books, event)
    if found is None:
        return []
    task, part = found
    books.fleet.end(part.node_id, part.id, event.at)
    if not event.retry or part.attempt >= books.settings.dispatch.attempts_max:
        return _fail(books, task, _after(part.attempt, f"part {part.id}", event.reason), event.at)
    books.backlog.give_back(task, part, "failed")
    books.rest(event.at + _pause_s(books, part.attempt), "part", part.id)
    return []


def attempt_lost(books: Books, event: AttemptLost) -> list[AnyCommand]:
    """Let a lost part wait again at once: its worker is blamed first, the part when it repeats."""
    found = _running(books, event)
    if found is None:
        return []
    task, part = found
    books.fleet.end(part.node_id, part.id, event.at)
    return _lose(books, task, part, event.reason, event.at)


def product_combined(books: Books, event: ProductCombined) -> list[AnyCommand]:
    """Send a combined product on its way."""
    task = _settling(books, event, TaskState.COMBINING)
    if task is None:
        return []
    task.product, task.combined_s = event.product, event.run_s
    task.move("combined")
    return [_deliver(task, attempt=1)]


def combine_failed(books: Books, event: CombineFailed) -> list[AnyCommand]:
    """Combine again after a rest, or fail the task."""
    return _settle_again(books, event, TaskState.COMBINING, "combining")


def product_delivered(books: Books, event: ProductDelivered) -> list[AnyCommand]:
    """Tell the subscriber, and learn how long combining and delivering take."""
    task = _settling(books, event, TaskState.DELIVERING)
    if task is None:
        return []
    assert task.product is not None, "what is being delivered has been combined"
    books.learn_settling(task.product.size_bytes, task.combined_s + event.run_s)
    slack_s = None if task.deadline_at is None else task.deadline_at - event.at
    late = slack_s is not None and slack_s < 0
    books.backlog.close(task, "delivered")
    rows = f"{task.product.rows} rows, {event.manifest_url}"
    missing = f", {task.product.left_out} source files left out" if task.product.left_out else ""
    kind = NoticeKind.LATE if late else NoticeKind.DELIVERED
    return [notice(task, kind, slack_s, f"{rows}{missing}")]


def delivery_failed(books: Books, event: DeliveryFailed) -> list[AnyCommand]:
    """Deliver again after a rest, or fail the task."""
    return _settle_again(books, event, TaskState.DELIVERING, "delivery")


def node_ready(books: Books, event: NodeReady) -> list[AnyCommand]:
    """Use a node's workers; a first appearance is a measured boot."""
    node = books.fleet.nodes.get(event.node_id)
    if node is None:
        books.count_late(event)
        return []
    if books.fleet.ready(node, event.workers, event.at):
        books.desk.boots_failed = 0
        # A clock that stepped back must not teach that boots take less than no time.
        boot_s = max(0.0, event.at - node.requested_at)
        books.boots.learn(node.offer.node_type, boot_s)
    return []


def node_refused(books: Books, event: NodeRefused) -> list[AnyCommand]:
    """Strike a node out that could not be created, and ask for none for a while."""
    node = books.fleet.nodes.get(event.node_id)
    if node is None or node.state is not NodeState.BOOTING:
        books.count_late(event)
        return []
    _gone(books, node, "refused", event.at)
    _pause_launches(books, event.at, retry=event.retry)
    return []


def workers_refused(books: Books, event: WorkersRefused) -> list[AnyCommand]:
    """Count on the workers that a node has; nothing grows for a while."""
    node = books.fleet.nodes.get(event.node_id)
    if node is None or node.workers != event.workers or node.joined == event.workers:
        books.count_late(event)
        return []
    books.fleet.grow(node, max(1, node.joined))
    dispatch = books.settings.dispatch
    books.desk.no_growth_until = event.at + (
        dispatch.retry_s if event.retry else dispatch.retry_s_max
    )
    return []


def node_lost(books: Books, event: NodeLost) -> list[AnyCommand]:
    """Strike a vanished node out; its parts wait again. Removing it once more does no harm.

    One that never came up is no better than refused: the next one may break in the same way.
    """
    node = books.fleet.nodes.get(event.node_id)
    if node is None:
        books.count_late(event)
        return []
    if node.state is NodeState.BOOTING:
        _pause_launches(books, event.at, retry=True)
    commands = _strike_out(books, node, "lost", event.reason, event.at)
    return [*commands, RemoveNode(node_id=node.id, reason=event.reason)]


def node_removed(books: Books, event: NodeRemoved) -> list[AnyCommand]:
    """Strike a node out that was told to go."""
    node = books.fleet.nodes.get(event.node_id)
    if node is None:
        books.count_late(event)
        return []
    by = "removed" if node.state is NodeState.REMOVING else "lost"
    return _strike_out(books, node, by, "its node was removed", event.at)


def settle_again(task: Task) -> list[AnyCommand]:
    """Return the next attempt at what a task rested from."""
    if task.state is TaskState.COMBINING:
        return [_combine(task, attempt=task.attempt)]
    if task.state is TaskState.DELIVERING:
        return [_deliver(task, attempt=task.attempt)]
    return []


def notice(task: Task, kind: NoticeKind, slack_s: float | None, text: str) -> Notify:
    """Return what is to be told about a task."""
    return Notify(
        task_id=task.id,
        subscription_id=task.subscription.id,
        kind=kind,
        slack_s=slack_s,
        text=text,
    )


def _combine(task: Task, attempt: int) -> CombineProduct:
    task.attempt = attempt
    return CombineProduct(
        task_id=task.id,
        attempt=attempt,
        subscription_id=task.subscription.id,
        version=task.subscription.version,
        selections=task.selections,
        fragments=task.fragments(),
    )


def _deliver(task: Task, attempt: int) -> DeliverProduct:
    assert task.product is not None
    task.attempt = attempt
    return DeliverProduct(
        task_id=task.id,
        attempt=attempt,
        subscription_id=task.subscription.id,
        version=task.subscription.version,
        destination=task.subscription.destination,
        product=task.product,
    )


def _running(
    books: Books, event: PartFinished | PartFailed | AttemptLost
) -> tuple[Task, Part] | None:
    """Return the attempt that an event is about; a stale event is counted and changes nothing."""
    found = books.backlog.part(event.part_id)
    if found and found[1].attempt == event.attempt and found[1].state is PartState.RUNNING:
        return found
    books.count_late(event)
    return None


def _settling(
    books: Books,
    event: ProductCombined | CombineFailed | ProductDelivered | DeliveryFailed,
    state: TaskState,
) -> Task | None:
    task = books.backlog.tasks.get(event.task_id)
    if task is not None and task.state is state and task.attempt == event.attempt:
        return task
    books.count_late(event)
    return None


def _settle_again(
    books: Books, event: CombineFailed | DeliveryFailed, state: TaskState, doing: str
) -> list[AnyCommand]:
    task = _settling(books, event, state)
    if task is None:
        return []
    if not event.retry or task.attempt >= books.settings.dispatch.attempts_max:
        return _fail(books, task, _after(task.attempt, doing, event.reason), event.at)
    books.rest(event.at + _pause_s(books, task.attempt), "task", task.id)
    # From now on the failed attempt is a stale one, whatever else is said of it.
    task.attempt += 1
    return []


def _lose(books: Books, task: Task, part: Part, reason: str, at: float) -> list[AnyCommand]:
    if part.attempt >= books.settings.dispatch.attempts_max:
        return _fail(books, task, _after(part.attempt, f"part {part.id}", reason), at)
    books.backlog.give_back(task, part, "lost")
    return []


def _strike_out(books: Books, node: Node, by: str, reason: str, at: float) -> list[AnyCommand]:
    commands: list[AnyCommand] = []
    for part_id in _gone(books, node, by, at):
        found = books.backlog.part(part_id)
        if found and found[1].state is PartState.RUNNING:
            commands += _lose(books, *found, reason, at)
    return commands


def _gone(books: Books, node: Node, by: str, at: float) -> list[str]:
    return books.fleet.gone(node, by, at, books.settings.scaling.budget_period_s)


def _fail(books: Books, task: Task, reason: str, at: float) -> list[AnyCommand]:
    slack_s = None if task.deadline_at is None else task.deadline_at - at
    stops = end_early(books, task, "failed", at)
    return [*stops, notice(task, NoticeKind.FAILED, slack_s, reason)]


def _pause_launches(books: Books, at: float, *, retry: bool) -> None:
    books.desk.boots_failed += 1
    pause_s = _pause_s(books, books.desk.boots_failed)
    books.desk.no_launch_until = at + (pause_s if retry else books.settings.dispatch.retry_s_max)


def _pause_s(books: Books, attempt: int) -> float:
    dispatch = books.settings.dispatch
    doublings = min(attempt - 1, DOUBLINGS_MAX)
    return min(dispatch.retry_s_max, dispatch.retry_s * 2.0**doublings)


def _after(attempts: int, what: str, reason: str) -> str:
    count = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return f"{what} failed after {count}: {reason}"
