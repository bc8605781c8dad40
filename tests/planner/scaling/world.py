"""A small world around a policy, in virtual time: nodes boot, parts run, nothing is random."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from planner.admission import assess
from planner.durations import BootTimes
from planner.model import NodeOffer
from planner.ranking import RankedQueue, Waiting
from planner.scaling.policy import Policy
from planner.scaling.view import NodePhase, NodeView, ScalingView
from planner.settings import ScalingSettings

VM = NodeOffer(node_type="vm", slots=2, slots_max=2, boot_s=120.0, nodes_max=1000, price_per_h=0.1)

_numbers = count()


def boots_taking(boot_s: float, node_type: str = "vm") -> BootTimes:
    """Return boots that have always taken exactly this long."""
    return BootTimes(tables={node_type: [boot_s] * 201})


def waiting(
    task_id: str,
    due_at: float = math.inf,
    lengths: Iterable[float] = (100.0,),
    *,
    key: tuple[float, ...] | None = None,
    variance_s2: float = 0.0,
    priority: float = 1.0,
    admitted: bool = True,
) -> Waiting:
    """Return a task with parts of these lengths, ranked by its deadline unless `key` is given."""
    lengths = list(lengths)
    return Waiting(
        key=(0.0 if admitted else 1.0, *(key or (due_at,)), float(next(_numbers))),
        task_id=task_id,
        due_at=due_at,
        parts=len(lengths),
        mean_s=math.fsum(lengths),
        variance_s2=variance_s2,
        longest_s=max(lengths),
        priority=priority,
        admitted=admitted,
    )


def queue_of(*tasks: Waiting) -> RankedQueue:
    queue = RankedQueue()
    for task in tasks:
        queue.add(task)
    return queue


def node(
    node_id: str, *busy_until: float, phase: NodePhase = NodePhase.READY, **fields: Any
) -> NodeView:
    """Return a node of two slots of speed 1, idle but for what is said."""
    requested_at = fields.setdefault("requested_at", -1000.0)
    idle = phase is NodePhase.READY and not busy_until
    given: dict[str, Any] = {
        "node_type": "vm",
        "slots": 2,
        "slots_max": 2,
        "speed": 1.0,
        "price_per_h": 0.1,
    }
    return NodeView(
        node_id=node_id,
        phase=phase,
        busy_until=busy_until,
        idle_since=requested_at if idle else None,
        **(given | fields),
    )


def view_of(
    *tasks: Waiting, nodes: Iterable[NodeView] = (), boot_s: float = 120.0, **fields: Any
) -> ScalingView:
    """Return a view in which all durations are exact and a thousand nodes may be had."""
    given: dict[str, Any] = {
        "now": 0.0,
        "settings": ScalingSettings(),
        "offers": (VM,),
        "boots": boots_taking(boot_s),
        "common_error": 0.0,
        "nodes_allowed": 1000,
    }
    return ScalingView(queue=queue_of(*tasks), nodes=tuple(nodes), **(given | fields))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that comes at an instant, with the lengths of its parts [reference s]."""

    at: float
    task_id: str
    due_at: float
    lengths: tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class Machine:
    """A node of the world; `ends` holds when each running part ends, and whose it is."""

    node_id: str
    workers: int
    requested_at: float
    phase: NodePhase = NodePhase.BOOTING
    idle_since: float | None = None
    ends: list[tuple[float, str]] = field(default_factory=list)


class World:
    """Plays what a policy decides, with parts and boots of exactly the predicted lengths.

    After `run`: `finished_at` by task, `node_s` used in all, `launches`, and since when each task
    was `told_at` to be at risk.
    """

    def __init__(
        self,
        policy: Policy,
        arrivals: Iterable[Arrival],
        *,
        boot_s: float = 120.0,
        settings: ScalingSettings | None = None,
    ) -> None:
        self.policy, self.memory = policy, policy.start()
        self.boot_s, self.boots = boot_s, boots_taking(boot_s)
        self.settings = settings or ScalingSettings(nodes_max=64)
        self.arrivals = sorted(arrivals, key=lambda arrival: arrival.at)
        self.lengths: dict[str, list[float]] = {}
        self.queue = RankedQueue()
        self.machines: dict[str, Machine] = {}
        self.started: set[str] = set()
        self.finished_at: dict[str, float] = {}
        self.told_at: dict[str, float] = {}
        self.node_s, self.launches, self.now = 0.0, 0, 0.0
        self._instants = [arrival.at for arrival in self.arrivals]

    def run(self, steps_max: int = 20_000) -> World:
        """Play until nothing happens any more."""
        for _ in range(steps_max):
            if not self._instants:
                return self
            self.now = heapq.heappop(self._instants)
            self._happen()
            self._judge()
            self._dispatch()
            self._scale()
            self._clear()
        raise AssertionError("the world does not come to rest")

    def _happen(self) -> None:
        while self.arrivals and self.arrivals[0].at <= self.now:
            arrival = self.arrivals.pop(0)
            self.lengths[arrival.task_id] = sorted(arrival.lengths)
            self.queue.add(waiting(arrival.task_id, arrival.due_at, arrival.lengths))
        for machine in self.machines.values():
            for end in [end for end in machine.ends if end[0] <= self.now]:
                machine.ends.remove(end)
                self.finished_at[end[1]] = self.now
            ready_at = machine.requested_at + self.boot_s
            if machine.phase is NodePhase.BOOTING and ready_at <= self.now:
                machine.phase = NodePhase.READY
            if machine.phase is NodePhase.READY and not machine.ends:
                machine.idle_since = machine.idle_since or self.now

    def _dispatch(self) -> None:
        for machine in self.machines.values():
            while machine.phase is NodePhase.READY and len(machine.ends) < machine.workers:
                task = self.queue.first()
                if task is None:
                    return
                self._send(task, machine)

    def _send(self, task: Waiting, machine: Machine) -> None:
        self.started.add(task.task_id)
        lengths = self.lengths[task.task_id]
        end_at = self.now + lengths.pop()
        machine.ends.append((end_at, task.task_id))
        machine.idle_since = None
        heapq.heappush(self._instants, end_at)
        if not lengths:
            self.queue.remove(task.task_id)
            return
        self.queue.update(
            task.task_id,
            parts=len(lengths),
            mean_s=math.fsum(lengths),
            variance_s2=0.0,
            longest_s=lengths[-1],
        )

    def view(self) -> ScalingView:
        return ScalingView(
            now=self.now,
            settings=self.settings,
            queue=self.queue,
            nodes=tuple(self._seen(machine) for machine in self.machines.values()),
            offers=(VM,),
            boots=self.boots,
            common_error=0.0,
            nodes_allowed=self.settings.nodes_max - len(self.machines),
            tasks_started=len(self.started),
        )

    def _seen(self, machine: Machine) -> NodeView:
        return NodeView(
            node_id=machine.node_id,
            node_type="vm",
            phase=machine.phase,
            slots=machine.workers,
            slots_max=2,
            speed=1.0,
            requested_at=machine.requested_at,
            busy_until=tuple(end_at for end_at, _ in machine.ends),
            idle_since=machine.idle_since,
            price_per_h=0.1,
        )

    def _judge(self) -> None:
        view = self.view()
        verdict = assess(view, self.policy.nodes_reachable(view), frozenset(self.told_at))
        for task_id, _ in verdict.at_risk:
            self.told_at.setdefault(task_id, self.now)
        self._give_way(set(verdict.yielding))

    def _scale(self) -> None:
        self.memory, wanted = self.policy.step(self.memory, self.view())
        for launch in wanted.launches:
            self.launches += 1
            node_id = f"n-{self.launches}"
            self.machines[node_id] = Machine(
                node_id=node_id, workers=launch.workers, requested_at=self.now
            )
            heapq.heappush(self._instants, self.now + self.boot_s)
        for grow in wanted.grows:
            self.machines[grow.node_id].workers = grow.workers
            heapq.heappush(self._instants, self.now)
        for keep in wanted.keeps:
            self.machines[keep.node_id].phase = NodePhase.READY
            heapq.heappush(self._instants, self.now)
        for release in wanted.releases:
            self.machines[release.node_id].phase = NodePhase.DRAINING
        if wanted.wake_at is not None:
            assert wanted.wake_at > self.now, wanted
            heapq.heappush(self._instants, wanted.wake_at)

    def _give_way(self, yielding: set[str]) -> None:
        for task in [task for task in self.queue if task.admitted is (task.task_id in yielding)]:
            self.queue.remove(task.task_id)
            admitted = not task.admitted
            key = (0.0 if admitted else 1.0, *task.key[1:])
            self.queue.add(replace(task, key=key, admitted=admitted))

    def _clear(self) -> None:
        for machine in list(self.machines.values()):
            if machine.phase is NodePhase.DRAINING and not machine.ends:
                self.node_s += self.now - machine.requested_at
                del self.machines[machine.node_id]
