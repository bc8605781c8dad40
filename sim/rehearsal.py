"""A load rehearsed: the live planner in a world without surprises.

It answers, before any work is done and any node is paid for, when each task would be delivered and
how many nodes would stand, if everything took as long as it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RunPart,
)
from planner.core import Planner
from planner.events import AnyEvent, TaskCut
from planner.model import Features, NodeOffer
from planner.results import Results
from sim.nature import Attempt, Boot, Errand, Settled
from sim.world import Watch, World

EVENTS_MAX = 2_000_000
"""A rehearsal that needs more events than this is given up: its fleet makes no progress."""

Cutter = Callable[[CutTask, float], TaskCut]
"""Answers `CutTask`, at an instant [POSIX s]."""


class Settling(NamedTuple):
    """What becomes of a task's fragments: two spans [s], and the product's size [bytes]."""

    combine_s: float
    deliver_s: float
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """A nature in which nothing goes wrong.

    Parameters
    ----------
    cut_as : callable
        Answers `CutTask`, as the real cutter does.
    run_s : callable
        True run time of a part [reference s], from the order to run it and its features.
    settle : callable
        What combining and delivering a task takes, from its id.
    boot_s : callable
        True boot time of a node of an offer [s].
    combining_max, deliveries_max : int
        Products combined, and delivered, at the same time: those of the live service.
    """

    cut_as: Cutter
    run_s: Callable[[RunPart, Features], float]
    settle: Callable[[str], Settling]
    boot_s: Callable[[NodeOffer], float]
    combining_max: int = 1
    deliveries_max: int = 4

    def cut(self, command: CutTask, at: float) -> TaskCut:
        """Answer `CutTask`."""
        return self.cut_as(command, at)

    def attempt(self, errand: Errand, command: RunPart, offer: NodeOffer) -> Attempt:
        """Let a part take its time on a node."""
        part = errand.parts[int(command.part_id.rpartition("/")[2])]
        return Attempt(self.run_s(command, part.features) / offer.speed)

    def combine(self, errand: Errand, command: CombineProduct) -> Settled:
        """Let combining take its time."""
        settling = self.settle(command.task_id)
        return Settled(settling.combine_s, settling.size_bytes)

    def deliver(self, errand: Errand, command: DeliverProduct) -> Settled:
        """Let a delivery take its time."""
        return Settled(self.settle(command.task_id).deliver_s)

    def boot(self, command: ProvisionNode, offer: NodeOffer) -> Boot:
        """Let a node come up."""
        return Boot(self.boot_s(offer))

    def ended(self, errand: Errand, at: float) -> list[AnyEvent]:
        """Let nothing come of the end of a task."""
        return []


def rehearse(
    planner: Planner,
    nature: Foreseen,
    events: Iterable[AnyEvent],
    watch: Watch = lambda event, commands: None,
) -> Results:
    """Feed outside events at their instants and play on until every task has ended.

    Parameters
    ----------
    planner : Planner
        Fresh, with the settings to be tried.
    nature : Foreseen
    events : iterable of AnyEvent
        In any order.
    watch : callable, optional
        Is shown each step.

    Raises
    ------
    EndlessRun
        It made no end within `EVENTS_MAX` events.
    """
    results = Results()

    def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
        results.see(event, commands)
        watch(event, commands)

    world = World(planner, nature, see, plays_out=False, events_max=EVENTS_MAX)
    results.ended_at = world.run(sorted(events, key=lambda event: event.at))
    return results
