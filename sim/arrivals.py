"""Jobs drawn for a scenario: bursts, random streams, and standing subscriptions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from planner.commands import CutTask
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    SubscriptionAdded,
    TaskCut,
    UpdateArrived,
)
from planner.model import PartSpec, Subscription, View, product_id
from sim.chance import Chance
from sim.scenario import Bursts, Drawn, DrawnJobs, Standing, Stream
from sim.workload import APPLICATION, COSTS, DATASET, EVERYWHERE, Job, part_of

BEGINS_AT = 1_767_225_600.0
"""Where the clock of a drawn load stands first: 2026-01-01 [POSIX s]."""


def burst_jobs(load: Bursts, chance: Chance) -> Iterator[Job]:
    """Return the jobs of a load of bursts."""
    for burst in range(load.bursts):
        at = BEGINS_AT + burst * load.every_s
        for number in range(chance.whole(*load.tasks, "burst", burst)):
            yield _job(load, chance, f"b{burst}-{number}", at)


def stream_jobs(load: Stream, chance: Chance) -> Iterator[Job]:
    """Return the jobs of a random stream: arrivals of the highest rate, thinned to the rate."""
    highest = load.per_h / 3600.0 * (1.0 + load.swing)
    after_s, number = 0.0, 0
    while True:
        number += 1
        after_s += chance.exponential(highest, "gap", number)
        if after_s >= load.hours * 3600.0:
            return
        swung = 1.0 + load.swing * math.sin(2.0 * math.pi * after_s / load.swing_s)
        if chance.happens(swung / (1.0 + load.swing), "thinned", number):
            yield _job(load, chance, f"j{number}", BEGINS_AT + after_s)


def _job(load: DrawnJobs, chance: Chance, name: str, at: float) -> Job:
    return Job(
        id=name,
        at=at,
        deadline_s=chance.between(*load.deadline_s, "deadline", name),
        parts_s=parts_of(load, chance, name),
        part_bytes=round(chance.between(*load.part_bytes, "bytes", name)),
        size_bytes=load.product_bytes,
    )


def parts_of(load: Drawn, chance: Chance, name: str) -> tuple[float, ...]:
    """Return the predicted lengths of a task's parts: uneven, and together its work [s]."""
    work_s = chance.between(*load.work_s, "work", name)
    uneven = load.unevenness
    shares = [
        chance.between(1.0 - uneven, 1.0 + uneven, "part", name, number)
        for number in range(load.parts)
    ]
    return tuple(work_s * share / sum(shares) for share in shares)


class StandingLoad:
    """Subscriptions to one dataset, each of which every update makes a task of."""

    def __init__(self, load: Standing, chance: Chance) -> None:
        self._load = load
        self._chance = chance

    def events(self) -> Iterator[AnyEvent]:
        """Return the first state, the subscriptions, and then the updates."""
        at, load = BEGINS_AT, self._load
        yield ApplicationCalibrated(at=at, dataset=DATASET, application=APPLICATION, costs=COSTS)
        yield UpdateArrived(at=at, dataset=DATASET, number=0, observations=None)
        for number in range(load.subscriptions):
            yield SubscriptionAdded(at=at, subscription=self._subscription(number))
        for number in range(1, load.updates + 1):
            at = BEGINS_AT + number * load.every_s
            yield UpdateArrived(at=at, dataset=DATASET, number=number, observations=None)

    def _subscription(self, number: int) -> Subscription:
        name = f"s{number}"
        return Subscription(
            id=name,
            views=(View(dataset=DATASET, application=APPLICATION, extent=EVERYWHERE),),
            destination="",
            deadline_s=self._chance.between(*self._load.deadline_s, "deadline", name),
        )

    def cut(self, command: CutTask, at: float) -> TaskCut:
        """Return parts as the load draws them for the task."""
        name = product_id(command.subscription_id, command.version, command.selections)
        parts = tuple(map(part_of, parts_of(self._load, self._chance, name)))
        return TaskCut(
            at=at, task_id=command.task_id, parts=parts, partitioner="drawn", version="1"
        )

    def run_s(self, name: str, position: int, part: PartSpec) -> None:
        """Return nothing: the world draws the truth."""

    def predicted_s(self, part: PartSpec) -> float:
        """Return the length that was drawn for a part [reference s]."""
        return COSTS.seconds(part.features)

    def size_bytes(self, name: str) -> int:
        """Return the size of a product [bytes]."""
        return self._load.product_bytes

    def ended(self, name: str, at: float) -> Iterable[AnyEvent]:
        """Return nothing: the subscription stands on."""
        return ()
