"""Which tasks cannot be met, and which give way so that the others can.

Under a binding cap, order alone collapses: earliest deadline first spends the capacity on tasks
that are late anyway, and one after the other follows. The rule of Moore and Hodgson (Management
Science 15, 1968) keeps as many deadlines as possible: take tasks in the order of their deadlines,
and whenever one does not fit, let the task with the most work so far give way. Here it is weighted,
the most work per unit of priority; it runs on the work that slots can do in all, and then the
forecast, which knows whole parts, has the last word.

What is judged are the expected durations: a task at risk is more likely late than not. Who was told
of a risk is told of its end only when all holds with a tenth more work than expected.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from planner.forecast import FORECAST_PARTS_MAX, LATE_S_MIN, Schedule
from planner.prefixes import Caution, Outline, job_of, promised
from planner.ranking import Waiting
from planner.scaling.offers import cheapest_first
from planner.scaling.prospects import additions, standing_slots
from planner.scaling.view import ScalingView
from planner.supply import Slot, Supply

SPARE = 1.1
"""Factor on all work that must still fit before a task counts as recovered."""

TASKS_JUDGED_MAX = 10_000
"""Tasks judged one by one where deadlines are violated: what stands further back may yet change."""

PRIORITY_MIN = 1e-6
"""No task weighs less: one of no priority at all gives way first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """How the waiting tasks stand.

    Parameters
    ----------
    at_risk : tuple of (str, float)
        Tasks that cannot be met, and how late each is predicted to be [s]; 0 for one that was told
        of a risk and has too little to spare yet.
    yielding : tuple of str
        Tasks that give way now. Every other one is admitted.
    """

    at_risk: tuple[tuple[str, float], ...] = ()
    yielding: tuple[str, ...] = ()


def assess(view: ScalingView, reach: int, told: frozenset[str] = frozenset()) -> Assessment:
    """Return which tasks are at risk and which give way, with all nodes within reach.

    Parameters
    ----------
    view : ScalingView
    reach : int
        Nodes that the policy could still bring in (`Policy.nodes_reachable`).
    told : frozenset of str
        Tasks that were found at risk before: they must have a tenth to spare to be well again.
    """
    slots = _slots_within(view, reach)
    returning = [task for task in map(view.queue.get, sorted(told)) if task is not None]
    if not returning and promised(Outline(view.queue), Caution(), Supply(slots)):
        return Assessment()
    tasks = _in_natural_order(view, returning)
    late = yielding(tasks, slots)
    if returning:
        late |= yielding(tasks, slots, stretch=SPARE) & told
    lateness = _lateness(tasks, late, slots)
    judged = {task.task_id for task in tasks}
    # Whoever stands too far back to be judged stays as it was told.
    lateness |= {task.task_id: 0.0 for task in returning if task.task_id not in judged}
    return Assessment(at_risk=tuple(lateness.items()), yielding=tuple(lateness))


def yielding(tasks: Sequence[Waiting], slots: Sequence[Slot], stretch: float = 1.0) -> set[str]:
    """Return the tasks that give way so that the others meet their deadlines.

    Parameters
    ----------
    tasks : sequence of Waiting
        In dispatch order.
    slots : sequence of Slot
    stretch : float
        Factor on all work.

    Notes
    -----
    Behind the first `FORECAST_PARTS_MAX` parts the rule of Moore and Hodgson decides alone.
    """
    giving_way = _outweighed(tasks, Supply(slots), stretch)
    schedule, parts = Schedule(slots), 0
    for task in tasks:
        if task.task_id in giving_way:
            continue
        parts += task.parts
        if parts > FORECAST_PARTS_MAX:
            break
        mark = schedule.mark()
        if (
            schedule.place(job_of(task, task.mean_s * stretch, Caution(stretch=stretch)))
            > task.due_at + LATE_S_MIN
        ):
            schedule.back_to(mark)
            giving_way.add(task.task_id)
    return giving_way


def _slots_within(view: ScalingView, reach: int) -> list[Slot]:
    """Return the slots to judge by: where there are none at all, those of one node of any type.

    A provider that refuses every node for a while is no reason to give all deadlines up.
    """
    standing = standing_slots(view)
    count = reach if standing else max(1, reach)
    offers = cheapest_first(view.offers, view.boots, 0.0, math.inf)
    added = additions(view, offers, count)[:count]
    slots = [*standing, *(slot for option in added for slot in option.slots)]
    return slots or [Slot(view.now)]


def _in_natural_order(view: ScalingView, returning: Sequence[Waiting]) -> list[Waiting]:
    """Return the tasks as they would run if none gave way.

    Those that do stand behind all others in the queue; each is judged where its deadline puts it.
    """
    back = sorted((task for task in returning if not task.admitted), key=lambda t: -t.due_at)
    admitted = (task for task in view.queue if task.admitted)
    ordered: list[Waiting] = []
    for task in islice(admitted, TASKS_JUDGED_MAX):
        while back and back[-1].due_at <= task.due_at:
            ordered.append(back.pop())
        ordered.append(task)
    return (ordered + back[::-1])[:TASKS_JUDGED_MAX]


def _outweighed(tasks: Iterable[Waiting], supply: Supply, stretch: float) -> set[str]:
    """Apply the rule of Moore and Hodgson to work that could be split at will."""
    giving_way: set[str] = set()
    kept: list[tuple[float, int, Waiting]] = []
    work_s = 0.0
    for position, task in enumerate(tasks):
        task_s = task.mean_s * stretch
        due_at = task.due_at + LATE_S_MIN
        if due_at < math.inf:
            able_s = supply.by(due_at)
            if supply.soonest(task.longest_s * stretch) > due_at or task_s > able_s:
                giving_way.add(task.task_id)  # not even alone
                continue
            weight = task_s / max(task.priority, PRIORITY_MIN)
            heapq.heappush(kept, (-weight, -position, task))
        work_s += task_s
        while kept and due_at < math.inf and work_s > able_s:
            _, _, heaviest = heapq.heappop(kept)
            giving_way.add(heaviest.task_id)
            work_s -= heaviest.mean_s * stretch
    return giving_way


def _lateness(
    tasks: Sequence[Waiting], giving_way: set[str], slots: Sequence[Slot]
) -> dict[str, float]:
    """Return how late those that give way are predicted to be [s], run after all others."""
    schedule = Schedule(slots)
    lateness: dict[str, float] = {}
    for task in sorted(tasks, key=lambda task: task.task_id in giving_way):
        end_at = schedule.place(job_of(task, task.mean_s, Caution()))
        if task.task_id in giving_way:
            lateness[task.task_id] = max(0.0, end_at - task.due_at)
    return lateness
