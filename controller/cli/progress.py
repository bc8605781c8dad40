"""The live view of a run: a bar for each task, and the story line by line."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from controller.cli.story import Story
from planner.commands import AnyCommand
from planner.events import AnyEvent, PartFinished, ProductDelivered, TaskCut

BARS_MAX = 12
"""Tasks shown with a bar at the same time: more would not fit a terminal."""


class LiveView:
    """Shows steps as they happen, on stderr; bars only where a person watches a terminal.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._story = Story()
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

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Show one step."""
        for line in self._story.tell(event, commands):
            self._console.print(line, highlight=False, soft_wrap=True)
        self._advance(event)

    def _advance(self, event: AnyEvent) -> None:
        match event:
            case TaskCut(task_id=task_id) if len(self._bars) < BARS_MAX:
                name = self._story.name_of(task_id)
                self._bars[task_id] = self._progress.add_task(name, total=len(event.parts))
            case PartFinished(part_id=part_id):
                bar = self._bars.get(part_id.rpartition("/")[0])
                if bar is not None:
                    self._progress.advance(bar)
            case ProductDelivered(task_id=task_id) if task_id in self._bars:
                self._progress.remove_task(self._bars.pop(task_id))
