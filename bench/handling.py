"""What an update costs in the planner: matched, cut, queued, and judged once a batch."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from planner.commands import CutTask
from planner.core import Planner
from planner.events import (
    NodeReady,
    OffersChanged,
    SubscriptionAdded,
    TaskCut,
    Ticked,
    UpdateArrived,
)
from planner.extent import Box, Extent
from planner.model import Features, NodeOffer, Observations, PartSpec, Subscription, View
from planner.settings import PlannerSettings

DATASET = "10.17882/42182"
OFFER = NodeOffer(node_type="vm", slots=2, slots_max=2, boot_s=120.0, nodes_max=64)
CELL_DEG = 10
CELLS = [
    (float(west), float(south))
    for west in range(-180, 180, CELL_DEG)
    for south in range(-90, 90, CELL_DEG)
]
"""South-west corners of a grid over the globe."""

BATCH = 256
BATCHES = 12
FEW, MANY = 1_000, 100_000
WAITING_DEADLINE_S = 40 * 86_400.0
"""Far enough that the fleet can do all that waits in time."""


def subscriptions() -> Iterator[Subscription]:
    """Return one subscription for each cell."""
    for number, (west, south) in enumerate(CELLS):
        box = Box(west=west, south=south, east=west + CELL_DEG, north=south + CELL_DEG)
        view = View(dataset=DATASET, application="argo", extent=Extent(box=box))
        yield Subscription(
            id=f"s{number}", views=(view,), destination="/p", deadline_s=WAITING_DEADLINE_S
        )


def update(number: int, at: float) -> UpdateArrived:
    """Return an update of one profile, which concerns one subscription."""
    west, south = CELLS[number % len(CELLS)]
    observations = Observations(
        time_s=(1.6e9,),
        longitude=(west + 5.0,),
        latitude=(south + 5.0,),
        parameter_set=(0,),
        parameter_sets=(("PRES", "PSAL", "TEMP"),),
    )
    return UpdateArrived(at=at, dataset=DATASET, number=number, observations=observations)


def answer(command: CutTask, at: float) -> TaskCut:
    """Return the cut of a task in two parts."""
    part = PartSpec(
        extent=command.selections[0].view.extent, features=Features(files=40, values=80)
    )
    return TaskCut(at=at, task_id=command.task_id, parts=(part, part), partitioner="b", version="1")


class Load:
    """A planner with one node and a number of waiting tasks, and the events to feed it."""

    def __init__(self, waiting: int) -> None:
        scaling = replace(PlannerSettings().scaling, nodes_max=64)
        self.planner = Planner(replace(PlannerSettings(), scaling=scaling))
        self.at = 0.0
        self._number = 0
        self.planner.handle(OffersChanged(at=0.0, offers=(OFFER,)))
        self.planner.handle(update(0, 0.0))
        for subscription in subscriptions():
            self.planner.handle(SubscriptionAdded(at=0.0, subscription=subscription))
        while len(self.planner.books.backlog) < waiting:
            self.batch()
        for node_id in list(self.planner.books.fleet.nodes):
            self.planner.handle(NodeReady(at=self.at, node_id=node_id, workers=2))
        self.planner.handle(Ticked(at=self.at))

    def batch(self) -> None:
        """Handle one batch: updates, their cuts, and the tick that judges them."""
        self.at += 1.0
        for _ in range(BATCH // 2):
            self._number += 1
            commands = self.planner.handle(update(self._number, self.at))
            for command in commands:
                if isinstance(command, CutTask):
                    self.planner.handle(answer(command, self.at))
        self.planner.handle(Ticked(at=self.at))


def per_event_s(load: Load) -> float:
    """Return the median time of an event [s], the evaluation of its batch included."""
    times = []
    gc.collect()
    for _ in range(BATCHES):
        began = time.perf_counter()
        load.batch()
        times.append((time.perf_counter() - began) / (BATCH + 1))
    return median(times)


def measure() -> dict[str, float]:
    """Return events/s with few waiting tasks, and what an event costs with many, as a ratio."""
    few, many = Load(FEW), Load(MANY)
    pairs = [(per_event_s(few), per_event_s(many)) for _ in range(3)]
    few_s, many_s = sorted(pairs, key=lambda pair: pair[1] / pair[0])[1]
    return {
        "events_per_s_at_1000_waiting": 1.0 / few_s,
        "events_per_s_at_100000_waiting": 1.0 / many_s,
        "cost_ratio_100000_to_1000_waiting": many_s / few_s,
    }
