"""The hundred tasks of the chapter's figures 7 to 9, and the load that they make.

The chapter says of them: "100 tasks each with the same deadline but varying areas and time ranges",
ranked by Eq. 1. Here areas and time ranges are drawn inside its own request, the Mediterranean of
1999 to 2006, and what each takes follows from the profiles that the index says it matches: the
prediction by the planner's model, the truth by measured costs of files (`sim.chapter.costs`). Both
are stretched by one scale, for the chapter's filter was another one on other machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from partitioners.catalogue import BUILT_IN
from planner.commands import CutTask
from planner.durations import DEFAULT_COSTS
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    SubscriptionAdded,
    TaskCut,
    UpdateArrived,
)
from planner.extent import Box, Extent, Floats, Period
from planner.importance import Claim, importance
from planner.model import PartSpec, Subscription, View, product_id
from planner.settings import ImportanceWeights
from sim.chapter.costs import FileCosts
from sim.chapter.profiles import REQUEST, Profiles
from sim.workload import APPLICATION, COSTS, DATASET, part_of

TASKS = 100
"""As in the chapter."""

SIDE_MIN = 0.2
"""Least side of a task's area, as a share of the whole one's: from some gulfs to the whole sea."""

DRAWS_MAX = 100
"""Tries for each task wanted: an early window of a small area holds nothing."""

BEGINS_AT = 1_767_225_600.0
"""When all tasks arrive: 2026-01-01 [POSIX s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a task: its extent, its files, and what it is predicted to and does take [s]."""

    extent: Extent
    files: int
    predicted_s: float
    true_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of the hundred.

    Parameters
    ----------
    id : str
    extent : Extent
    pieces : tuple of Piece
        Those that hold files.
    """

    id: str
    extent: Extent
    pieces: tuple[Piece, ...]

    @property
    def predicted_s(self) -> float:
        """Return the predicted time of all pieces [reference s]."""
        return sum(piece.predicted_s for piece in self.pieces)

    @property
    def true_s(self) -> float:
        """Return the true time of all pieces [reference s]."""
        return sum(piece.true_s for piece in self.pieces)

    @property
    def files(self) -> int:
        """Return how many files it reads."""
        return sum(piece.files for piece in self.pieces)

    def importance(self, weights: ImportanceWeights) -> float:
        """Return Imp of Eq. 1, without the time to the deadline, which all tasks share."""
        period = self.extent.period
        claim = Claim(
            parameters=len(self.extent.parameters),
            time_range_s=period.span_s,
            area_km2=self.extent.box.area_km2,
            deadline_at=None,
            due_at=0.0,
            work_s=self.predicted_s,
            ordinal=0,
        )
        return importance(claim, weights)

    def stretched(self, predicted: float, true: float) -> Task:
        """Return the task with its predicted and true times multiplied."""
        pieces = (
            replace(
                piece,
                predicted_s=piece.predicted_s * predicted,
                true_s=piece.true_s * true,
            )
            for piece in self.pieces
        )
        return replace(self, pieces=tuple(pieces))


def drawn_tasks(profiles: Profiles, costs: FileCosts, seed: int, parts: int) -> list[Task]:
    """Return tasks with areas and time ranges drawn at random, in no order that means anything.

    Parameters
    ----------
    profiles : Profiles
        All inside the chapter's request.
    costs : FileCosts
    seed : int
    parts : int
        Wanted of each task, cut by ``balanced``.
    """
    rng = np.random.default_rng(seed)
    cost_s = costs.drawn(profiles, seed)
    extents = (_extent(rng) for _ in range(DRAWS_MAX * TASKS))
    held = (extent for extent in extents if len(profiles.within(extent)))
    found = [
        Task(
            id=f"t{number:02}",
            extent=extent,
            pieces=tuple(_pieces(extent, profiles, cost_s, costs.base_s, parts)),
        )
        for number, extent in enumerate(islice(held, TASKS))
    ]
    assert len(found) == TASKS, "an index that holds the chapter's request holds its parts"
    return found


def _extent(rng: np.random.Generator) -> Extent:
    whole, period = REQUEST.box, REQUEST.period
    width, height = whole.width_deg, whole.north - whole.south
    (wide, high), (right, up) = rng.uniform(SIDE_MIN, 1.0, 2), rng.random(2)
    west = whole.west + float(right * (1.0 - wide)) * width
    south = whole.south + float(up * (1.0 - high)) * height
    assert period.start_at is not None
    assert period.end_at is not None
    start_at, end_at = np.sort(rng.uniform(period.start_at, period.end_at, 2)).tolist()
    box = Box(
        west=west, south=south, east=west + float(wide) * width, north=south + float(high) * height
    )
    return replace(REQUEST, box=box, period=Period(start_at=start_at, end_at=end_at))


def _pieces(
    extent: Extent, profiles: Profiles, cost_s: Floats, base_s: float, parts: int
) -> Iterator[Piece]:
    inside = extent.contains(profiles.time_s, profiles.longitude, profiles.latitude)
    own, own_s = profiles.within(extent).density(), cost_s[inside]
    cut = BUILT_IN["balanced"].cut(extent, own, DEFAULT_COSTS, parts)
    for piece, held in zip(cut, own.members(cut), strict=True):
        if len(held):
            yield Piece(
                extent=piece,
                files=len(held),
                predicted_s=DEFAULT_COSTS.seconds(own.features_at(held, extent)),
                true_s=base_s + float(own_s[held].sum()),
            )


def ranked(tasks: Iterable[Task], weights: ImportanceWeights) -> list[Task]:
    """Return tasks as Eq. 1 ranks them, the most important first."""
    return sorted(tasks, key=lambda task: -task.importance(weights))


def scaled(
    tasks: Sequence[Task], weights: ImportanceWeights, *, in_time: int, span_s: float
) -> list[Task]:
    """Return tasks stretched so that one worker ends just so many of them in a span.

    The scale is such that half of the next task would fit too. Predictions are right on average.

    Parameters
    ----------
    tasks : sequence of Task
    weights : ImportanceWeights
        By which they are ranked.
    in_time : int
        How many the worker ends.
    span_s : float
        [s]
    """
    lengths = [task.true_s for task in ranked(tasks, weights)]
    scale = span_s / (sum(lengths[:in_time]) + 0.5 * lengths[in_time])
    level = sum(lengths) / sum(task.predicted_s for task in tasks)
    return [task.stretched(scale * level, scale) for task in tasks]


class TasksLoad:
    """The load that tasks make which all arrive at once with one deadline.

    Parameters
    ----------
    tasks : sequence of Task
    deadline_s : float
        Of every task, after its arrival [s].
    """

    def __init__(self, tasks: Sequence[Task], deadline_s: float) -> None:
        self._tasks = {task.id: task for task in tasks}
        self._of_product: dict[str, Task] = {}
        self._deadline_s = deadline_s

    def events(self) -> Iterator[AnyEvent]:
        """Return the first state of the dataset, and all tasks at once."""
        at = BEGINS_AT
        yield ApplicationCalibrated(at=at, dataset=DATASET, application=APPLICATION, costs=COSTS)
        yield UpdateArrived(at=at, dataset=DATASET, number=0, observations=None)
        for task in self._tasks.values():
            view = View(dataset=DATASET, application=APPLICATION, extent=task.extent)
            subscription = Subscription(
                id=task.id,
                views=(view,),
                destination="",
                deadline_s=self._deadline_s,
                backfill=True,
            )
            yield SubscriptionAdded(at=at, subscription=subscription)

    def cut(self, command: CutTask, at: float) -> TaskCut:
        """Return the pieces that a task has."""
        task = self._tasks[command.subscription_id]
        name = product_id(command.subscription_id, command.version, command.selections)
        self._of_product[name] = task
        parts = tuple(
            replace(part_of(piece.predicted_s), extent=piece.extent) for piece in task.pieces
        )
        return TaskCut(
            at=at, task_id=command.task_id, parts=parts, partitioner="balanced", version="1"
        )

    def run_s(self, name: str, position: int, part: PartSpec) -> float:
        """Return how long a piece truly takes [reference s]."""
        return self._of_product[name].pieces[position].true_s

    def predicted_s(self, part: PartSpec) -> float:
        """Return how long a piece is predicted to take [reference s]."""
        return COSTS.seconds(part.features)

    def size_bytes(self, name: str) -> int:
        """Return no size: of moving data the chapter says nothing."""
        return 0

    def ended(self, name: str, at: float) -> Iterable[AnyEvent]:
        """Return nothing: no task follows another."""
        return ()
