"""A load rehearsed: the live planner in a world where everything takes as long as it is told to.

It answers, before any work is done and any node is paid for, when each task would be delivered and
how many nodes would stand. Time is virtual (SimPy); events are callbacks, not processes.

As the live service it combines one product at a time and delivers a few, and what happens at one
instant is one batch that ends with one tick.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import simpy

from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    WakeAt,
)
from planner.core import Planner
from planner.errors import SlackwaterError
from planner.events import (
    AnyEvent,
    NodeReady,
    NodeRemoved,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    TaskCut,
    Ticked,
)
from planner.model import Features, Fragment, NodeOffer, Product
from planner.results import Results

EVENTS_MAX = 2_000_000
"""A rehearsal that needs more events than this is given up: its fleet makes no progress."""


Cutter = Callable[[CutTask, float], TaskCut]
"""Answers `CutTask`, at an instant [POSIX s]."""


class EndlessRehearsal(SlackwaterError):
    """Under the policy and settings that were tried, the load is never delivered."""


class Settling(NamedTuple):
    """What becomes of a task's fragments: two spans [s], and the product's size [bytes]."""

    combine_s: float
    deliver_s: float
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the rehearsed world is like.

    Parameters
    ----------
    cut : callable
        Answers `CutTask`, as the real cutter does.
    run_s : callable
        True run time of a part [reference s], from the order to run it and its features.
    settle : callable
        What combining and delivering a task takes, from its id.
    boot_s : callable
        True boot time of a node of an offer [s].
    offers : tuple of NodeOffer
    combining_max, deliveries_max : int
        Products combined, and delivered, at the same time.
    """

    cut: Cutter
    run_s: Callable[[RunPart, Features], float]
    settle: Callable[[str], Settling]
    boot_s: Callable[[NodeOffer], float]
    offers: tuple[NodeOffer, ...]
    combining_max: int = 1
    deliveries_max: int = 4


class Rehearsal:
    """Plays a world around one planner, in virtual time.

    Parameters
    ----------
    planner : Planner
        Fresh, with the settings to be tried.
    world : World
    watch : callable, optional
        Is shown each step.
    """

    def __init__(
        self,
        planner: Planner,
        world: World,
        watch: Callable[[AnyEvent, list[AnyCommand]], None] = lambda event, commands: None,
    ) -> None:
        self._planner = planner
        self._world = world
        self._watch = watch
        self._offers = {offer.node_type: offer for offer in world.offers}
        self._speeds: dict[str, float] = {}
        self._slots: dict[str, list[float]] = {}
        self._results = Results()
        self._combining = [-math.inf] * world.combining_max
        self._delivering = [-math.inf] * world.deliveries_max
        self._to_come = 0
        self._ticking = False
        self._env = simpy.Environment()

    def run(self, events: Iterable[AnyEvent]) -> Results:
        """Feed outside events at their instants and play on until nothing more happens.

        Raises
        ------
        EndlessRehearsal
            It made no end within `EVENTS_MAX` events.
        """
        outside = sorted(events, key=lambda event: event.at)
        self._env = simpy.Environment(initial_time=outside[0].at if outside else 0.0)
        self._to_come = len(outside)
        for event in outside:
            self._at(event.at, partial(self._arrive, event))
        for _ in range(EVENTS_MAX):
            coming_at = self._env.peek()
            if self._ticking and coming_at > self._env.now:
                self._ticking = False
                self._happen(Ticked(at=self._env.now))
            elif coming_at == math.inf or self._is_over():
                self._results.ended_at = self._env.now
                return self._results
            else:
                self._env.step()
        raise EndlessRehearsal(
            f"a rehearsal made no end within {EVENTS_MAX} events",
            fix="Try another scaling policy, or settings under which nodes come up",
        )

    def _is_over(self) -> bool:
        books = self._planner.books
        return not (self._to_come or self._ticking or books.backlog.tasks or books.desk.pages)

    def _arrive(self, event: AnyEvent) -> None:
        self._to_come -= 1
        self._happen(event)

    def _happen(self, event: AnyEvent) -> None:
        commands = self._planner.handle(event)
        self._results.see(event, commands)
        self._watch(event, commands)
        for command in commands:
            self._obey(command)
        if not isinstance(event, Ticked):
            self._tick_soon()

    def _tick_soon(self) -> None:
        """Let a tick end the batch of what happens at this instant."""
        self._ticking = True

    def _obey(self, command: AnyCommand) -> None:
        now = self._env.now
        match command:
            case CutTask():
                self._at(now, lambda: self._happen(self._world.cut(command, now)))
            case RunPart():
                self._run(command)
            case CombineProduct():
                self._combine(command)
            case DeliverProduct():
                self._deliver(command)
            case ProvisionNode():
                self._launch(command)
            case SetWorkers(node_id=node_id, workers=workers):
                self._join(node_id, workers)
            case RemoveNode(node_id=node_id):
                del self._speeds[node_id]
                self._at(now, lambda: self._happen(NodeRemoved(at=now, node_id=node_id)))
            case WakeAt(wake_at=wake_at):
                self._at(wake_at, self._tick_soon)

    def _launch(self, command: ProvisionNode) -> None:
        offer = self._offers[command.node_type]
        self._speeds[command.node_id] = offer.speed
        ready_at = self._env.now + self._world.boot_s(offer)
        self._at(ready_at, lambda: self._join(command.node_id, command.workers))

    def _join(self, node_id: str, workers: int) -> None:
        if node_id not in self._speeds:
            return  # It was removed while it booted.
        slots = self._slots.setdefault(node_id, [])
        while len(slots) < workers:
            heapq.heappush(slots, self._env.now)
        self._happen(NodeReady(at=self._env.now, node_id=node_id, workers=workers))

    def _run(self, command: RunPart) -> None:
        found = self._planner.books.backlog.part(command.part_id)
        assert found is not None, "a part that is commanded stands in the books"
        run_s = self._world.run_s(command, found[1].features) / self._speeds[command.node_id]
        slots = self._slots[command.node_id]
        end_at = max(self._env.now, slots[0]) + run_s
        heapq.heapreplace(slots, end_at)
        finished = PartFinished(
            at=end_at,
            part_id=command.part_id,
            attempt=command.attempt,
            node_id=command.node_id,
            run_s=run_s,
            fragment=Fragment(url="", rows=0, size_bytes=0, sha256=""),
        )
        self._at(end_at, lambda: self._happen(finished))

    def _combine(self, command: CombineProduct) -> None:
        settling = self._world.settle(command.task_id)
        at = self._served(self._combining, settling.combine_s)
        made = Product(url="", rows=0, size_bytes=settling.size_bytes, sha256="", digest="")
        combined = ProductCombined(
            at=at,
            task_id=command.task_id,
            attempt=command.attempt,
            run_s=settling.combine_s,
            product=made,
        )
        self._at(at, lambda: self._happen(combined))

    def _deliver(self, command: DeliverProduct) -> None:
        deliver_s = self._world.settle(command.task_id).deliver_s
        at = self._served(self._delivering, deliver_s)
        delivered = ProductDelivered(
            at=at,
            task_id=command.task_id,
            attempt=command.attempt,
            run_s=deliver_s,
            manifest_url="",
        )
        self._at(at, lambda: self._happen(delivered))

    def _served(self, free_at: list[float], service_s: float) -> float:
        """Take the lane that is free first; return when it has served for so long."""
        end_at = max(self._env.now, free_at[0]) + service_s
        heapq.heapreplace(free_at, end_at)
        return end_at

    def _at(self, instant: float, act: Callable[[], None]) -> None:
        timeout = self._env.timeout(max(0.0, instant - self._env.now))
        assert timeout.callbacks is not None
        timeout.callbacks.append(lambda _: act())
