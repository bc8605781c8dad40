"""What the API tells of subscriptions, tasks, products, nodes and decisions."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel

from controller.config.iso8601 import duration_text, instant_text, interval_text
from controller.product_files import beside
from controller.store.listed import DecisionRow, NodeRow, SubscriptionRow, TaskRow, UpdateRow
from controller.telling import Board, State
from planner.model import Subscription


class SubscriptionTold(BaseModel):
    """A subscription: the keys of a subscriptions file, and how it stands."""

    id: str
    dataset: list[str]
    bbox: list[float]
    time: str
    parameters: list[str]
    options: dict[str, str]
    deadline: str | None
    firm: bool
    priority: float
    backfill: bool
    destination: str
    version: int
    owner: str
    paused: bool
    made_at: str
    changed_at: str


class AccountTold(BaseModel):
    """What a subscription has cost so far: time of workers, its price, and products."""

    tasks: int
    worker_s: float
    cost: float
    size_bytes: int


class SubscriptionInFull(SubscriptionTold):
    """A subscription with its account; `warnings` tell its maker what to mind."""

    account: AccountTold
    warnings: list[str]


class EstimateTold(BaseModel):
    """What the next delivery of a subscription would take, run alone."""

    of: str
    files: int
    archive_files: int
    parts: int
    work_s: float
    work_90_s: float
    finish_s: float | None
    finish_90_s: float | None
    workers: int | None
    workers_max: int
    deadline_s: float | None
    slack_s: float | None
    slack_90_s: float | None
    late_chance: float | None
    allow_s: float | None
    state: str
    verdict: str
    notes: list[str]


class TaskTold(BaseModel):
    """A task, open or ended."""

    id: str
    subscription: str
    product: str
    state: str
    arrived_at: str
    deadline_at: str | None
    ended_at: str | None
    slack_s: float | None
    parts: int
    parts_done: int
    worker_s: float
    cost: float
    text: str


class ProductTold(BaseModel):
    """A product that was delivered."""

    id: str
    subscription: str
    task: str
    delivered_at: str
    late: bool
    slack_s: float | None
    rows: int
    size_bytes: int
    sha256: str
    digest: str
    url: str
    manifest_url: str


class UpdateTold(BaseModel):
    """An update of a dataset."""

    dataset: str
    number: int
    at: str
    profiles: int | None


class NodeTold(BaseModel):
    """A node, standing or gone."""

    id: str
    type: str
    state: str
    workers: int
    requested_at: str
    ready_at: str | None
    gone_at: str | None
    reason: str


class DecisionTold(BaseModel):
    """Why the fleet changed."""

    at: str
    action: str
    node: str
    reason: str


class NextTaskTold(BaseModel):
    """The task whose parts are sent next."""

    id: str
    subscription: str
    deadline_at: str | None
    ttd_s: float | None


class StatusTold(BaseModel):
    """How the service stands."""

    at: str
    ready: bool
    faults: dict[str, str]
    policy: str
    order: str
    threshold_s: float | None
    subscriptions: int
    tasks: dict[str, int]
    parts_running: int
    next_task: NextTaskTold | None
    nodes: dict[str, int]
    nodes_min: int
    nodes_max: int
    workers: dict[str, int]
    late_messages: dict[str, int]
    inbox: int
    steps: int
    batches: int
    pause_median_s: float
    pause_p99_s: float
    silent_s: float


class Link(BaseModel):
    """Where to go from a page."""

    rel: str
    href: str


def told_subscription(row: SubscriptionRow) -> dict[str, Any]:
    """Return a subscription as it is told."""
    wish = msgspec.json.decode(row.document, type=Subscription)
    extent = wish.views[0].extent
    box = extent.box
    names = {name for view in wish.views for name in view.extent.parameters}
    return {
        "id": row.id,
        "dataset": [view.dataset for view in wish.views],
        "bbox": [box.west, box.south, box.east, box.north],
        "time": interval_text(extent.period),
        "parameters": sorted(names),
        "options": {name: value for view in wish.views for name, value in view.options},
        "deadline": _deadline(wish),
        "firm": wish.firm,
        "priority": wish.priority,
        "backfill": wish.backfill,
        "destination": wish.destination,
        "version": row.version,
        "owner": row.owner,
        "paused": bool(row.paused),
        "made_at": instant_text(row.made_at),
        "changed_at": instant_text(row.changed_at),
    }


def told_task(row: TaskRow) -> dict[str, Any]:
    """Return a task as it is told."""
    return {
        "id": row.id,
        "subscription": row.subscription_id,
        "product": row.product_id,
        "state": row.state,
        "arrived_at": instant_text(row.arrived_at),
        "deadline_at": _instant(row.deadline_at),
        "ended_at": _instant(row.ended_at),
        "slack_s": row.slack_s,
        "parts": row.parts,
        "parts_done": row.parts_done,
        "worker_s": row.worker_s,
        "cost": row.cost,
        "text": row.text,
    }


def told_product(row: TaskRow) -> dict[str, Any]:
    """Return the product of a task that was delivered."""
    assert row.ended_at is not None
    return {
        "id": row.product_id,
        "subscription": row.subscription_id,
        "task": row.id,
        "delivered_at": instant_text(row.ended_at),
        "late": row.state == "late",
        "slack_s": row.slack_s,
        "rows": row.product_rows,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "digest": row.digest,
        "url": beside(row.manifest_url, row.file),
        "manifest_url": row.manifest_url,
    }


def told_update(row: UpdateRow) -> dict[str, Any]:
    """Return an update as it is told."""
    return {
        "dataset": row.dataset,
        "number": row.number,
        "at": instant_text(row.at),
        "profiles": row.profiles,
    }


def told_node(row: NodeRow) -> dict[str, Any]:
    """Return a node as it is told."""
    return {
        "id": row.id,
        "type": row.node_type,
        "state": row.state,
        "workers": row.workers,
        "requested_at": instant_text(row.requested_at),
        "ready_at": _instant(row.ready_at),
        "gone_at": _instant(row.gone_at),
        "reason": row.reason,
    }


def told_decision(row: DecisionRow) -> dict[str, Any]:
    """Return a decision as it is told."""
    return {
        "at": instant_text(row.at),
        "action": row.action,
        "node": row.node_id,
        "reason": row.reason,
    }


def told_status(board: Board, now: float, *, ready: bool, faults: dict[str, str]) -> dict[str, Any]:
    """Return how a service stands at an instant [POSIX s], as it is told."""
    state = board.state
    scaling = state.settings.scaling
    return {
        "at": instant_text(state.at),
        "ready": ready,
        "faults": faults,
        "policy": scaling.policy,
        "order": state.settings.dispatch.order,
        "threshold_s": state.threshold_s,
        "subscriptions": state.subscriptions,
        "tasks": {
            "open": state.tasks,
            "waiting": state.tasks_waiting,
            "at_risk": state.tasks_at_risk,
        },
        "parts_running": state.parts_running,
        "next_task": _next_task(state, now),
        "nodes": dict(state.nodes),
        "nodes_min": scaling.nodes_min,
        "nodes_max": scaling.nodes_max,
        "workers": {"ready": state.workers_ready, "busy": state.workers_busy},
        "late_messages": dict(state.late_messages),
        "inbox": state.inbox,
        "steps": state.steps,
        "batches": state.batches,
        "pause_median_s": board.took_s(0.5),
        "pause_p99_s": board.took_s(0.99),
        "silent_s": board.silent_s,
    }


def _next_task(state: State, now: float) -> dict[str, Any] | None:
    task = state.next_task
    if task is None:
        return None
    return {
        "id": task.id,
        "subscription": task.subscription_id,
        "deadline_at": _instant(task.deadline_at),
        "ttd_s": None if task.deadline_at is None else task.deadline_at - now,
    }


def _instant(at: float | None) -> str | None:
    return None if at is None else instant_text(at)


def _deadline(wish: Subscription) -> str | None:
    if wish.deadline_at is not None:
        return instant_text(wish.deadline_at)
    return None if wish.deadline_s is None else duration_text(wish.deadline_s)
