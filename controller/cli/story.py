"""What happens, in words: one line for each decision with its reason, live and from a journal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from controller.cli.display import span
from planner.commands import (
    AnyCommand,
    CutTask,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.events import AnyEvent, NodeLost, NodeRefused, TaskCut
from planner.model import NoticeKind

_COLOURS = {
    NoticeKind.DELIVERED: "green",
    NoticeKind.RECOVERED: "green",
    NoticeKind.AT_RISK: "yellow",
    NoticeKind.LATE: "red",
    NoticeKind.EXPIRED: "red",
    NoticeKind.FAILED: "red",
}


NodeChange = ProvisionNode | SetWorkers | DrainNode | UndrainNode | RemoveNode
"""What the planner does with nodes, each time with its reason."""

_CHANGES = {
    ProvisionNode: "[cyan]+1 node[/]",
    SetWorkers: "[cyan]resize[/]",
    UndrainNode: "[cyan]keep[/]",
    DrainNode: "[magenta]drain[/]",
    RemoveNode: "[magenta]-1 node[/]",
}


class Story:
    """Tells steps in the order in which they happened."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._subscriptions: dict[str, str] = {}

    def name_of(self, task_id: str) -> str:
        """Return a task's id and whose it is."""
        subscription_id = self._subscriptions.get(task_id)
        return f"{task_id} ({subscription_id})" if subscription_id else task_id

    def tell(self, event: AnyEvent, commands: list[AnyCommand]) -> Iterator[str]:
        """Yield the lines of one step, in rich's markup; most steps have none."""
        self._began_at = event.at if self._began_at is None else self._began_at
        after = span(event.at - self._began_at)
        for command in commands:
            if isinstance(command, CutTask):
                self._subscriptions[command.task_id] = command.subscription_id
        lines = [self._line_of(event), *map(self._line, commands)]
        yield from (f"{after:>8}  {line}" for line in lines if line)

    def _line_of(self, event: AnyEvent) -> str:
        match event:
            case TaskCut(task_id=task_id) if event.fallback:
                return f"[yellow]{self.name_of(task_id)} cut linearly:[/] {escape(event.fallback)}"
            case NodeLost() | NodeRefused():
                what = "lost" if isinstance(event, NodeLost) else "refused"
                return f"[red]{event.node_id} {what}:[/] {escape(event.reason)}"
        return ""

    def _line(self, command: AnyCommand) -> str:
        if isinstance(command, Notify):
            return _notice(command)
        if isinstance(command, NodeChange):
            return f"{_CHANGES[type(command)]} {command.node_id}: {self._reason(command.reason)}"
        return ""

    def _reason(self, reason: str) -> str:
        """Return a reason in which the task that it begins with has its subscription's name."""
        task_id, colon, rest = reason.partition(":")
        return escape(f"{self.name_of(task_id)}{colon}{rest}")


def _notice(notice: Notify) -> str:
    kind = notice.kind.value.replace("_", " ")
    left = "" if notice.slack_s is None else f" ({notice.slack_s:+.1f} s)"
    text = escape(notice.text.replace("file://", ""))
    return f"[{_COLOURS[notice.kind]}]{kind}[/] {notice.subscription_id}{left}: {text}"
