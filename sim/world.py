"""The world around one planner, in virtual time: nodes, slots, products, and all that befalls them.

It obeys every command and tells what came of it as the next event, like the live service: one batch
of events an instant, ended by one tick. How long things take and what goes wrong is asked of a
`sim.nature.Nature`. Time is SimPy's; events are callbacks, for a process a task would cost five
times as much.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import simpy

from planner.backlog import Task
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    StopPart,
    UndrainNode,
    WakeAt,
)
from planner.core import Planner
from planner.errors import SlackwaterError
from planner.events import (
    AnyEvent,
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionRemoved,
    TaskCut,
    Ticked,
)
from planner.model import Fragment, NodeOffer, Product, product_id
from planner.results import ENDS
from sim.nature import Attempt, Errand, Nature

EVENTS_MAX = 200_000_000
"""A run that needs more events than this is given up: its fleet makes no progress."""

AFTERMATH_S_MAX = 6 * 3600.0
"""A fleet that still stands this long after the last delivery is taken to stand for ever [s]."""

STALLED_S_MAX = 86400.0
"""A run in which tasks wait and nothing arrives, runs or ends for so long [s] is given up, unless
they wait for the money of the next period."""

Watch = Callable[[AnyEvent, list[AnyCommand]], None]
"""Is shown each step."""

Advise = Callable[[float], AnyEvent | None]
"""Is asked when a batch has ended, and may have something to tell before its tick."""


class EndlessRun(SlackwaterError):
    """Under the policy and settings that were tried, the load is never delivered."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """A node as the world knows it.

    Parameters
    ----------
    offer : NodeOffer
    workers : int
        0 until it is ready.
    running, queued : dict and deque of RunPart
        Parts on its slots, by id, and those that were sent ahead.
    """

    offer: NodeOffer
    workers: int = 0
    running: dict[str, RunPart] = field(default_factory=dict)
    queued: deque[RunPart] = field(default_factory=deque)

    def forget(self, part_id: str) -> None:
        """Let an attempt be as if it had never been sent."""
        self.running.pop(part_id, None)
        if any(command.part_id == part_id for command in self.queued):
            self.queued = deque(each for each in self.queued if each.part_id != part_id)


class World:
    """Plays a world around one planner.

    Parameters
    ----------
    planner : Planner
        Fresh, with the settings to be tried.
    nature : Nature
    watch : callable, optional
        Is shown each step.
    advise : callable, optional
        Is asked before each tick at its instant [POSIX s] what else to tell the planner.
    plays_out : bool
        Go on after the last delivery until the fleet is gone, since it costs money until then.
    events_max : int
        A run that needs more is given up.

    Attributes
    ----------
    nodes : dict of str to Standing
        All nodes that were asked for and are not yet gone.
    errands : dict of str to Errand
        All open tasks.
    """

    def __init__(
        self,
        planner: Planner,
        nature: Nature,
        watch: Watch = lambda event, commands: None,
        *,
        advise: Advise = lambda at: None,
        plays_out: bool = True,
        events_max: int = EVENTS_MAX,
    ) -> None:
        self.planner = planner
        self.nodes: dict[str, Standing] = {}
        self.errands: dict[str, Errand] = {}
        self.events = 0
        self._nature = nature
        self._watch = watch
        self._advise = advise
        self._plays_out = plays_out
        self._events_max = events_max
        self._told_at = -math.inf
        self._busy_until = self._progress_at = -math.inf
        self._offers: dict[str, NodeOffer] = {}
        self._combining = [-math.inf] * nature.combining_max
        self._delivering = [-math.inf] * nature.deliveries_max
        self._outside: Iterator[AnyEvent] = iter(())
        self._has_more = False
        self._ticking = False
        self._env = simpy.Environment()

    @property
    def now(self) -> float:
        """The instant [POSIX s]; a timer may fire a rounding error before what it is set for."""
        return max(self._env.now, self._told_at)

    def run(self, outside: Iterable[AnyEvent]) -> float:
        """Feed outside events, which come in order of time, and play on until nothing more happens.

        Returns
        -------
        float
            When all was over [POSIX s].

        Raises
        ------
        EndlessRun
            It made no end within `events_max` events.
        """
        self._outside = iter(outside)
        first = next(self._outside, None)
        self._env = env = simpy.Environment(initial_time=first.at if first else 0.0)
        self._expect(first)
        while self.events < self._events_max:
            coming_at = env.peek()
            if self._ticking and coming_at > env.now:
                if (advice := self._advise(self.now)) is not None:
                    self._happen(advice)
                self._ticking = False
                self._happen(Ticked(at=self.now))
            elif (over_at := self._over_at(coming_at)) is not None:
                return over_at
            else:
                env.step()
        raise _endless(f"within {self._events_max:,} events")

    def _over_at(self, coming_at: float) -> float | None:
        """Return when all is over [POSIX s], given what comes next; None while it goes on."""
        if self._has_more or self._ticking or self.errands or self.planner.books.desk.pages:
            self._busy_until = self.now
            if self.errands and self.now > self._progress_at + STALLED_S_MAX:
                self._refuse_stalling()
            return self.now if coming_at == math.inf else None
        if not self._plays_out or len(self.nodes) <= self.planner.settings.scaling.nodes_min:
            return self.now
        last_at = self._busy_until + AFTERMATH_S_MAX
        return last_at if coming_at > last_at else None

    def _refuse_stalling(self) -> None:
        scaling = self.planner.settings.scaling
        patience_s = STALLED_S_MAX + (0.0 if scaling.budget is None else scaling.budget_period_s)
        runs = any(node.running for node in self.nodes.values())
        if not runs and self.now > self._progress_at + patience_s:
            raise _endless(f"for {patience_s / 3600.0:.0f} h of its own time")

    def _expect(self, event: AnyEvent | None) -> None:
        """Let the next outside event come at its instant; those after it are not yet drawn."""
        self._has_more = event is not None
        if event is not None:
            self._at(event.at, partial(self._arrive, event))

    def _arrive(self, event: AnyEvent) -> None:
        if isinstance(event, OffersChanged):
            self._offers |= {offer.node_type: offer for offer in event.offers}
        self._progress_at = self.now
        self._happen(event)
        self._expect(next(self._outside, None))

    def _happen(self, event: AnyEvent) -> None:
        self.events += 1
        self._told_at = max(self._told_at, event.at)
        dropped: list[Task] = []
        if isinstance(event, SubscriptionRemoved):
            dropped = self.planner.books.backlog.of_subscription(event.subscription_id)
        commands = self.planner.handle(event)
        for command in commands:
            _OBEY[type(command)](self, command)
        for task in dropped:
            self._close(task.id)
        self._watch(event, commands)
        if not isinstance(event, Ticked):
            self._ticking = True

    # --- tasks

    def _cut(self, command: CutTask) -> None:
        name = product_id(command.subscription_id, command.version, command.selections)
        self.errands[command.task_id] = Errand(name=name)
        self._at(self.now, partial(self._answer_cut, command))

    def _answer_cut(self, command: CutTask) -> None:
        task_id = command.task_id
        errand = self.errands.get(task_id)
        if errand is None:
            return
        answer = self._nature.cut(command, self.now)
        if isinstance(answer, TaskCut):
            errand.parts = answer.parts
        self._happen(answer)
        if task_id not in self.planner.books.backlog.tasks:
            self._close(task_id)  # It held nothing, or could not be cut.

    def _combine(self, command: CombineProduct) -> None:
        settled = self._nature.combine(self.errands[command.task_id], command)
        at = self._served(self._combining, settled.takes_s)
        told: AnyEvent = CombineFailed(
            at=at, task_id=command.task_id, attempt=command.attempt, reason=settled.fault
        )
        if not settled.fault:
            made = Product(url="", rows=0, size_bytes=settled.size_bytes, sha256="", digest="")
            told = ProductCombined(
                at=at,
                task_id=command.task_id,
                attempt=command.attempt,
                run_s=settled.takes_s,
                product=made,
            )
        self._tell(told, doubled=settled.doubled)

    def _deliver(self, command: DeliverProduct) -> None:
        settled = self._nature.deliver(self.errands[command.task_id], command)
        at = self._served(self._delivering, settled.takes_s)
        told: AnyEvent = DeliveryFailed(
            at=at, task_id=command.task_id, attempt=command.attempt, reason=settled.fault
        )
        if not settled.fault:
            told = ProductDelivered(
                at=at,
                task_id=command.task_id,
                attempt=command.attempt,
                run_s=settled.takes_s,
                manifest_url="",
            )
        self._tell(told, doubled=settled.doubled)

    def _notify(self, command: Notify) -> None:
        if command.kind in ENDS:
            self._close(command.task_id)

    def _close(self, task_id: str) -> None:
        errand = self.errands.pop(task_id, None)
        if errand is not None:
            for event in self._nature.ended(errand, self.now):
                self._at(self.now, partial(self._happen, event))

    def _served(self, free_at: list[float], service_s: float) -> float:
        """Take the lane that is free first; return when it has served for so long."""
        end_at = max(self.now, free_at[0]) + service_s
        heapq.heapreplace(free_at, end_at)
        return end_at

    # --- parts

    def _run(self, command: RunPart) -> None:
        node = self.nodes.get(command.node_id)
        if node is None:
            return  # It vanished at this very instant, and the planner is told so next.
        if len(node.running) < node.workers:
            self._begin(node, command)
        else:
            node.queued.append(command)

    def _begin(self, node: Standing, command: RunPart) -> None:
        node.running[command.part_id] = command
        errand = self.errands[command.task_id]
        attempt = self._nature.attempt(errand, command, node.offer)
        self._at(self.now + attempt.run_s, partial(self._end, node, command, attempt))

    def _end(self, node: Standing, command: RunPart, attempt: Attempt) -> None:
        if node.running.get(command.part_id) is not command:
            return  # It was stopped, or went down with its node.
        del node.running[command.part_id]
        self._progress_at = self.now
        while node.queued and len(node.running) < node.workers:
            self._begin(node, node.queued.popleft())
        event = _end_of(command, attempt, self.now)
        self._happen(event)
        if attempt.doubled:
            self._tell(event)

    def _stop(self, command: StopPart) -> None:
        for node in self.nodes.values():
            node.forget(command.part_id)
            while node.queued and len(node.running) < node.workers:
                self._begin(node, node.queued.popleft())

    # --- nodes

    def _provision(self, command: ProvisionNode) -> None:
        offer = self._offers[command.node_type]
        node = self.nodes[command.node_id] = Standing(offer=offer)
        boot = self._nature.boot(command, offer)
        if boot.boot_s == math.inf:
            return
        at = self.now + boot.boot_s
        if boot.fault:
            told = NodeRefused if boot.refused else NodeLost
            event = told(at=at, node_id=command.node_id, reason=boot.fault)
            self._at(at, partial(self._vanish, node, event))
            return
        self._at(at, partial(self._join, node, command.node_id, command.workers))
        if boot.stands_s < math.inf:
            gone_at = at + boot.stands_s
            gone = NodeLost(at=gone_at, node_id=command.node_id, reason=boot.end_reason)
            self._at(gone_at, partial(self._vanish, node, gone))

    def _join(self, node: Standing, node_id: str, workers: int) -> None:
        if self.nodes.get(node_id) is not node:
            return  # It was removed while it booted.
        node.workers = max(node.workers, workers)
        self._happen(NodeReady(at=self.now, node_id=node_id, workers=node.workers))

    def _vanish(self, node: Standing, event: NodeLost | NodeRefused) -> None:
        if self.nodes.get(event.node_id) is node:
            del self.nodes[event.node_id]
            node.running.clear()
            node.queued.clear()
            self._happen(event)

    def _set_workers(self, command: SetWorkers) -> None:
        node = self.nodes.get(command.node_id)
        if node is not None:
            join = partial(self._join, node, command.node_id, command.workers)
            self._at(self.now, join)

    def _remove(self, command: RemoveNode) -> None:
        node = self.nodes.pop(command.node_id, None)
        if node is not None:
            node.running.clear()
            node.queued.clear()
        removed = NodeRemoved(at=self.now, node_id=command.node_id)
        self._at(self.now, partial(self._happen, removed))

    # --- time

    def _wake(self, command: WakeAt) -> None:
        self._at(command.wake_at, self._tick_soon)

    def _tick_soon(self) -> None:
        """Let a tick end the batch of what happens at this instant."""
        self._ticking = True

    def _nothing(self, command: DrainNode | UndrainNode) -> None:
        """Do nothing: the planner itself sends a draining node no more parts."""

    def _tell(self, event: AnyEvent, *, doubled: bool = False) -> None:
        for _ in range(1 + doubled):
            self._at(event.at, partial(self._happen, event))

    def _at(self, instant: float, act: Callable[[], None]) -> None:
        timeout = self._env.timeout(max(0.0, instant - self._env.now))
        assert timeout.callbacks is not None
        timeout.callbacks.append(lambda _: act())


_OBEY: dict[type, Callable[[World, Any], None]] = {
    CutTask: World._cut,
    RunPart: World._run,
    StopPart: World._stop,
    CombineProduct: World._combine,
    DeliverProduct: World._deliver,
    Notify: World._notify,
    ProvisionNode: World._provision,
    SetWorkers: World._set_workers,
    DrainNode: World._nothing,
    UndrainNode: World._nothing,
    RemoveNode: World._remove,
    WakeAt: World._wake,
}


def _endless(how_long: str) -> EndlessRun:
    return EndlessRun(
        f"the run made no progress {how_long}",
        fix="Try another scaling policy, or settings under which nodes come up",
    )


def _end_of(command: RunPart, attempt: Attempt, at: float) -> AnyEvent:
    if attempt.lost:
        return AttemptLost(
            at=at, part_id=command.part_id, attempt=command.attempt, reason=attempt.fault
        )
    if attempt.fault:
        return PartFailed(
            at=at, part_id=command.part_id, attempt=command.attempt, reason=attempt.fault
        )
    return PartFinished(
        at=at,
        part_id=command.part_id,
        attempt=command.attempt,
        node_id=command.node_id,
        run_s=attempt.run_s,
        fragment=_FRAGMENT,
    )


_FRAGMENT = Fragment(url="", rows=0, size_bytes=0, sha256="")
