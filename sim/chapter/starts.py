"""What figures 7 to 9 show of a run: what each task had left at its start, and what stood then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.commands import AnyCommand, CutTask, Notify, RunPart
from planner.events import AnyEvent, NodeLost, NodeReady, NodeRemoved
from planner.results import ENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A task starts.

    Parameters
    ----------
    task_id : str
    after_s : float
        Since the first task arrived [s].
    ttd_s : float or None
        Left to its deadline [s]; None where it has none.
    vms, workers : int
        That stand then.
    threshold_s : float or None
        In force then [s].
    """

    task_id: str
    after_s: float
    ttd_s: float | None
    vms: int
    workers: int
    threshold_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """The starts of a run's tasks.

    Parameters
    ----------
    starts : tuple of Start
        In the order in which tasks started.
    slacks_s : dict of str to float
        What each task had left when it was delivered [s], negative when late.
    """

    starts: tuple[Start, ...]
    slacks_s: dict[str, float]

    @property
    def late_starts(self) -> list[int]:
        """Numbers of the tasks that were late, from 1, in the order in which they started."""
        return [
            number
            for number, start in enumerate(self.starts, 1)
            if self.slacks_s.get(start.task_id, 0.0) < 0.0
        ]

    def reached(self, workers: int) -> int | None:
        """Return at the start of which task, from 1, so many workers stood first."""
        found = (n for n, start in enumerate(self.starts, 1) if start.workers >= workers)
        return next(found, None)


class StartsWatch:
    """Notes what stands whenever a task starts, and how each task ends.

    Parameters
    ----------
    due_at : callable
        Returns a task's deadline [POSIX s], None where it has none.
    """

    def __init__(self, due_at: Callable[[str], float | None]) -> None:
        self.starts: list[Start] = []
        self.slacks_s: dict[str, float] = {}
        self._due_at = due_at
        self._began_at: float | None = None
        self._workers: dict[str, int] = {}
        self._started: set[str] = set()

    def see(
        self, event: AnyEvent, commands: Sequence[AnyCommand], threshold_s: float | None
    ) -> None:
        """Take one step in.

        Parameters
        ----------
        event : AnyEvent
        commands : sequence of AnyCommand
        threshold_s : float or None
            In force after it [s].
        """
        match event:
            case NodeReady(node_id=node_id, workers=workers):
                self._workers[node_id] = workers
            case NodeRemoved(node_id=node_id) | NodeLost(node_id=node_id):
                self._workers.pop(node_id, None)
        for command in commands:
            match command:
                case CutTask() if self._began_at is None:
                    self._began_at = event.at
                case RunPart(task_id=task_id) if task_id not in self._started:
                    self._started.add(task_id)
                    self.starts.append(self._start(task_id, event.at, threshold_s))
                case Notify() if command.kind in ENDS and command.slack_s is not None:
                    self.slacks_s[command.task_id] = command.slack_s

    def _start(self, task_id: str, at: float, threshold_s: float | None) -> Start:
        due_at = self._due_at(task_id)
        return Start(
            task_id=task_id,
            after_s=at - (at if self._began_at is None else self._began_at),
            ttd_s=None if due_at is None else due_at - at,
            vms=len(self._workers),
            workers=sum(self._workers.values()),
            threshold_s=threshold_s,
        )
