"""The live view of a run: a bar for each task, and a line for each decision with its reason."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from controller.cli.display import span
from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.core import Planner
from planner.events import AnyEvent, NodeLost, NodeRefused, PartFinished, TaskCut
from planner.model import NoticeKind

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
        self._first_at: float | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was found."""
        self._progress.stop()

    def see(self, planner: Planner, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Show one step."""
        self._first_at = event.at if self._first_at is None else self._first_at
        self._advance(planner, event)
        for command in commands:
            line = _line(command)
            if line:
                self._say(event.at, line)

    def _advance(self, planner: Planner, event: AnyEvent) -> None:
        match event:
            case TaskCut(task_id=task_id):
                task = planner.books.backlog.tasks.get(task_id)
                name = f"{task_id} {task.subscription.id if task else ''}"
                self._bars[task_id] = self._progress.add_task(name, total=len(event.parts))
                if event.fallback:
                    self._say(event.at, f"[yellow]{task_id} cut linearly:[/] {event.fallback}")
            case PartFinished(part_id=part_id):
                bar = self._bars.get(part_id.rpartition("/")[0])
                if bar is not None:
                    self._progress.advance(bar)
            case NodeLost() | NodeRefused():
                self._say(
                    event.at, f"[red]{event.node_id} {type(event).__name__}:[/] {event.reason}"
                )

    def _say(self, at: float, line: str) -> None:
        after = span(at - (self._first_at or at))
        self._console.print(f"{after:>8}  {line}", highlight=False, soft_wrap=True)


def _line(command: AnyCommand) -> str:
    match command:
        case ProvisionNode():
            return f"[cyan]+1 node[/] {command.node_id}: {command.reason}"
        case SetWorkers():
            return f"[cyan]{command.node_id} to {command.workers} workers:[/] {command.reason}"
        case DrainNode() | RemoveNode():
            verb = "drain" if isinstance(command, DrainNode) else "-1 node"
            return f"[magenta]{verb}[/] {command.node_id}: {command.reason}"
        case UndrainNode():
            return f"[cyan]keep[/] {command.node_id}: {command.reason}"
        case Notify():
            colour = _COLOURS[command.kind]
            kind = command.kind.value.replace("_", " ")
            left = "" if command.slack_s is None else f" ({command.slack_s:+.1f} s)"
            return f"[{colour}]{kind}[/] {command.subscription_id}{left}: {command.text}"
    return ""
