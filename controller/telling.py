"""How the service stands, for those who watch it: a value that the loop publishes after each batch.

Readers take the last one and never touch the planner, so a hundred of them cost the loop nothing.
To make one takes tens of microseconds, however many tasks wait: it counts nodes, and nothing that
grows with the work.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from planner.core import Planner
from planner.durations import RunTimes
from planner.lifecycle import NodeState
from planner.model import NodeOffer, UnitCosts
from planner.settings import PlannerSettings

BATCHES_KEPT_MAX = 1024
"""Batches whose duration is remembered: enough for a 99th percentile, and recent."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTask:
    """The task whose parts are sent next.

    Parameters
    ----------
    id, subscription_id : str
    deadline_at : float or None
        [POSIX s]; None is best effort.
    """

    id: str
    subscription_id: str
    deadline_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What reading a dataset is believed to cost now; see `planner.durations.RunTimes`."""

    costs: UnitCosts
    scatter: float
    common_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the service stands after a batch.

    Parameters
    ----------
    at : float
        [POSIX s]
    settings : PlannerSettings
        In force.
    steps, batches : int
        Since the service began.
    subscriptions, tasks, tasks_waiting, tasks_at_risk : int
        Tasks that are open; of those, with parts that wait; of those, with a predicted lateness.
    parts_running : int
    next_task : NextTask or None
    threshold_s : float or None
        Of the policies that have one.
    nodes : mapping of str to int
        Nodes in each state.
    workers_ready, workers_busy : int
    late_messages : mapping of str to int
        Stale, doubled or unknown messages, by kind.
    inbox : int
        Letters that wait.
    fault : str
        Why nothing can be taken in now; empty when it can.
    offers : tuple of NodeOffer
    costs : mapping of str to Costs
        By dataset.
    newest : mapping of str to int
        Number of the newest update of each dataset.
    """

    at: float
    settings: PlannerSettings
    steps: int = 0
    batches: int = 0
    subscriptions: int = 0
    tasks: int = 0
    tasks_waiting: int = 0
    tasks_at_risk: int = 0
    parts_running: int = 0
    next_task: NextTask | None = None
    threshold_s: float | None = None
    nodes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    workers_ready: int = 0
    workers_busy: int = 0
    late_messages: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    inbox: int = 0
    fault: str = ""
    offers: tuple[NodeOffer, ...] = ()
    costs: Mapping[str, Costs] = field(default_factory=dict)
    newest: Mapping[str, int] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the loop tells after each batch.

    Parameters
    ----------
    at : float
        [POSIX s]
    steps : int
    took_s : float
        How long the loop heard nobody meanwhile [s].
    inbox : int
        Letters that wait.
    fault : str
        Why it could not be written; empty when it was.
    """

    at: float
    steps: int
    took_s: float
    inbox: int
    fault: str = ""


class Board:
    """Where the loop hangs up how it stands, and anybody reads it.

    Parameters
    ----------
    planner : Planner
        As it stands at the start.
    at : float
        [POSIX s]
    pulse : callable
        Returns seconds that never go back.
    """

    def __init__(
        self, planner: Planner, at: float, pulse: Callable[[], float] = time.monotonic
    ) -> None:
        self._pulse = pulse
        self._looked_at = pulse()
        self._took_s: deque[float] = deque(maxlen=BATCHES_KEPT_MAX)
        self._listeners: list[Callable[[Batch], None]] = []
        self.state = _state(planner, Batch(at=at, steps=0, took_s=0.0, inbox=0), 0, 0)

    def look_up(self) -> None:
        """Note that the loop is alive: it looks up twice a second at least."""
        self._looked_at = self._pulse()

    def listen(self, hear: Callable[[Batch], None]) -> None:
        """Have somebody told of each batch from now on; they must be quick."""
        self._listeners.append(hear)

    def publish(self, planner: Planner, batch: Batch) -> None:
        """Hang up how the service stands after a batch.

        After one that could not be written the planner is ahead of what is recorded: what was told
        before stands, but for the fault.
        """
        self.look_up()
        self._took_s.append(batch.took_s)
        for hear in self._listeners:
            hear(batch)
        before = self.state
        if batch.fault:
            self.state = replace(
                before,
                at=batch.at,
                batches=before.batches + 1,
                inbox=batch.inbox,
                fault=batch.fault,
            )
            return
        self.state = _state(planner, batch, before.steps + batch.steps, before.batches + 1)

    @property
    def silent_s(self) -> float:
        """How long ago the loop looked up [s]."""
        return self._pulse() - self._looked_at

    def took_s(self, quantile: float) -> float:
        """Return how long the recent batches took, at a quantile [s]; 0 before the first."""
        ordered = sorted(self._took_s.copy())
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else 0.0


def _state(planner: Planner, batch: Batch, steps: int, batches: int) -> State:
    books = planner.books
    nodes = books.fleet.nodes.values()
    joined = [node.joined for node in nodes if node.state is not NodeState.REMOVING]
    running = sum(len(node.running) for node in nodes)
    return State(
        at=batch.at,
        settings=planner.settings,
        steps=steps,
        batches=batches,
        subscriptions=len(books.registry),
        tasks=len(books.backlog),
        tasks_waiting=len(books.backlog.queue),
        tasks_at_risk=len(books.desk.told),
        parts_running=running,
        next_task=_next_task(planner),
        threshold_s=_threshold_s(planner),
        nodes=dict(Counter(node.state.value for node in nodes)),
        workers_ready=sum(joined),
        workers_busy=min(running, sum(joined)),
        late_messages=dict(books.desk.late_messages),
        inbox=batch.inbox,
        fault=batch.fault,
        offers=books.offers,
        costs={dataset: _costs(times) for dataset, times in books.run_times.items()},
        newest=dict(books.registry.state.newest),
    )


def _next_task(planner: Planner) -> NextTask | None:
    waiting = planner.books.backlog.queue.first()
    if waiting is None:
        return None
    task = planner.books.backlog.tasks[waiting.task_id]
    return NextTask(id=task.id, subscription_id=task.subscription.id, deadline_at=task.deadline_at)


def _threshold_s(planner: Planner) -> float | None:
    """Return the threshold in force [s]; a policy that has one remembers it under this name."""
    memory = planner.books.memory
    if not hasattr(memory, "threshold_s"):
        return None
    return (
        planner.settings.scaling.threshold_s if memory.threshold_s is None else memory.threshold_s
    )


def _costs(times: RunTimes) -> Costs:
    return Costs(costs=times.costs, scatter=times.scatter2**0.5, common_error=times.common_error)
