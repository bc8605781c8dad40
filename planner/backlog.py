"""The book of tasks and parts: what is to be cut, run, combined and delivered, and in which order.

It owns the tables and the ranked queue over the waiting parts, and moves both along
`planner.lifecycle`. What to do about a change is decided in `planner.intake`, `planner.progress`
and `planner.steering`.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from planner.durations import RunTimes
from planner.evidence import NO_EVIDENCE, Belief, Evidence
from planner.extent import Extent
from planner.importance import Claim, breadth, order_key, time_range_s
from planner.lifecycle import PART_LIFE, TASK_LIFE, PartState, TaskState, moved
from planner.model import Features, Fragment, PartSpec, Product, Selection, Subscription
from planner.ranking import RankedQueue, Waiting
from planner.settings import PlannerSettings

TimesOf = Callable[[str], RunTimes]
"""What was learned of the run times of a dataset's parts."""

LENGTH_GRID_S, VARIANCE_GRID_S2 = 2.0**-20, 2.0**-28
"""Predictions are whole multiples of these, so that sums of them are exact: a queue that counted
parts off one by one holds the same as one that was built anew from a snapshot."""

FACTOR_CHANGE, DOUBT_CHANGE = 0.05, 0.7
"""A task's parts are predicted anew when what is believed of its factor moved by the first
fraction, or the doubt of it fell to the second: a few times, however many parts it has."""


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One piece of a task. `mean_s` and `sd_s` are predicted [reference s].

    `selection` is the position of what it is a piece of among the task's selections.
    """

    id: str
    extent: Extent
    features: Features
    selection: int = 0
    mean_s: float = 0.0
    sd_s: float = 0.0
    state: PartState = PartState.WAITING
    attempt: int = 0
    node_id: str = ""
    started_at: float = 0.0
    fragment: Fragment | None = None

    @property
    def variance_s2(self) -> float:
        """Variance of the predicted length [s2]."""
        return _on_grid(self.sd_s**2, VARIANCE_GRID_S2)

    @property
    def position(self) -> int:
        """Place of the part in its task's cut."""
        return int(self.id.rpartition("/")[2])

    def move(self, by: str) -> None:
        """Go one step along `PART_LIFE`."""
        self.state = moved(PART_LIFE, self.state, by)


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """The delivery of some updates, of one dataset or several, to one subscription.

    Parameters
    ----------
    id : str
    ordinal : int
        Number of the task in order of arrival.
    subscription : Subscription
        In the version that the task belongs to.
    selections : tuple of Selection
        What of which dataset.
    arrived_at, deadline_at : float
        [POSIX s]; a deadline of None is best effort.
    reserve_s : float
        Kept back before the deadline for combining and delivering [s].
    waiting : list of int
        Position of each waiting part, the one predicted to be longest last.
    attempt : int
        Number of the current attempt at combining or delivering; while it rests, of the next.
    combined_s : float
        Time that combining took [s].
    evidence : Evidence
        What its finished parts have told of it.
    outrun : float
        Until one is finished: its running parts have taken so many times their predictions.
    factor, doubt : float
        What is believed of its parts, compared with those of other tasks: they take so many times
        as long, with this relative standard deviation.
    """

    id: str
    ordinal: int
    subscription: Subscription
    selections: tuple[Selection, ...]
    arrived_at: float
    deadline_at: float | None
    reserve_s: float = 0.0
    state: TaskState = TaskState.CUTTING
    parts: tuple[Part, ...] = ()
    waiting: list[int] = field(default_factory=list)
    unfinished: int = 0
    started: bool = False
    yielding: bool = False
    attempt: int = 0
    combined_s: float = 0.0
    product: Product | None = None
    evidence: Evidence = NO_EVIDENCE
    outrun: float = 0.0
    factor: float = 1.0
    doubt: float = 0.0

    @property
    def due_at(self) -> float:
        """Instant by which the last part must end [POSIX s]; infinite without a deadline."""
        return math.inf if self.deadline_at is None else self.deadline_at - self.reserve_s

    @property
    def work_s(self) -> float:
        """Predicted length of the waiting parts together [reference s]."""
        return math.fsum(self.parts[position].mean_s for position in self.waiting)

    def move(self, by: str) -> None:
        """Go one step along `TASK_LIFE`."""
        self.state = moved(TASK_LIFE, self.state, by)

    @property
    def dataset(self) -> str:
        """The dataset that it asks for first: of the parts read from it, its evidence tells."""
        return self.selections[0].view.dataset

    def by_length(self, position: int) -> tuple[float, int]:
        """Return the key that `waiting` is sorted by."""
        return self.parts[position].mean_s, position

    def tells_of(self, part: Part) -> bool:
        """Tell whether its evidence is about a part."""
        return self.dataset_of(part) == self.dataset

    def level(self, times: RunTimes) -> float:
        """Return the level of predictions (`planner.evidence`), by what is known of its dataset."""
        fixed = next((part for part in self.parts if self.tells_of(part)), None)
        return 0.0 if fixed is None else math.log(times.mean_s(fixed.features))

    def dataset_of(self, part: Part) -> str:
        """Return the dataset that a part is a piece of."""
        return self.selections[part.selection].view.dataset

    def fragments(self) -> tuple[tuple[Fragment, ...], ...]:
        """Return the fragments of each selection, in the order of its cut."""
        found: tuple[list[Fragment], ...] = tuple([] for _ in self.selections)
        for part in self.parts:
            if part.fragment is not None:
                found[part.selection].append(part.fragment)
        return tuple(map(tuple, found))

    def running(self) -> Iterator[Part]:
        """Return the parts that an attempt is running for."""
        return (part for part in self.parts if part.state is PartState.RUNNING)


class Backlog:
    """All open tasks, and the waiting ones in dispatch order."""

    def __init__(self, settings: PlannerSettings, tasks: Iterable[Task] = ()) -> None:
        self.settings = settings
        self.tasks: dict[str, Task] = {}
        self._by_subscription: dict[str, list[Task]] = {}
        for task in tasks:
            self.add(task)
        self._queue_anew()

    def __len__(self) -> int:
        """Return the number of open tasks."""
        return len(self.tasks)

    def add(self, task: Task) -> None:
        """Take a task in that is not yet in the queue."""
        assert task.id not in self.tasks
        self.tasks[task.id] = task
        siblings = self._by_subscription.get(task.subscription.id)
        if siblings is None:
            self._by_subscription[task.subscription.id] = [task]
        else:
            siblings.append(task)

    def of_subscription(self, subscription_id: str) -> list[Task]:
        """Return the open tasks of a subscription, in the order of their arrival."""
        return list(self._by_subscription.get(subscription_id, ()))

    def cut(self, task: Task, specs: Iterable[PartSpec], times: TimesOf) -> None:
        """Give a task its parts and queue them."""
        task.parts = tuple(
            [
                Part(
                    id=f"{task.id}/{i}",
                    extent=spec.extent,
                    features=spec.features,
                    selection=spec.selection,
                )
                for i, spec in enumerate(specs)
            ]
        )
        task.unfinished = len(task.parts)
        task.move("cut")
        self._estimate(task, times)
        self._enqueue(task)

    def part(self, part_id: str) -> tuple[Task, Part] | None:
        """Return a part of an open task, and the task."""
        task_id, _, position = part_id.rpartition("/")
        task = self.tasks.get(task_id)
        if task is None or not position.isdigit() or int(position) >= len(task.parts):
            return None
        return task, task.parts[int(position)]

    def next_part(self) -> tuple[Task, Part] | None:
        """Return the part to be sent next: the longest of the first task in dispatch order."""
        entry = self.queue.first()
        if entry is None:
            return None
        task = self.tasks[entry.task_id]
        return task, task.parts[task.waiting[-1]]

    def send(self, task: Task, part: Part, node_id: str, at: float) -> None:
        """Note that the next part goes to a node as a new attempt."""
        position = task.waiting.pop()
        assert task.parts[position] is part
        part.move("sent")
        part.attempt += 1
        part.node_id, part.started_at = node_id, at
        task.started = True
        self._shrink(task, part)

    def finish(self, task: Task, part: Part, fragment: Fragment) -> None:
        """Note a finished part; the task may be combined when `unfinished` is zero."""
        part.move("finished")
        part.fragment, part.node_id = fragment, ""
        task.unfinished -= 1
        if task.unfinished == 0:
            task.move("all parts finished")

    def give_back(self, task: Task, part: Part, by: str) -> None:
        """Let a part wait again after its attempt was lost, or after its rest."""
        part.move(by)
        part.node_id = ""
        if part.state is PartState.WAITING:
            insort(task.waiting, part.position, key=task.by_length)
            self._requeue(task)

    def revise(self, task: Task, times: TimesOf) -> bool:
        """Predict a task's parts anew if more is known of them now; return whether it is."""
        belief = _belief(task, times)
        if _alike(task.factor, belief.factor) and belief.doubt > DOUBT_CHANGE * task.doubt:
            return False
        self._estimate(task, times)
        if task.waiting:
            self._requeue(task)
        return True

    def set_yielding(self, task: Task, yielding: bool) -> None:
        """Let a task give way to those that can still be met, or take that back."""
        task.yielding = yielding
        self._requeue(task)

    def re_estimate(self, times: TimesOf, reserve_s: float) -> None:
        """Predict every waiting part and each reserve anew, after the models have changed."""
        for task in self.tasks.values():
            task.reserve_s = reserve_s
            if task.waiting:
                self._estimate(task, times)
        self._queue_anew()

    def rank_anew(self, settings: PlannerSettings) -> None:
        """Put every waiting task where new settings rank it."""
        self.settings = settings
        self._queue_anew()

    def close(self, task: Task, by: str) -> None:
        """End a task and forget it."""
        task.move(by)
        if task.waiting:
            self.queue.remove(task.id)
        del self.tasks[task.id]
        siblings = self._by_subscription[task.subscription.id]
        siblings.remove(task)
        if not siblings:
            del self._by_subscription[task.subscription.id]

    def _queue_anew(self) -> None:
        """Build the queue from nothing: quicker than to take each task out and put it back."""
        self.queue = RankedQueue()
        for task in self.tasks.values():
            if task.waiting:
                self._enqueue(task)

    def _estimate(self, task: Task, times: TimesOf) -> None:
        of_selections = [times(each.view.dataset) for each in task.selections]
        task.factor, task.doubt = _belief(task, times)
        for part in task.parts:
            if part.state is not PartState.FINISHED:
                of_part = of_selections[part.selection]
                mean_s = of_part.mean_s(part.features)
                mean_s *= task.factor if task.tells_of(part) else 1.0
                part.mean_s = _on_grid(mean_s, LENGTH_GRID_S)
                part.sd_s = mean_s * of_part.spread.own
        waiting = [i for i, part in enumerate(task.parts) if part.state is PartState.WAITING]
        task.waiting = sorted(waiting, key=task.by_length)

    def _enqueue(self, task: Task) -> None:
        claim = _claim(task)
        weights, order = self.settings.weights, self.settings.dispatch.order
        waiting = [task.parts[i] for i in task.waiting]
        self.queue.add(
            Waiting(
                key=order_key(claim, order, weights),
                task_id=task.id,
                due_at=claim.due_at,
                parts=len(waiting),
                mean_s=math.fsum(part.mean_s for part in waiting),
                variance_s2=math.fsum(part.variance_s2 for part in waiting),
                longest_s=waiting[-1].mean_s,
                priority=task.subscription.priority,
                doubt=task.doubt,
                admitted=not task.yielding,
            )
        )

    def _requeue(self, task: Task) -> None:
        if self.queue.get(task.id) is not None:
            self.queue.remove(task.id)
        if task.waiting:
            self._enqueue(task)

    def _shrink(self, task: Task, sent: Part) -> None:
        if not task.waiting:
            self.queue.remove(task.id)
            return
        entry = self.queue.get(task.id)
        assert entry is not None
        self.queue.update(
            task.id,
            parts=len(task.waiting),
            mean_s=max(0.0, entry.mean_s - sent.mean_s),
            variance_s2=max(0.0, entry.variance_s2 - sent.variance_s2),
            longest_s=task.parts[task.waiting[-1]].mean_s,
            doubt=task.doubt,
        )


def _belief(task: Task, times: TimesOf) -> Belief:
    of_task = times(task.dataset)
    # Without evidence there is nothing to be held against the level.
    level = task.level(of_task) if task.evidence.parts else 0.0
    return task.evidence.belief(of_task.spread, level, task.outrun)


def _alike(before: float, now: float) -> bool:
    return abs(now - before) <= FACTOR_CHANGE * before


def _on_grid(value: float, grid: float) -> float:
    return round(value / grid) * grid


def _claim(task: Task) -> Claim:
    parameters, area_km2 = breadth(selection.view.extent for selection in task.selections)
    return Claim(
        parameters=parameters,
        time_range_s=time_range_s(part.extent.period for part in task.parts),
        area_km2=area_km2,
        deadline_at=task.deadline_at,
        due_at=task.due_at,
        work_s=math.fsum(part.mean_s for part in task.parts),
        ordinal=task.ordinal,
        yielding=task.yielding,
    )
