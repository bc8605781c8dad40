"""What would save the tasks of a plan that are late or at risk, tried before it is said.

Nothing is suggested that was not rehearsed: more nodes, later deadlines, another cut are each tried
with the planner itself, in the 90 % case. The search is bounded; where it was cut short it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from planner.books import Books
from planner.course import Course, TaskCourse
from planner.forecast import LATE_S_MIN, Job, finish_times
from planner.report import CAUTIOUS, Report, TaskReport, overheads_s
from planner.spans import rounded_up, span
from planner.supply import Slot

NODES_SOUGHT_MAX = 128
"""Fleets are tried up to this many nodes: beyond, one more hardly shortens anything."""

PARTS_PER_WORKER_TRIED = (1, 2, 4, 8, 16)
"""The chapter's 1 and 4, and what lies around them."""

DEADLINE_MARGIN = 0.1
"""A deadline that is suggested leaves so much of the time needed in the 90 % case to spare."""

DEADLINE_ROUNDS_MAX = 4
"""Deadlines change the order: they are tried together, and made longer again so often."""

REHEARSALS_MAX = 40
"""A search rehearses no more often than this."""

PARTS_REHEARSED_MAX = 60_000
"""Nor more parts than this, all rehearsals together: some ten seconds."""

REHEARSALS_MIN = 8
"""With fewer rehearsals than this nothing is sought: a search would end before it found much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is otherwise than planned; None and empty is as planned.

    Parameters
    ----------
    nodes_max : int or None
        Of the fleet and of every node type; a policy that never adds nodes gives way to `prefix`.
    partitioner : str or None
    parts_per_worker : int or None
    deadlines_s : mapping of str to float
        From arrival, by subscription [s].
    one_worker : bool
        One node with one worker, and never more.
    """

    nodes_max: int | None = None
    partitioner: str | None = None
    parts_per_worker: int | None = None
    deadlines_s: Mapping[str, float] = field(default_factory=dict)
    one_worker: bool = False


AS_PLANNED = Variant()

Rehearse = Callable[[Variant, float], Course]
"""Plays a load in a variant, with everything at a quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What would save one task, each on its own; rehearsed in the 90 % case.

    Parameters
    ----------
    subscription_id, product_id : str
    nodes : int or None
        Smallest fleet that was found under which it is met [nodes].
    workers : int or None
        Most workers that stood in it.
    deadline_s : float or None
        A deadline that is met [s], if all tasks of this list get theirs.
    cuts : tuple of str
        Other cuts under which it is met, in words.
    hopeless : str
        Why neither nodes nor cuts help, in words; empty where one does.
    """

    subscription_id: str
    product_id: str
    nodes: int | None
    workers: int | None
    deadline_s: float | None
    cuts: tuple[str, ...]
    hopeless: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What would save the tasks that are late or at risk, in their order.

    Parameters
    ----------
    tasks : tuple of Saving
    nodes_sought_max : int
        Largest fleet that was tried.
    note : str
        What was not tried, and why; empty where all was.
    """

    tasks: tuple[Saving, ...] = ()
    nodes_sought_max: int = 0
    note: str = ""


class _Search:
    """Rehearses variants of one load, each once, as long as there is time for it."""

    def __init__(self, rehearse: Rehearse, report: Report, rehearsals_max: int) -> None:
        self._rehearse = rehearse
        self._left = rehearsals_max
        self._fleets: dict[int, Course] = {}
        self.products = [task.product_id for task in report.troubled]
        self.cut_short = False

    def play(self, variant: Variant) -> Course | None:
        """Return the course of a variant, None where there is no time left for it."""
        if self._left <= 0:
            self.cut_short = True
            return None
        self._left -= 1
        return self._rehearse(variant, CAUTIOUS)

    def fleet(self, nodes: int) -> Course | None:
        """Return the course under a cap of so many nodes."""
        if nodes not in self._fleets:
            course = self.play(Variant(nodes_max=nodes))
            if course is None:
                return None
            self._fleets[nodes] = course
        return self._fleets[nodes]


def savings_of(
    report: Report,
    rehearse: Rehearse,
    *,
    believed: Books,
    partitioners: Sequence[str],
) -> Savings:
    """Return what would save the tasks of a report that are late or at risk.

    Parameters
    ----------
    report : Report
    rehearse : callable
        Plays the load of the report in a variant.
    believed : Books
        What the report was made with.
    partitioners : sequence of str
        Names of those to try.
    """
    if not report.troubled:
        return Savings()
    parts = sum(task.parts for task in report.tasks)
    rehearsals_max = min(REHEARSALS_MAX, PARTS_REHEARSED_MAX // max(1, parts))
    if rehearsals_max < REHEARSALS_MIN:
        return Savings(note=f"what would help was not tried: {parts:,} parts are too many for it")
    search = _Search(rehearse, report, rehearsals_max)
    fleets, sought = _by_nodes(search, believed)
    deadlines = _by_deadline(search, report)
    cuts = _by_cut(search, believed, partitioners)
    found = [
        _saving(task, fleets.get(task.product_id), deadlines, cuts, believed)
        for task in report.troubled
    ]
    note = ""
    if search.cut_short:
        note = (
            f"{parts:,} parts are too many to try all that might help: {rehearsals_max}"
            f" rehearsals were made for it"
        )
    return Savings(tasks=tuple(found), nodes_sought_max=sought, note=note)


def one_worker_is_enough(report: Report, rehearse: Rehearse, believed: Books) -> str:
    """Return in words that a single worker meets all deadlines, or nothing where it does not."""
    if report.troubled or not _fits_one_worker(report, believed):
        return ""
    course = rehearse(Variant(one_worker=True), CAUTIOUS)
    due = [task for task in course.tasks.values() if task.deadline_at is not None]
    spare_s = [each for each in map(_spare_s, due) if each is not None]
    if any(each < -LATE_S_MIN for each in spare_s):
        return ""
    work = f"One worker is enough: {span(sum(task.work_s for task in report.tasks))} of work"
    met = {0: "no deadline to meet", 1: "the deadline met"}
    told = met.get(len(spare_s), f"all {len(spare_s)} deadlines met")
    spare = f" with {span(min(spare_s))} to spare in the 90 % case" if spare_s else ""
    return f"{work}, {told}{spare}. A second node would only cost."


def _fits_one_worker(report: Report, believed: Books) -> bool:
    """Tell whether one worker may be enough, as quickly as can be told without a rehearsal."""
    work_s = math.fsum(task.work_90_s for task in report.tasks)
    boot_s, _, speed = overheads_s(believed, work_s, math.inf)
    due = sorted(report.due, key=lambda task: task.deadline_s or 0.0)
    jobs = [
        Job(task_id="", parts=1, work_s=t.work_90_s, longest_s=t.work_90_s, due_at=math.inf)
        for t in due
    ]
    ends = finish_times(jobs, [Slot(boot_s, speed)])
    return all(end <= (t.deadline_s or 0.0) for end, t in zip(ends, due, strict=True))


def _by_nodes(search: _Search, believed: Books) -> tuple[dict[str, tuple[int, int]], int]:
    """Return the smallest fleet found for each task: nodes, and workers that stood."""
    scaling = believed.settings.scaling
    now = 1 if scaling.policy == "none" else scaling.nodes_max
    most = max(NODES_SOUGHT_MAX, 2 * now)
    largest = search.fleet(most)
    if largest is None:
        return {}, now
    found: dict[str, tuple[int, int]] = {}
    # Where fleets do not scale at all, one node under another policy may do.
    fewest = 0 if scaling.policy == "none" else now
    for product in [p for p in search.products if _is_met(largest, p)]:
        few, many = fewest, most
        while many - few > 1:
            course = search.fleet(_between(few, many))
            if course is None:
                break
            middle = _between(few, many)
            few, many = (few, middle) if _is_met(course, product) else (middle, many)
        course = search.fleet(many)
        standing = max((s.standing for s in course.steps()), default=0) if course else 0
        found[product] = (many, standing)
    return found, most


def _between(few: int, many: int) -> int:
    """Return a number between two, nearer to the smaller: what is needed is rarely the most."""
    return max(few + 1, min(many - 1, round(math.sqrt(max(1, few) * many))))


def _by_deadline(search: _Search, report: Report) -> dict[str, float]:
    """Return a deadline for each task that is met when all of them are set."""
    asked = {
        task.product_id: _later(task.finish_90_s or 2.0 * (task.deadline_s or 0.0))
        for task in report.troubled
    }
    wishes = {task.product_id: task.subscription_id for task in report.troubled}
    for _ in range(DEADLINE_ROUNDS_MAX):
        course = search.play(
            Variant(deadlines_s={wishes[product]: due_s for product, due_s in asked.items()})
        )
        if course is None:
            return {}
        missed = [product for product in asked if not _is_met(course, product)]
        if not missed:
            return asked
        for product in missed:
            took_s = _took_s(_course_of(course, product))
            asked[product] = _later(max(asked[product], took_s or 2.0 * asked[product]))
    return {product: due_s for product, due_s in asked.items() if product not in missed}


def _later(took_s: float) -> float:
    return rounded_up(took_s * (1.0 + DEADLINE_MARGIN))


def _by_cut(
    search: _Search, believed: Books, partitioners: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the other cuts under which each task is met."""
    found: dict[str, list[str]] = {product: [] for product in search.products}
    for words, variant in _other_cuts(believed, partitioners):
        course = search.play(variant)
        if course is None:
            break
        for product in search.products:
            if _is_met(course, product):
                found[product].append(words)
    return {product: tuple(words) for product, words in found.items()}


def _other_cuts(believed: Books, partitioners: Sequence[str]) -> Iterator[tuple[str, Variant]]:
    cutting = believed.settings.cutting
    for count in PARTS_PER_WORKER_TRIED:
        if count != cutting.parts_per_worker:
            words = f"{count} part{'s' * (count > 1)} a worker"
            yield words, Variant(parts_per_worker=count)
    for name in partitioners:
        if name != cutting.partitioner:
            yield f"partitioner {name}", Variant(partitioner=name)


def _saving(
    task: TaskReport,
    fleet: tuple[int, int] | None,
    deadlines: Mapping[str, float],
    cuts: Mapping[str, tuple[str, ...]],
    believed: Books,
) -> Saving:
    nodes, workers = fleet or (None, None)
    found = cuts.get(task.product_id, ())
    return Saving(
        subscription_id=task.subscription_id,
        product_id=task.product_id,
        nodes=nodes,
        workers=workers,
        deadline_s=deadlines.get(task.product_id),
        cuts=found,
        hopeless="" if fleet or found else _hopeless(task, believed),
    )


def _hopeless(task: TaskReport, believed: Books) -> str:
    """Return why no fleet and no cut meets a task, as far as it can be told at all."""
    assert task.deadline_s is not None
    boot_s, settle_s, speed = overheads_s(believed, task.work_90_s, task.deadline_s)
    least_s = min(task.longest_s, max(believed.settings.cutting.part_s_min, 0.0)) / speed
    if boot_s + least_s + settle_s <= task.deadline_s:
        return ""
    return (
        f"no fleet can: {span(boot_s)} to boot, {span(least_s)} for its shortest part and"
        f" {span(settle_s)} to combine and deliver are more than {span(task.deadline_s)}"
    )


def _is_met(course: Course, product: str) -> bool:
    spare_s = _spare_s(_course_of(course, product))
    return spare_s is not None and spare_s >= -LATE_S_MIN


def _course_of(course: Course, product: str) -> TaskCourse:
    return next(task for task in course.tasks.values() if task.product_id == product)


def _spare_s(task: TaskCourse) -> float | None:
    if task.deadline_at is None or task.delivered_at is None:
        return None
    return task.deadline_at - task.delivered_at


def _took_s(task: TaskCourse) -> float | None:
    return None if task.delivered_at is None else task.delivered_at - task.arrived_at
