"""What comes from outside, and the truth about it: how long it takes if nothing goes wrong."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from planner.commands import CutTask
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    SubscriptionAdded,
    SubscriptionRemoved,
    TaskCut,
    TaskRefused,
    UpdateArrived,
)
from planner.extent import GLOBE, Extent
from planner.model import Features, PartSpec, Subscription, UnitCosts, View

DATASET, APPLICATION = "jobs", "job"
"""Of the tasks that have no archive behind them."""

VALUES_PER_S = 1000
"""A job's predicted seconds are told to the planner as features: values of a millisecond each."""

COSTS = UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=1.0 / VALUES_PER_S)


class Load(Protocol):
    """A load: its events from outside, how its tasks are cut, and what they truly take."""

    def events(self) -> Iterator[AnyEvent]:
        """Return what comes from outside in order of time, without offers; it is streamed."""

    def cut(self, command: CutTask, at: float) -> TaskCut | TaskRefused:
        """Answer `CutTask` at an instant [POSIX s]."""

    def run_s(self, name: str, position: int, part: PartSpec) -> float | None:
        """Return how long a part takes on a slot of speed 1 [reference s].

        Parameters
        ----------
        name : str
            Of the product (`planner.model.product_id`): the same under every policy.
        position : int
            Of the part in the cut.
        part : PartSpec

        Returns
        -------
        float or None
            None where only a prediction is known, and the world draws the truth about it.
        """

    def predicted_s(self, part: PartSpec) -> float:
        """Return how long a part is expected to take on a slot of speed 1 [reference s]."""

    def size_bytes(self, name: str) -> int | None:
        """Return the size of a product [bytes]; None where it is not known."""

    def ended(self, name: str, at: float) -> Iterable[AnyEvent]:
        """Take note that a task has ended; return what comes from outside because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One task as traces of other systems have it: a piece of work with a deadline.

    Parameters
    ----------
    id : str
    at : float
        Its arrival [POSIX s].
    deadline_s : float or None
        After its arrival [s].
    parts_s : tuple of float
        Predicted length of each part [reference s]; it can be cut no other way.
    true_parts_s : tuple of float or None
        How long each part truly takes [reference s]; None where that is to be drawn.
    part_bytes : int
        Read by each part.
    size_bytes : int
        Of its product.
    priority : float
        Weight in admission.
    """

    id: str
    at: float
    deadline_s: float | None
    parts_s: tuple[float, ...]
    true_parts_s: tuple[float, ...] | None = None
    part_bytes: int = 0
    size_bytes: int = 0
    priority: float = 1.0


class JobsLoad:
    """Jobs, each a subscription that wants one delivery.

    Parameters
    ----------
    jobs : callable
        Returns the jobs in order of arrival, the same ones each time.
    withdrawn_after_s : callable, optional
        Tells when somebody withdraws a job though it is not done [s after its arrival].
    """

    def __init__(
        self,
        jobs: Callable[[], Iterable[Job]],
        withdrawn_after_s: Callable[[Job], float | None] = lambda job: None,
    ) -> None:
        self._jobs = jobs
        self._withdrawn_after_s = withdrawn_after_s
        self._open: dict[str, Job] = {}

    def events(self) -> Iterator[AnyEvent]:
        """Return a first state of the dataset, and each job at its arrival."""
        self._open.clear()
        begun = False
        leaving: list[tuple[float, str]] = []
        for job in self._jobs():
            if not begun:
                begun = True
                yield from _opening(job.at)
            while leaving and leaving[0][0] <= job.at:
                yield _withdrawal(*heapq.heappop(leaving))
            self._open[job.id] = job
            yield SubscriptionAdded(at=job.at, subscription=_wish(job))
            if (after_s := self._withdrawn_after_s(job)) is not None:
                heapq.heappush(leaving, (job.at + after_s, job.id))
        yield from (_withdrawal(*each) for each in sorted(leaving))

    def cut(self, command: CutTask, at: float) -> TaskCut:
        """Return the parts that the job has."""
        job = self._open[command.subscription_id]
        parts = tuple(part_of(part_s, job.part_bytes) for part_s in job.parts_s)
        return TaskCut(
            at=at, task_id=command.task_id, parts=parts, partitioner="as given", version="1"
        )

    def run_s(self, name: str, position: int, part: PartSpec) -> float | None:
        """Return how long a part of a job takes, where that is known [reference s]."""
        true_parts_s = self._open[_job_id(name)].true_parts_s
        return None if true_parts_s is None else true_parts_s[position]

    def predicted_s(self, part: PartSpec) -> float:
        """Return the length that the job gives for a part [reference s]."""
        return COSTS.seconds(part.features)

    def size_bytes(self, name: str) -> int:
        """Return the size of a job's product [bytes]."""
        return self._open[_job_id(name)].size_bytes

    def ended(self, name: str, at: float) -> Iterable[AnyEvent]:
        """Forget the job: nobody subscribes to it any more."""
        return (_withdrawal(at, self._open.pop(_job_id(name)).id),)


def _job_id(name: str) -> str:
    """Return whose product this is: each job has one, of its only version up to update 0."""
    return name.removesuffix("-v1-to-u0")


def _withdrawal(at: float, job_id: str) -> SubscriptionRemoved:
    return SubscriptionRemoved(at=at, subscription_id=job_id)


def part_of(predicted_s: float, size_bytes: int = 0) -> PartSpec:
    """Return a part that is predicted to take so long [reference s]."""
    features = Features(values=round(VALUES_PER_S * predicted_s), size_bytes=size_bytes)
    return PartSpec(extent=EVERYWHERE, features=features)


EVERYWHERE = Extent(box=GLOBE)

_VIEWS = (View(dataset=DATASET, application=APPLICATION, extent=EVERYWHERE),)


def _opening(at: float) -> Iterator[AnyEvent]:
    yield ApplicationCalibrated(at=at, dataset=DATASET, application=APPLICATION, costs=COSTS)
    yield UpdateArrived(at=at, dataset=DATASET, number=0, observations=None)


def _wish(job: Job) -> Subscription:
    return Subscription(
        id=job.id,
        views=_VIEWS,
        destination="",
        deadline_s=job.deadline_s,
        priority=job.priority,
        backfill=True,
    )
