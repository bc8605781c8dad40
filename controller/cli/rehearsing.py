"""A job's load on the stage: cut by the real cutter from the real index, and run by nobody.

A load of many thousand tasks is coarsened so that it can be rehearsed within seconds. Each
simplification has a named limit and is told in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.load_map import MASSES_MAX
from controller.history import Histories
from controller.ports import Application
from partitioners.catalogue import BUILT_IN
from partitioners.cutter import Cut, KnownLoad, count_all_parts, cut_task
from partitioners.history import MASSES
from partitioners.protocol import Partitioner, Run, in_place
from planner.commands import CutTask
from planner.density import Density
from planner.events import AnyEvent, TaskCut
from planner.model import Selection
from planner.report import workers_allowed
from planner.scaling.catalogue import Policies
from planner.settings import PlannerSettings
from planner.spans import span
from sim.stage import Stage

MASSES_PLANNED_MAX = 2_500_000
"""Masses of all load maps of a plan together: 100 MB."""

MASSES_PLANNED_MIN = 250
"""Masses of one task at least: enough to cut it into a few even parts."""

PARTS_PLANNED_MAX = 10_000
"""Parts of a plan, beside one a task: a rehearsal takes about a tenth of a millisecond for each."""

TASKS_JUDGED_MAX = 500
"""Beyond so many tasks, risk and fleet are not judged at every event, which takes milliseconds."""

JUDGEMENTS_MAX = 50
"""How often they are judged then, over the time that the load takes all workers at least."""


@dataclass(slots=True)
class Cutter:
    """Answers `CutTask` as the service does, and remembers load maps and cuts.

    Parameters
    ----------
    applications : mapping of str to Application
        By the dataset that each serves.
    partitioners : mapping of str to Partitioner
    run : callable
        Asks a partitioner (see `partitioners.cutter.cut_task`).
    masses_max : int
        Of one load map.
    histories : Histories or None
        What parts of datasets without an index cost by place and time.
    """

    applications: Mapping[str, Application]
    partitioners: Mapping[str, Partitioner] = field(default_factory=lambda: BUILT_IN)
    run: Run = in_place
    masses_max: int = MASSES_MAX
    histories: Histories | None = None
    _cuts: dict[CutTask, Cut] = field(default_factory=dict)
    _maps: dict[object, Density | None] = field(default_factory=dict)
    _masses: int = 0

    def __call__(self, command: CutTask, at: float) -> TaskCut:
        """Cut a task; the same question gets the remembered answer."""
        question = replace(command, task_id="")
        if question not in self._cuts:
            self._cuts[question] = cut_task(
                command, self.loads(command), self.partitioners, self.run
            )
        return replace(self._cuts[question], task_id=command.task_id).event(at)

    def loads(self, command: CutTask) -> list[KnownLoad]:
        """Return what is known of the load of each selection of a task."""
        return [
            KnownLoad(
                density=self._density(selection),
                period=self.applications[selection.view.dataset].period(),
            )
            for selection in command.selections
        ]

    def _density(self, selection: Selection) -> Density | None:
        asked = selection.view, selection.updates
        if asked in self._maps:
            return self._maps[asked]
        found = self._measured(selection)
        masses = 0 if found is None else len(found)
        if self._masses + masses <= MASSES_PLANNED_MAX:
            self._maps[asked] = found
            self._masses += masses
        return found

    def _measured(self, selection: Selection) -> Density | None:
        application = self.applications[selection.view.dataset]
        if isinstance(application, ArgoApplication):
            return application.sample(selection.view, selection.updates, self.masses_max)
        found = application.density(selection.view, selection.updates)
        if found is None and self.histories is not None:
            masses = min(MASSES, self.masses_max)
            return self.histories.density(selection.view, selection.updates, masses)
        return found


def staged(
    settings: PlannerSettings,
    applications: Mapping[str, Application],
    events: Sequence[AnyEvent],
    *,
    partitioners: Mapping[str, Partitioner] = BUILT_IN,
    run: Run = in_place,
    histories: Histories | None = None,
) -> tuple[Stage, tuple[str, ...]]:
    """Return a load on the stage, and in words what was simplified about it.

    Parameters
    ----------
    settings : PlannerSettings
    applications : mapping of str to Application
        By the dataset that each serves.
    events : sequence of AnyEvent
        What comes from outside, with the offers of nodes.
    partitioners : mapping of str to Partitioner
    run : callable
    histories : Histories or None
        As of `Cutter`.
    """
    cutter = Cutter(applications, partitioners, run, histories=histories)
    stage = Stage(settings, Policies(), events, cutter)
    tasks = stage.tasks()
    notes: list[str] = []
    share = max(MASSES_PLANNED_MIN, MASSES_PLANNED_MAX // max(1, len(tasks)))
    cutter.masses_max = min(cutter.masses_max, share)
    coarse, parts = _coarsened(settings, tasks, cutter, stage)
    if cutter.masses_max == share and any(_is_sampled(cutter, task) for task in tasks):
        notes.append(
            f"{len(tasks):,} tasks: where a request matches more than {share:,} files, it is cut by"
            f" a sample of {share:,}; how many they are is exact"
        )
    if coarse.cutting != settings.cutting:
        long, short = span(coarse.cutting.part_s_min), span(settings.cutting.part_s_min)
        notes.append(
            f"{parts:,} parts are too many to rehearse: they are cut at least {long} long instead"
            f" of {short}"
        )
    if coarse.scaling != settings.scaling:
        interval = span(coarse.scaling.judge_interval_s)
        notes.append(f"{len(tasks):,} tasks: risk and fleet are judged every {interval} only")
    return Stage(coarse, Policies(), events, cutter), tuple(notes)


def _is_sampled(cutter: Cutter, task: CutTask) -> bool:
    return any(
        load.density is not None
        and len(load.density) == cutter.masses_max
        and not (load.density.is_exact or load.density.is_guess)
        for load in cutter.loads(task)
    )


def _coarsened(
    settings: PlannerSettings, tasks: Sequence[CutTask], cutter: Cutter, stage: Stage
) -> tuple[PlannerSettings, int]:
    """Return settings under which a load can be rehearsed soon, and its parts without them."""
    parts, work_s = 0, 0.0
    for task in tasks:
        loads = cutter.loads(task)
        parts += count_all_parts(task, loads)
        for selection, costs, load in zip(task.selections, task.costs, loads, strict=True):
            if load.density is not None:
                work_s += float(load.density.cost_s(costs, selection.view.extent).sum())
    cutting, scaling = settings.cutting, settings.scaling
    if parts > PARTS_PLANNED_MAX + len(tasks):
        grain_s = work_s / PARTS_PLANNED_MAX
        cutting = replace(
            cutting,
            part_s_min=max(cutting.part_s_min, grain_s),
            part_s_max=max(cutting.part_s_max, 2.0 * grain_s),
        )
    if len(tasks) > TASKS_JUDGED_MAX:
        workers = max(1, workers_allowed(settings, stage.believed.offers))
        interval_s = max(scaling.judge_interval_s, work_s / workers / JUDGEMENTS_MAX)
        scaling = replace(scaling, judge_interval_s=interval_s)
    return replace(settings, cutting=cutting, scaling=scaling), parts
