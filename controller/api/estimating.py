"""What a subscription is predicted to take, and whether its deadline can be met: before it is made.

The live planner rehearses the subscription's own delivery, alone, in the median and in the 90 %
case, with the costs that the service has learned. So what it says is what `slackwater plan` says of
a file with this one subscription. What waits already is told beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from controller.apps.argo.application import ArgoApplication
from controller.errors import Overloaded
from controller.ports import Application
from controller.telling import State as Standing
from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from planner.commands import CutTask
from planner.density import Density
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    OffersChanged,
    SubscriptionAdded,
    TaskCut,
    UpdateArrived,
)
from planner.forecast import LATE_S_MIN
from planner.model import Observations, Selection, Subscription, UpdateSpan
from planner.report import CAUTIOUS, MEDIAN, Report, State, TaskReport, report_of
from planner.savings import DEADLINE_MARGIN, Variant
from planner.scaling.catalogue import Policies
from planner.settings import PlannerSettings
from planner.spans import rounded_up, span
from sim.stage import Stage

MASSES_MAX = 20_000
"""Masses of a load map: enough for even parts, and read in some ten milliseconds."""

PARTS_MAX = 512
"""Parts of a rehearsal: so many take below a tenth of a second."""

WAITING_MAX = 4
"""Estimates that may wait for the one that is being made: each takes the loop's interpreter."""

LONGER_DEADLINES_MAX = 3
"""Deadlines that are tried before one is suggested."""

NOTHING = Observations(time_s=(), longitude=(), latitude=(), parameter_set=(), parameter_sets=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the next delivery of a subscription would take, run alone.

    Parameters
    ----------
    of : str
        "first delivery", of all that the archive holds; or "update", of one like the last.
    files : int
        Matched by that delivery.
    archive_files : int
        Matched by the view in all that the archive holds.
    parts : int
    work_s, work_90_s : float
        Run time of all parts, one after the other [reference s]: median and 90 %.
    finish_s, finish_90_s : float or None
        From arrival to delivery [s]; None is never.
    workers, workers_max : int or None, int
        Fewest that do it in time in the 90 % case; most that there may be.
    deadline_s, slack_s, slack_90_s, late_chance : float or None
        None without a deadline.
    allow_s : float or None
        The least deadline that was found to be met, where the one asked for is not [s].
    state : str
        As of a plan: "on time", "at risk", "late", "best effort", "nothing to deliver".
    verdict : str
        In words.
    notes : tuple of str
        What was left out of account.
    """

    of: str
    files: int = 0
    archive_files: int = 0
    parts: int = 0
    work_s: float = 0.0
    work_90_s: float = 0.0
    finish_s: float | None = None
    finish_90_s: float | None = None
    workers: int | None = None
    workers_max: int = 0
    deadline_s: float | None = None
    slack_s: float | None = None
    slack_90_s: float | None = None
    late_chance: float | None = None
    allow_s: float | None = None
    state: str = State.NOTHING.value
    verdict: str
    notes: tuple[str, ...] = ()

    @property
    def in_trouble(self) -> bool:
        """Whether the deadline is at risk, or cannot be met."""
        return self.state in (State.AT_RISK, State.LATE)


class Estimator:
    """Foresees what subscriptions take, one at a time.

    Parameters
    ----------
    application : callable
        Returns who serves a dataset.
    """

    def __init__(self, application: Callable[[str], Application]) -> None:
        self._application = application
        self._turn = threading.Lock()
        self._room = threading.BoundedSemaphore(1 + WAITING_MAX)

    def estimate(self, wish: Subscription, standing: Standing, now: float) -> Estimate:
        """Return what a subscription would take as things stand, at an instant [POSIX s].

        Raises
        ------
        Overloaded
            Others wait for theirs already.
        SlackwaterError
            The dataset cannot be read.
        """
        if not self._room.acquire(blocking=False):
            raise Overloaded("many estimates are being made", fix="Ask again in some seconds")
        try:
            with self._turn:
                return _Foresight(self._application, wish, standing, now).estimate()
        finally:
            self._room.release()


class _Foresight:
    """One subscription, foreseen."""

    def __init__(
        self,
        application: Callable[[str], Application],
        wish: Subscription,
        standing: Standing,
        now: float,
    ) -> None:
        self.application = application
        self.wish = replace(wish, version=1)
        self.standing = standing
        self.now = now
        self.newest = {view.dataset: standing.newest.get(view.dataset, 0) for view in wish.views}

    def estimate(self) -> Estimate:
        if not self.wish.backfill and not any(self.newest.values()):
            verdict = "no update has come yet, so nothing is known of how large they will be"
            return Estimate(of="update", archive_files=self._archive_files(), verdict=verdict)
        stage = Stage(_lightened(self.standing.settings), Policies(), self._events(), self._cut)
        report = report_of(
            stage.course(quantile=MEDIAN),
            stage.course(quantile=CAUTIOUS),
            believed=stage.believed,
        )
        return self._told(report, stage)

    def _told(self, report: Report, stage: Stage) -> Estimate:
        of = "first delivery" if self.wish.backfill else "update"
        task = next(iter(report.tasks), None)
        if task is None or task.state is State.NOTHING:
            verdict = "the archive holds nothing of it yet"
            if not self.wish.backfill:
                verdict = "the last update held nothing of it"
            return Estimate(of=of, archive_files=self._archive_files(), verdict=verdict)
        allow_s = self._allow_s(task, stage) if task.in_trouble else None
        return Estimate(
            of=of,
            files=task.files,
            archive_files=self._archive_files(),
            parts=task.parts,
            work_s=task.work_s,
            work_90_s=task.work_90_s,
            finish_s=task.finish_s,
            finish_90_s=task.finish_90_s,
            workers=task.workers,
            workers_max=report.workers_max,
            deadline_s=task.deadline_s,
            slack_s=task.slack_s,
            slack_90_s=task.slack_90_s,
            late_chance=task.late_chance,
            allow_s=allow_s,
            state=task.state.value,
            verdict=_verdict(task, report.workers_max, allow_s),
            notes=tuple(self._notes(task)),
        )

    def _events(self) -> list[AnyEvent]:
        now, standing = self.now, self.standing
        events: list[AnyEvent] = [OffersChanged(at=now, offers=standing.offers)]
        events += self._learned()
        events += [self._stands(dataset, number) for dataset, number in self._before()]
        events.append(SubscriptionAdded(at=now, subscription=self.wish))
        if not self.wish.backfill:
            events += [
                UpdateArrived(at=now, dataset=dataset, number=number, observations=None)
                for dataset, number in self.newest.items()
                if number > 0
            ]
        return events

    def _learned(self) -> Iterator[ApplicationCalibrated]:
        """Yield what the service has learned of the datasets' costs."""
        for view in self.wish.views:
            known = self.standing.costs.get(view.dataset)
            if known is not None:
                yield ApplicationCalibrated(
                    at=self.now,
                    dataset=view.dataset,
                    application=view.application,
                    costs=known.costs,
                    scatter=known.scatter,
                    common_error=known.common_error,
                )

    def _before(self) -> Iterator[tuple[str, int]]:
        """Yield how far each dataset had come before the delivery that is foreseen."""
        for dataset, number in self.newest.items():
            yield dataset, number if self.wish.backfill else max(0, number - 1)

    def _stands(self, dataset: str, number: int) -> UpdateArrived:
        return UpdateArrived(at=self.now, dataset=dataset, number=number, observations=NOTHING)

    def _cut(self, command: CutTask, at: float) -> TaskCut:
        loads = [self._load(selection) for selection in command.selections]
        # A plug-in is not trusted to run here; where one is wanted, linear stands for it.
        return cut_task(command, loads, BUILT_IN).event(at)

    def _load(self, selection: Selection) -> KnownLoad:
        application = self.application(selection.view.dataset)
        density = _density(application, selection)
        return KnownLoad(density=density, period=application.period())

    def _archive_files(self) -> int:
        """Return how many files the views match in all that the archives hold."""
        found = 0
        for view in self.wish.views:
            every = UpdateSpan(after=None, upto=self.newest[view.dataset])
            density = _density(self.application(view.dataset), Selection(view=view, updates=every))
            if density is not None and not density.is_guess:
                found += density.features(view.extent).files
        return found

    def _allow_s(self, task: TaskReport, stage: Stage) -> float | None:
        """Return a deadline that a rehearsal shows to be met [s], None where none was found."""
        if task.finish_90_s is None:
            return None
        asked_s = rounded_up(task.finish_90_s * (1.0 + DEADLINE_MARGIN))
        for _ in range(LONGER_DEADLINES_MAX):
            course = stage.course(Variant(deadlines_s={self.wish.id: asked_s}), CAUTIOUS)
            (found,) = course.tasks.values()
            if found.delivered_at is None:
                return None
            took_s = found.delivered_at - found.arrived_at
            if took_s <= asked_s + LATE_S_MIN:
                return asked_s
            asked_s = rounded_up(took_s * (1.0 + DEADLINE_MARGIN))
        return None

    def _notes(self, task: TaskReport) -> Iterator[str]:
        if not task.files:
            yield "the archive holds nothing of it yet: the first product is empty"
        waiting = self.standing.tasks
        if waiting:
            tasks = "1 open task" if waiting == 1 else f"{waiting:,} open tasks"
            yield f"{tasks} of the service may hold it up, and are left out of account"
        if not self.wish.backfill:
            yield "an update is taken to be as large as the last one"


def _lightened(settings: PlannerSettings) -> PlannerSettings:
    """Return settings under which a rehearsal is quick."""
    cutting = settings.cutting
    return replace(settings, cutting=replace(cutting, parts_max=min(PARTS_MAX, cutting.parts_max)))


def _density(application: Application, selection: Selection) -> Density | None:
    if isinstance(application, ArgoApplication):
        return application.sample(selection.view, selection.updates, MASSES_MAX)
    return application.density(selection.view, selection.updates)


def _verdict(task: TaskReport, workers_max: int, allow_s: float | None) -> str:
    allow = "" if allow_s is None else f": allow at least {span(allow_s)}"
    workers = "1 worker" if workers_max == 1 else f"{workers_max:,} workers"
    match task.state:
        case State.LATE if not workers_max:
            return "the deadline cannot be met: there is no worker, and none can be had"
        case State.LATE:
            return f"the deadline cannot be met even with {workers}{allow}"
        case State.AT_RISK:
            chance = f"{100 * (task.late_chance or 0.0):.0f} %"
            return f"the deadline is at risk, missed with a chance of {chance}{allow}"
        case State.ON_TIME:
            return f"the deadline is met, with {span(task.slack_90_s or 0.0)} to spare at 90 %"
    if task.finish_s is None:
        return "it has no deadline, and there is no worker to do it"
    return f"it has no deadline, and takes about {span(task.finish_s)}"
