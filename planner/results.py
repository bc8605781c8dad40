"""What became of each task, gathered from the steps of a service as they happen."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.commands import AnyCommand, CutTask, Notify, ProvisionNode
from planner.events import (
    AnyEvent,
    NodeLost,
    NodeRemoved,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
)
from planner.model import NoticeKind, Subscription, product_id

ENDS = {NoticeKind.DELIVERED, NoticeKind.LATE, NoticeKind.EXPIRED, NoticeKind.FAILED}
"""Notices after which nothing more comes of a task."""


@dataclass(slots=True, kw_only=True)
class TaskResult:
    """One task and its product.

    Parameters
    ----------
    task_id, subscription_id, product_id : str
    deadline_s : float or None
        Time from arrival to the deadline [s].
    outcome : NoticeKind or None
        None while it is under way.
    slack_s : float or None
        Deadline minus delivery [s].
    rows, size_bytes, left_out : int
        Of the product; source files that could not be read.
    digest : str
        Canonical content digest of the product.
    file : str
        Name of the product's file.
    manifest_url : str
    text : str
        What the subscriber was told.
    """

    task_id: str
    subscription_id: str
    product_id: str
    deadline_s: float | None
    outcome: NoticeKind | None = None
    slack_s: float | None = None
    rows: int = 0
    size_bytes: int = 0
    left_out: int = 0
    digest: str = ""
    file: str = ""
    manifest_url: str = ""
    text: str = ""

    @property
    def missed(self) -> bool:
        """Whether the deadline was missed."""
        return self.outcome in (NoticeKind.LATE, NoticeKind.EXPIRED)


@dataclass(slots=True, kw_only=True)
class FleetUse:
    """Which nodes stood, and when; `launched_at` and `gone_at` are POSIX seconds by node."""

    launched_at: dict[str, float] = field(default_factory=dict)
    gone_at: dict[str, float] = field(default_factory=dict)

    def node_seconds(self, until: float) -> float:
        """Return the time that nodes were held up to an instant [s]."""
        return sum(self.gone_at.get(n, until) - at for n, at in self.launched_at.items())

    def peak(self) -> int:
        """Return the largest number of nodes held at the same time."""
        changes = [(at, 1) for at in self.launched_at.values()]
        changes += [(at, -1) for at in self.gone_at.values()]
        standing = peak = 0
        for _, change in sorted(changes):
            standing += change
            peak = max(peak, standing)
        return peak


@dataclass(slots=True, kw_only=True)
class Results:
    """Tasks and subscriptions by id, the fleet, and when all was over [POSIX s]."""

    tasks: dict[str, TaskResult] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    fleet: FleetUse = field(default_factory=FleetUse)
    ended_at: float = 0.0

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Take one step in."""
        match event:
            case SubscriptionAdded(subscription=subscription):
                self.subscriptions[subscription.id] = subscription
            case ProductCombined() if event.task_id in self.tasks:
                result, product = self.tasks[event.task_id], event.product
                result.rows, result.size_bytes = product.rows, product.size_bytes
                result.left_out, result.digest = product.left_out, product.digest
                result.file = product.url.rsplit("/", 1)[-1]
            case ProductDelivered() if event.task_id in self.tasks:
                self.tasks[event.task_id].manifest_url = event.manifest_url
            case NodeLost() | NodeRemoved():
                self.fleet.gone_at.setdefault(event.node_id, event.at)
        for command in commands:
            self._hear(event, command)

    def _hear(self, event: AnyEvent, command: AnyCommand) -> None:
        match command:
            case CutTask(task_id=task_id):
                wish = self.subscriptions.get(command.subscription_id)
                self.tasks[task_id] = _opened(command, wish, event.at)
            case ProvisionNode(node_id=node_id):
                self.fleet.launched_at[node_id] = event.at
            case Notify() if command.kind in ENDS and command.task_id in self.tasks:
                result = self.tasks[command.task_id]
                result.outcome, result.slack_s = command.kind, command.slack_s
                result.text = command.text


def _opened(command: CutTask, wish: Subscription | None, at: float) -> TaskResult:
    due_at = None if wish is None else wish.deadline_from(command.updates, at)
    return TaskResult(
        task_id=command.task_id,
        subscription_id=command.subscription_id,
        product_id=product_id(command.subscription_id, command.version, command.updates),
        deadline_s=None if due_at is None else due_at - at,
    )
