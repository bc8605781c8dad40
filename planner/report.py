"""What a load will take, told before it is run: each task, the fleet over time, and the bill.

Two courses of the same load are set side by side: the *median case*, in which everything takes as
long as predicted, and the *90 % case*, in which run times, boots and deliveries all are at their
90 % quantile. So the second is cautious: that all of them are slow at once is rarer than one in
ten.

The chance to be late is read off the log-normal distribution through the two finishes of a task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist

from planner.books import Books
from planner.course import Course, Step, TaskCourse
from planner.fleet import billed_for_s
from planner.forecast import LATE_S_MIN, Job, finish_times
from planner.importance import Claim, breadth, importance, time_range_s
from planner.model import NodeOffer
from planner.scaling.offers import cheapest_first
from planner.settings import PlannerSettings
from planner.spans import span
from planner.supply import Slot

MEDIAN, CAUTIOUS = 0.5, 0.9
"""Quantiles of the two cases."""

RISK_MAX = 0.1
"""A task that is more likely late than this is at risk: just then it is late in the 90 % case."""

MOMENTS_MAX = 240
"""Steps of the fleet over time in a report: as many as a drawing can show apart."""


class State(StrEnum):
    """How a task stands."""

    ON_TIME = "on time"
    AT_RISK = "at risk"
    LATE = "late"
    BEST_EFFORT = "best effort"
    NOTHING = "nothing new"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """One task, as it is predicted; spans [s] count from its arrival.

    Parameters
    ----------
    subscription_id, product_id : str
    importance : float
        Eq. 1 at its arrival.
    parts, files : int
    work_s, work_90_s : float
        Run time of all its parts, one after the other [reference s]: median and 90 %.
    longest_s : float
        Run time of its longest part, in the 90 % case [reference s].
    workers : int or None
        Fewest workers on which it, alone, is done in time in the 90 % case. None: no number is.
    deadline_s : float or None
    waits_s : float or None
        Until its first part runs, in the median case.
    finish_s, finish_90_s : float or None
        Until its product is delivered, in either case; None where it is not.
    slack_s, slack_90_s : float or None
        Deadline minus finish.
    late_chance : float or None
        Chance to be late; None without a deadline.
    state : State
    why : str
        The state in words.
    """

    subscription_id: str
    product_id: str
    importance: float
    parts: int
    files: int
    work_s: float
    work_90_s: float
    longest_s: float
    workers: int | None
    deadline_s: float | None
    waits_s: float | None
    finish_s: float | None
    finish_90_s: float | None
    slack_s: float | None
    slack_90_s: float | None
    late_chance: float | None
    state: State
    why: str

    @property
    def in_trouble(self) -> bool:
        """Whether its deadline is predicted to be missed, or may be."""
        return self.state in (State.LATE, State.AT_RISK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """From so long after the start on [s], this many workers are busy and stand at most."""

    at_s: float
    busy: int
    standing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one case takes.

    Parameters
    ----------
    span_s : float
        From the first event to the last product [s].
    worker_h, node_h : float
        Time that workers were busy, and that nodes were held [h].
    cost : float
        Of the nodes, in whole quanta [currency].
    energy_kwh : float
        Of the nodes, while they were held.
    nodes, workers : int
        Most nodes held, and most workers busy, at the same time.
    moments : tuple of Moment
    """

    span_s: float
    worker_h: float
    node_h: float
    cost: float
    energy_kwh: float
    nodes: int
    workers: int
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A plan: tasks in the order in which they rank, and both cases of the whole.

    Parameters
    ----------
    policy, order : str
    workers_max : int
        Most workers that may stand under the settings.
    tasks : tuple of TaskReport
    median, cautious : Usage
    notes : tuple of str
        What was simplified.
    """

    policy: str
    order: str
    workers_max: int
    tasks: tuple[TaskReport, ...]
    median: Usage
    cautious: Usage
    notes: tuple[str, ...] = ()

    def counted(self, state: State) -> int:
        """Return the number of tasks in a state."""
        return sum(task.state is state for task in self.tasks)

    @property
    def due(self) -> tuple[TaskReport, ...]:
        """The tasks that have a deadline and anything to deliver."""
        return tuple(task for task in self.tasks if task.late_chance is not None)

    @property
    def troubled(self) -> tuple[TaskReport, ...]:
        """The tasks whose deadline is predicted to be missed, or may be."""
        return tuple(task for task in self.tasks if task.in_trouble)


def report_of(
    median: Course,
    cautious: Course,
    *,
    believed: Books,
    power_w: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Return the report on a load from its two courses.

    Parameters
    ----------
    median, cautious : Course
        The same load, with everything at its median and at its 90 % quantile.
    believed : Books
        Settings, offers and models that the courses began with.
    power_w : mapping of str to float, optional
        Electrical power of a node by its type [W].
    notes : sequence of str
        What was simplified.
    """
    settings = believed.settings
    by_product = {task.product_id: task for task in cautious.tasks.values()}
    tasks = [
        _task_report(task, by_product[task.product_id], believed)
        for task in _ranked(median, settings)
    ]
    return Report(
        policy=settings.scaling.policy,
        order=settings.dispatch.order,
        workers_max=workers_allowed(settings, believed.offers),
        tasks=tuple(tasks),
        median=usage_of(median, power_w or {}),
        cautious=usage_of(cautious, power_w or {}),
        notes=tuple(notes),
    )


def late_chance(deadline_s: float, finish_s: float, finish_90_s: float) -> float:
    """Return the chance that something due in a time [s] is late.

    Parameters
    ----------
    deadline_s : float
    finish_s, finish_90_s : float
        Median and 90 % quantile of when it is finished [s].

    Notes
    -----
    That of the log-normal distribution with these two quantiles. A fleet that grows where all is
    slow may finish earlier then: the distribution is then a point.
    """
    if finish_90_s <= finish_s:
        return 1.0 if finish_s > deadline_s + LATE_S_MIN else 0.0
    sigma = math.log(finish_90_s / finish_s) / NormalDist().inv_cdf(CAUTIOUS)
    late_from_s = deadline_s + LATE_S_MIN
    return 1.0 - NormalDist().cdf(math.log(late_from_s / finish_s) / sigma)


def workers_allowed(settings: PlannerSettings, offers: Sequence[NodeOffer]) -> int:
    """Return the most workers that may stand under the settings."""
    grows = settings.scaling.policy not in ("prefix", "none")
    sizes = [
        offer.slots_max if grows else offer.slots
        for offer in offers
        for _ in range(min(offer.nodes_max, settings.scaling.nodes_max))
    ]
    nodes = max(1, settings.scaling.nodes_min) if settings.scaling.policy == "none" else None
    return sum(sorted(sizes, reverse=True)[: nodes or settings.scaling.nodes_max])


def workers_needed(
    lengths_s: Sequence[float], free_s: float, within_s: float, speed: float = 1.0
) -> int | None:
    """Return the fewest workers that are done with some parts in time; None where no number is.

    Parameters
    ----------
    lengths_s : sequence of float
        Run times of the parts [reference s].
    free_s : float
        When the workers stand [s from now].
    within_s : float
        When all must be done [s from now].
    speed : float
        Of the workers.
    """
    longest_first = sorted(lengths_s, reverse=True)
    jobs = [
        Job(task_id="", parts=1, work_s=length_s, longest_s=length_s, due_at=within_s)
        for length_s in longest_first
    ]

    def suffice(workers: int) -> bool:
        ends = finish_times(jobs, [Slot(free_s, speed)] * workers)
        return max(ends, default=free_s) <= within_s + LATE_S_MIN

    few, many = 0, max(1, len(jobs))
    if not suffice(many):
        return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if suffice(middle) else (middle, many)
    return many


def usage_of(course: Course, power_w: Mapping[str, float]) -> Usage:
    """Return what a course took, at the prices of its offers and these powers [W a node]."""
    fleet, cost, energy_kwh = course.fleet, 0.0, 0.0
    for node_id, launched_at in fleet.launched_at.items():
        held_s = fleet.gone_at.get(node_id, course.ended_at) - launched_at
        node_type = fleet.node_types[node_id]
        offer = course.offers[node_type]
        cost += billed_for_s(held_s, offer.quantum_s) / 3600.0 * offer.price_per_h
        energy_kwh += held_s / 3600.0 * power_w.get(node_type, 0.0) / 1000.0
    steps = course.steps()
    return Usage(
        span_s=course.ended_at - course.began_at,
        worker_h=course.worker_s / 3600.0,
        node_h=fleet.node_seconds(course.ended_at) / 3600.0,
        cost=cost,
        energy_kwh=energy_kwh,
        nodes=fleet.peak(),
        workers=max((step.busy for step in steps), default=0),
        moments=moments_of(steps, course.began_at, course.ended_at),
    )


def moments_of(
    steps: Sequence[Step], began_at: float, ended_at: float, most: int = MOMENTS_MAX
) -> tuple[Moment, ...]:
    """Return steps relative to the start; where they are too many, the most of each interval."""
    if len(steps) <= most:
        return tuple(
            Moment(at_s=max(0.0, step.at - began_at), busy=step.busy, standing=step.standing)
            for step in steps
        )
    width_s = (ended_at - began_at) / most
    moments: list[Moment] = []
    at, last = 0, Step(began_at, 0, 0)
    for number in range(most):
        end_at = began_at + (number + 1) * width_s
        inside = [last]
        while at < len(steps) and (steps[at].at < end_at or number == most - 1):
            inside.append(steps[at])
            at += 1
        last = inside[-1]
        busy, standing = max(s.busy for s in inside), max(s.standing for s in inside)
        moments.append(Moment(at_s=number * width_s, busy=busy, standing=standing))
    return tuple(moments)


def _ranked(course: Course, settings: PlannerSettings) -> list[TaskCourse]:
    """Return the tasks in the order in which their first parts ran: the planner ranked them."""

    def place(task: TaskCourse) -> tuple[float, float, str]:
        started_at = math.inf if task.started_at is None else task.started_at
        due_at = math.inf if task.deadline_at is None else task.deadline_at
        return started_at, due_at, task.product_id

    return sorted(course.tasks.values(), key=place)


def _task_report(task: TaskCourse, slow: TaskCourse, believed: Books) -> TaskReport:
    work_s, work_90_s = (_work_s(task, believed, q) for q in (MEDIAN, CAUTIOUS))
    times = [believed.times(selection.view.dataset) for selection in task.selections]
    lengths_s = [
        times[part.selection].mean_s(part.features) * work_90_s / work_s for part in task.parts
    ]
    deadline_s = _after(task, task.deadline_at)
    finish_s, finish_90_s = _after(task, task.delivered_at), _after(slow, slow.delivered_at)
    chance = None
    if deadline_s is not None and not task.is_empty:
        # What expires in the 90 % case is late there, by as much as its work is longer.
        late_s = max(deadline_s + 1.0, (finish_s or 0.0) * work_90_s / work_s)
        slow_s = late_s if finish_90_s is None else finish_90_s
        chance = 1.0 if finish_s is None else late_chance(deadline_s, finish_s, slow_s)
    drafted = TaskReport(
        subscription_id=task.subscription_id,
        product_id=task.product_id,
        importance=importance(_claim(task, work_s), believed.settings.weights, task.arrived_at),
        parts=len(task.parts),
        files=sum(features.files for features in task.features),
        work_s=work_s,
        work_90_s=work_90_s,
        longest_s=max(lengths_s, default=0.0),
        workers=_workers(lengths_s, deadline_s, believed),
        deadline_s=deadline_s,
        waits_s=_after(task, task.started_at),
        finish_s=finish_s,
        finish_90_s=finish_90_s,
        slack_s=_minus(deadline_s, finish_s),
        slack_90_s=_minus(deadline_s, finish_90_s),
        late_chance=chance,
        state=_state(task, deadline_s, finish_s, chance),
        why="",
    )
    return replace(drafted, why=_why(drafted, believed))


def _work_s(task: TaskCourse, believed: Books, quantile: float) -> float:
    """Return what all parts of a task take one worker, at a quantile [reference s]."""
    return math.fsum(
        believed.times(selection.view.dataset).total_quantile_s(
            [part.features for part in task.parts if part.selection == place], quantile
        )
        for place, selection in enumerate(task.selections)
    )


def _after(task: TaskCourse, instant: float | None) -> float | None:
    return None if instant is None else instant - task.arrived_at


def _minus(deadline_s: float | None, finish_s: float | None) -> float | None:
    return None if deadline_s is None or finish_s is None else deadline_s - finish_s


def _claim(task: TaskCourse, work_s: float) -> Claim:
    parameters, area_km2 = breadth(selection.view.extent for selection in task.selections)
    return Claim(
        parameters=parameters,
        time_range_s=time_range_s(part.extent.period for part in task.parts),
        area_km2=area_km2,
        deadline_at=task.deadline_at,
        due_at=math.inf if task.deadline_at is None else task.deadline_at,
        work_s=work_s,
        ordinal=0,
    )


def _state(
    task: TaskCourse, deadline_s: float | None, finish_s: float | None, chance: float | None
) -> State:
    if task.is_empty:
        return State.NOTHING
    if deadline_s is None or chance is None:
        return State.BEST_EFFORT
    if finish_s is None or finish_s > deadline_s + LATE_S_MIN:
        return State.LATE
    return State.AT_RISK if chance > RISK_MAX else State.ON_TIME


def overheads_s(believed: Books, work_s: float, within_s: float) -> tuple[float, float, float]:
    """Return what time a task takes beside its parts: boot and settling [s], and a slot's speed.

    Of the node type that the planner would take first for some work [reference s] in a time [s],
    both at their 90 % quantile.
    """
    offers = cheapest_first(believed.offers, believed.boots, work_s, within_s)
    settle_s = believed.settle.quantile(CAUTIOUS)
    if not offers:
        return 0.0, settle_s, 1.0
    return believed.boots.quantile(offers[0].node_type, CAUTIOUS), settle_s, offers[0].speed


def _workers(lengths_s: Sequence[float], deadline_s: float | None, believed: Books) -> int | None:
    if deadline_s is None or not lengths_s:
        return min(1, len(lengths_s))
    boot_s, settle_s, speed = overheads_s(believed, math.fsum(lengths_s), deadline_s)
    return workers_needed(lengths_s, boot_s, deadline_s - settle_s, speed)


def _why(task: TaskReport, believed: Books) -> str:
    match task.state:
        case State.NOTHING:
            return "the update holds nothing for it"
        case State.BEST_EFFORT:
            return "no deadline: runs after all that have one"
        case State.ON_TIME:
            return f"{span(_worst(task))} to spare in the 90 % case"
        case State.AT_RISK:
            late = "it expires" if task.slack_90_s is None else f"{span(-task.slack_90_s)} late"
            return f"P(late) {task.late_chance:.2f}: {late} in the 90 % case"
    return _why_late(task, believed)


def _worst(task: TaskReport) -> float:
    assert task.slack_s is not None
    return task.slack_s if task.slack_90_s is None else min(task.slack_s, task.slack_90_s)


def _why_late(task: TaskReport, believed: Books) -> str:
    ends = "expires: " if task.finish_s is None else ""
    allowed = workers_allowed(believed.settings, believed.offers)
    assert task.deadline_s is not None
    if task.workers is None:
        boot_s, settle_s, speed = overheads_s(believed, task.work_90_s, task.deadline_s)
        longest_s = task.longest_s / speed
        return (
            f"{ends}no number of workers is enough: {span(boot_s)} to boot, {span(longest_s)} for"
            f" its longest part and {span(settle_s)} to combine and deliver"
        )
    if task.workers > allowed:
        return f"{ends}needs {task.workers} workers, at most {allowed} may stand"
    if task.waits_s is None:
        return f"{ends}others go first, and no worker is left for it"
    return f"{ends}waits {span(task.waits_s)} for a worker: others go first, or nodes boot"
