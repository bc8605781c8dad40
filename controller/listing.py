"""Keeps the store's listings in step with what happens: a row for each thing that a batch touched.

All of it follows from events, commands and the planner's books; a row is written whole, once for a
batch, however much befell it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec

from controller.notify.letters import notice_row
from controller.notify.telling import notice_of
from controller.store.database import Row
from controller.store.listed import NodeRow, TaskRow
from controller.store.store import Write, covered_text
from planner.backlog import Task
from planner.books import Books
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.events import (
    AnyEvent,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskCut,
    UpdateArrived,
)
from planner.lifecycle import NodeState, TaskState
from planner.model import product_id
from planner.results import ENDS

Step = tuple[AnyEvent, Sequence[AnyCommand]]

_DECISIONS = {
    ProvisionNode: "launch",
    SetWorkers: "resize",
    DrainNode: "drain",
    UndrainNode: "keep",
    RemoveNode: "remove",
}
"""What each command about a node is called among the decisions."""

_OUTCOMES = TaskCut | PartFinished | ProductCombined | ProductDelivered
"""What says something of a task only if it was waited for."""

PLACES_PER_STEP = 1_000_000
"""Commands of a step are numbered below this, so that place = step * this + position grows."""


class Listing:
    """Rows of what is open, and which of them must be written.

    Parameters
    ----------
    tasks : iterable of TaskRow
        Those that are open.
    nodes : iterable of NodeRow
        Those that stand.
    """

    def __init__(self, tasks: Iterable[TaskRow] = (), nodes: Iterable[NodeRow] = ()) -> None:
        self._tasks = {row.id: row for row in tasks}
        self._nodes = {row.id: row for row in nodes}

    def writes(
        self, books: Books, steps: Sequence[Step], first_seq: int, stale: Collection[int] = ()
    ) -> list[Write]:
        """Return what is to be written for a batch that the books have taken in.

        Parameters
        ----------
        books : Books
        steps : sequence of Step
        first_seq : int
            Number of the first step.
        stale : collection of int
            Positions of outcomes that came twice or too late: they count for nothing.
        """
        page = _Page(books, self._tasks, self._nodes)
        for number, (event, commands) in enumerate(steps):
            if number not in stale or not isinstance(event, _OUTCOMES):
                page.hear(event)
            place = (first_seq + number) * PLACES_PER_STEP
            for position, command in enumerate(commands):
                page.note(event.at, command, place + position)
        return page.writes(first_seq + len(steps) - 1)


class _Page:
    """What one batch touches."""

    def __init__(self, books: Books, tasks: dict[str, TaskRow], nodes: dict[str, NodeRow]) -> None:
        self._books = books
        self._tasks, self._nodes = tasks, nodes
        self._at = 0.0
        self._touched_tasks: dict[str, TaskRow] = {}
        self._touched_nodes: dict[str, NodeRow] = {}
        self._subscriptions: dict[str, float] = {}
        self._updates: list[dict[str, Any]] = []
        self._decisions: list[dict[str, Any]] = []
        self._notices: list[Row] = []

    def hear(self, event: AnyEvent) -> None:
        self._at = event.at
        if hear := _HEARD.get(type(event)):
            hear(self, event)

    def note(self, at: float, command: AnyCommand, place: int) -> None:
        match command:
            case CutTask():
                self._open(command, at, place)
            case CombineProduct() | DeliverProduct():
                self._task(command.task_id)
            case Notify():
                if row := self._task(command.task_id):
                    self._tell(row, command, at, place // PLACES_PER_STEP)
                    row.text, row.slack_s = command.text, command.slack_s
                    if command.kind in ENDS:
                        row.state, row.ended_at = command.kind.value, at
            case ProvisionNode():
                self._nodes[command.node_id] = NodeRow(
                    id=command.node_id,
                    node_type=command.node_type,
                    state=NodeState.BOOTING.value,
                    workers=command.workers,
                    requested_at=at,
                )
        if action := _DECISIONS.get(type(command)):
            assert isinstance(
                command, ProvisionNode | SetWorkers | DrainNode | UndrainNode | RemoveNode
            )
            self._node(command.node_id)
            told = {"place": place, "at": at, "action": action}
            told |= {"node_id": command.node_id, "reason": command.reason}
            self._decisions.append(told)

    def writes(self, seq: int) -> list[Write]:
        """Return one write for each kind of row that was touched by a batch that ends at a step."""
        self._settle_tasks()
        self._settle_nodes()
        standing, removed = self._subscription_rows(seq)
        former = [{"id": each, "seq": seq} for each in self._subscriptions]
        rows: dict[str, Sequence[Row]] = {
            "keep_former_subscription": former,
            "put_subscription": standing,
            "remove_subscription": removed,
            "put_update": self._updates,
            "put_task": [msgspec.to_builtins(row) for row in self._touched_tasks.values()],
            "put_node": [msgspec.to_builtins(row) for row in self._touched_nodes.values()],
            "add_decision": self._decisions,
            "add_notice": self._notices,
        }
        return [Write(query=query, rows=tuple(each)) for query, each in rows.items() if each]

    def _task(self, task_id: str) -> TaskRow | None:
        """Return the row of an open task, and note that it is touched."""
        row = self._tasks.get(task_id)
        if row is not None:
            self._touched_tasks[task_id] = row
        return row

    def _node(self, node_id: str) -> NodeRow | None:
        row = self._nodes.get(node_id)
        if row is not None:
            self._touched_nodes[node_id] = row
        return row

    def _tell(self, row: TaskRow, command: Notify, at: float, step: int) -> None:
        found = self._books.registry.row(row.subscription_id)
        views = found.subscription.views if found else ()
        self._notices.append(notice_row(notice_of(command, row, views, at=at, step=step)))

    def _touch_tasks_of(self, subscription_id: str) -> None:
        for row in self._tasks.values():
            if row.subscription_id == subscription_id:
                self._touched_tasks[row.id] = row

    def _open(self, command: CutTask, at: float, place: int) -> None:
        task = self._books.backlog.tasks.get(command.task_id)
        row = self._tasks[command.task_id] = _task_row(command, task, at, place)
        self._touched_tasks[row.id] = row

    def _subscribed(self, event: SubscriptionAdded) -> None:
        self._subscriptions[event.subscription.id] = event.at

    def _subscription_changed(
        self, event: SubscriptionPaused | SubscriptionResumed | SubscriptionRemoved
    ) -> None:
        self._subscriptions[event.subscription_id] = event.at
        if isinstance(event, SubscriptionRemoved):
            self._touch_tasks_of(event.subscription_id)

    def _updated(self, event: UpdateArrived) -> None:
        profiles = None if event.observations is None else len(event.observations)
        told = {"dataset": event.dataset, "number": event.number}
        self._updates.append({**told, "at": event.at, "profiles": profiles})

    def _cut(self, event: TaskCut) -> None:
        if row := self._task(event.task_id):
            row.parts = len(event.parts)

    def _delivered(self, event: ProductDelivered) -> None:
        if row := self._task(event.task_id):
            row.manifest_url = event.manifest_url

    def _part_finished(self, event: PartFinished) -> None:
        row = self._task(event.part_id.rpartition("/")[0])
        if row is None:
            return
        node = self._books.fleet.nodes.get(event.node_id)
        price_per_s = node.offer.price_per_h / node.offer.slots / 3600.0 if node else 0.0
        row.parts_done += 1
        row.worker_s += event.run_s
        row.cost += event.run_s * price_per_s

    def _combined(self, event: ProductCombined) -> None:
        if row := self._task(event.task_id):
            product = event.product
            row.product_rows, row.size_bytes = product.rows, product.size_bytes
            row.sha256, row.digest = product.sha256, product.digest
            row.file = product.url.rsplit("/", 1)[-1]

    def _node_ready(self, event: NodeReady) -> None:
        if row := self._node(event.node_id):
            row.workers = event.workers
            row.ready_at = row.ready_at or event.at

    def _node_gone(self, event: NodeLost | NodeRefused | NodeRemoved) -> None:
        if row := self._node(event.node_id):
            row.gone_at = event.at
            row.reason = row.reason if isinstance(event, NodeRemoved) else event.reason

    def _settle_tasks(self) -> None:
        """Give each touched task the state that the books have it in; forget those that ended."""
        for row in self._touched_tasks.values():
            task = self._books.backlog.tasks.get(row.id)
            if task is not None:
                row.state = task.state.value
                continue
            if row.ended_at is None:
                dropped = row.subscription_id not in self._books.registry
                row.state = (TaskState.DROPPED if dropped else TaskState.EMPTY).value
                row.ended_at = self._at
            del self._tasks[row.id]

    def _settle_nodes(self) -> None:
        for row in self._touched_nodes.values():
            node = self._books.fleet.nodes.get(row.id)
            row.state = (node.state if node else NodeState.GONE).value
            if node is None:
                row.gone_at = row.gone_at or self._at
                del self._nodes[row.id]

    def _subscription_rows(self, seq: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        standing, removed = [], []
        for subscription_id, at in self._subscriptions.items():
            found = self._books.registry.row(subscription_id)
            if found is None:
                removed.append({"id": subscription_id})
                continue
            standing.append(
                {
                    "id": subscription_id,
                    "version": found.subscription.version,
                    "owner": found.subscription.owner,
                    "paused": int(found.paused),
                    "document": msgspec.json.encode(found.subscription).decode(),
                    "at": at,
                    "key": self._books.registry.key(subscription_id),
                    "seq": seq,
                    "covered": covered_text(found),
                }
            )
        return standing, removed


def _task_row(command: CutTask, task: Task | None, at: float, place: int) -> TaskRow:
    return TaskRow(
        id=command.task_id,
        place=place,
        subscription_id=command.subscription_id,
        owner=task.subscription.owner if task else "",
        product_id=product_id(command.subscription_id, command.version, command.selections),
        state=TaskState.CUTTING.value,
        arrived_at=task.arrived_at if task else at,
        deadline_at=task.deadline_at if task else None,
    )


_HEARD: dict[type, Callable[[_Page, Any], None]] = {
    SubscriptionAdded: _Page._subscribed,
    SubscriptionPaused: _Page._subscription_changed,
    SubscriptionResumed: _Page._subscription_changed,
    SubscriptionRemoved: _Page._subscription_changed,
    UpdateArrived: _Page._updated,
    TaskCut: _Page._cut,
    PartFinished: _Page._part_finished,
    ProductCombined: _Page._combined,
    ProductDelivered: _Page._delivered,
    NodeReady: _Page._node_ready,
    NodeRefused: _Page._node_gone,
    NodeLost: _Page._node_gone,
    NodeRemoved: _Page._node_gone,
}
