"""What figures 7 to 9 show of a journal, whether a service wrote it or a simulation."""

from __future__ import annotations

from planner.commands import CutTask
from planner.core import Planner
from planner.journal import Step
from planner.scaling.thresholds import threshold_of
from planner.settings import PlannerSettings
from sim.chapter.starts import Starts, StartsWatch
from sim.metrics import Outcome, Tally


class Replayed:
    """Looks on while a journal is replayed (`planner.journal.replay`).

    Parameters
    ----------
    settings : PlannerSettings
        Those that the journal begins with.
    """

    def __init__(self, settings: PlannerSettings) -> None:
        self.policy = settings.scaling.policy
        self.nodes_max = settings.scaling.nodes_max
        self._tally = Tally()
        self._due_at: dict[str, float | None] = {}
        self._watch = StartsWatch(self._due_at.get)
        self._ended_at = 0.0

    def see(self, step: Step, planner: Planner) -> None:
        """Take a step in, and the planner as it is after it."""
        books, event = planner.books, step.event
        for command in step.commands:
            if isinstance(command, CutTask) and command.task_id in books.backlog.tasks:
                self._due_at[command.task_id] = books.backlog.tasks[command.task_id].deadline_at
        threshold_s = threshold_of(books.memory, books.settings.scaling)
        self._tally.see(event, step.commands)
        self._watch.see(event, step.commands, threshold_s)
        self._ended_at = event.at

    @property
    def starts(self) -> Starts:
        """Return what each task had left at its start, and what stood then."""
        return Starts(starts=tuple(self._watch.starts), slacks_s=self._watch.slacks_s)

    @property
    def outcome(self) -> Outcome:
        """Return what the run came to."""
        return self._tally.outcome(self._ended_at)
