"""A load rehearsed: the live planner in a world where everything takes as long as predicted.

It answers, before any work is done and any node is paid for, when each task would be delivered and
how many nodes would stand. Time is virtual (SimPy); events are callbacks, not processes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

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


class EndlessRehearsal(SlackwaterError):
    """Under the policy and settings that were tried, the load is never delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the rehearsed world is like.

    Parameters
    ----------
    cut : callable
        Answers `CutTask`, as the real cutter does.
    run_s : callable
        True run time of a part [reference s], from its features.
    settle_s : float
        Time to combine, and again to deliver, one product [s].
    offers : tuple of NodeOffer
        Each boots in its `boot_s`.
    """

    cut: Callable[[CutTask, float], TaskCut]
    run_s: Callable[[Features], float]
    settle_s: float
    offers: tuple[NodeOffer, ...]


class Rehearsal:
    """Plays a world around one planner, in virtual time.

    Parameters
    ----------
    planner : Planner
        Fresh, with the settings to be tried.
    world : World
    """

    def __init__(self, planner: Planner, world: World) -> None:
        self._planner = planner
        self._world = world
        self._offers = {offer.node_type: offer for offer in world.offers}
        self._speeds: dict[str, float] = {}
        self._slots: dict[str, list[float]] = {}
        self._results = Results()
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
            if self._env.peek() == float("inf") or self._is_over():
                self._results.ended_at = self._env.now
                return self._results
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
        for command in commands:
            self._obey(command)
        if not self._ticking and not isinstance(event, Ticked):
            self._ticking = True
            self._at(self._env.now, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self._happen(Ticked(at=self._env.now))

    def _obey(self, command: AnyCommand) -> None:
        now, settled_at = self._env.now, self._env.now + self._world.settle_s
        match command:
            case CutTask():
                self._at(now, lambda: self._happen(self._world.cut(command, now)))
            case RunPart():
                self._run(command)
            case CombineProduct():
                self._at(settled_at, lambda: self._happen(_combined(command, settled_at)))
            case DeliverProduct():
                self._at(settled_at, lambda: self._happen(_delivered(command, settled_at)))
            case ProvisionNode():
                self._launch(command)
            case SetWorkers(node_id=node_id, workers=workers):
                self._join(node_id, workers)
            case RemoveNode(node_id=node_id):
                del self._speeds[node_id]
                self._at(now, lambda: self._happen(NodeRemoved(at=now, node_id=node_id)))
            case WakeAt(wake_at=wake_at):
                self._at(wake_at, self._tick)

    def _launch(self, command: ProvisionNode) -> None:
        offer = self._offers[command.node_type]
        self._speeds[command.node_id] = offer.speed
        ready_at = self._env.now + offer.boot_s
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
        run_s = self._world.run_s(found[1].features) / self._speeds[command.node_id]
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

    def _at(self, instant: float, act: Callable[[], None]) -> None:
        timeout = self._env.timeout(max(0.0, instant - self._env.now))
        assert timeout.callbacks is not None
        timeout.callbacks.append(lambda _: act())


def _combined(command: CombineProduct, at: float) -> ProductCombined:
    product = Product(url="", rows=0, size_bytes=0, sha256="", digest="")
    return ProductCombined(
        at=at, task_id=command.task_id, attempt=command.attempt, run_s=0.0, product=product
    )


def _delivered(command: DeliverProduct, at: float) -> ProductDelivered:
    return ProductDelivered(
        at=at, task_id=command.task_id, attempt=command.attempt, run_s=0.0, manifest_url=""
    )
