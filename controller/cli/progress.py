"""The live view of a run: a bar for each task, and a line for each decision with its reason."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

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
from planner.events import AnyEvent, NodeLost, NodeRefused, PartFinished, ProductDelivered, TaskCut
from planner.model import NoticeKind

BARS_MAX = 12
"""Tasks shown with a bar at the same time: more would not fit a terminal."""

_COLOURS = {
    NoticeKind.DELIVERED: "green",
    NoticeKind.RECOVERED: "green",
    NoticeKind.AT_RISK: "yellow",
    NoticeKind.LATE: "red",
    NoticeKind.EXPIRED: "red",
    NoticeKind.FAILED: "red",
}


class LiveView:
    """Shows steps as they happen, on stderr; bars only where a person watches a terminal.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("parts"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._names: dict[str, str] = {}
        self._first_at: float | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was found."""
        self._progress.stop()

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Show one step."""
        self._first_at = event.at if self._first_at is None else self._first_at
        self._advance(event)
        for command in commands:
            if isinstance(command, CutTask):
                self._names[command.task_id] = f"{command.task_id} {command.subscription_id}"
            line = _line(command)
            if line:
                self._say(event.at, line)

    def _advance(self, event: AnyEvent) -> None:
        match event:
            case TaskCut(task_id=task_id):
                name = self._names.pop(task_id, task_id)
                if len(self._bars) < BARS_MAX:
                    self._bars[task_id] = self._progress.add_task(name, total=len(event.parts))
                if event.fallback:
                    why = escape(event.fallback)
                    self._say(event.at, f"[yellow]{task_id} cut linearly:[/] {why}")
            case PartFinished(part_id=part_id):
                bar = self._bars.get(part_id.rpartition("/")[0])
                if bar is not None:
                    self._progress.advance(bar)
            case ProductDelivered(task_id=task_id) if task_id in self._bars:
                self._progress.remove_task(self._bars.pop(task_id))
            case NodeLost() | NodeRefused():
                what = "lost" if isinstance(event, NodeLost) else "refused"
                self._say(event.at, f"[red]{event.node_id} {what}:[/] {escape(event.reason)}")

    def _say(self, at: float, line: str) -> None:
        after = span(at - (self._first_at or at))
        self._console.print(f"{after:>8}  {line}", highlight=False, soft_wrap=True)


def _line(command: AnyCommand) -> str:
    match command:
        case ProvisionNode():
            return f"[cyan]+1 node[/] {command.node_id}: {escape(command.reason)}"
        case SetWorkers():
            return (
                f"[cyan]{command.node_id} to {command.workers} workers:[/] {escape(command.reason)}"
            )
        case DrainNode() | RemoveNode():
            verb = "drain" if isinstance(command, DrainNode) else "-1 node"
            return f"[magenta]{verb}[/] {command.node_id}: {escape(command.reason)}"
        case UndrainNode():
            return f"[cyan]keep[/] {command.node_id}: {escape(command.reason)}"
        case Notify():
            colour = _COLOURS[command.kind]
            kind = command.kind.value.replace("_", " ")
            left = "" if command.slack_s is None else f" ({command.slack_s:+.1f} s)"
            text = escape(command.text.replace("file://", ""))
            return f"[{colour}]{kind}[/] {command.subscription_id}{left}: {text}"
    return ""
