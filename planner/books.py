"""All that the planner holds between two events, as one set of books that a snapshot can keep."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.backlog import Backlog, Task
from planner.durations import BootTimes, RunTimes, SettleTimes
from planner.fleet import Fleet, Ledger, Node
from planner.model import FleetPlan, NodeOffer, UpdateSpan
from planner.registry import Registry, RegistryState
from planner.scaling.policy import Memory, Policy
from planner.settings import PlannerSettings


@dataclass(slots=True, kw_only=True)
class Page:
    """Matched subscriptions that still wait to become tasks of one update."""

    dataset: str
    keys: list[int]
    updates: UpdateSpan
    arrived_at: float


@dataclass(slots=True, kw_only=True)
class Desk:
    """The small things: counters, clocks and lists that belong to no book.

    Parameters
    ----------
    sequence : int
        Number of the last event that changed anything; ids derive from it.
    tasks_made, tasks_started : int
        Counts since the planner began.
    pages : list of Page
    retries : list of (float, str, str)
        Heap of what rests until an instant: "part" or "task", and its id.
    firm : list of (float, str)
        Heap of firm deadlines and their tasks.
    woken_for : float or None
        Instant of the last `WakeAt` that is still to come.
    boots_failed : int
        Nodes in a row that were refused or lost before they came up.
    no_launch_until : float
        A node did not come up: ask for none before this [POSIX s].
    no_growth_until : float
        A node was refused more workers: tell none to hold more before this [POSIX s].
    late_messages : dict
        Stale, doubled or unknown messages, counted by kind.
    estimated_with : dict
        For each dataset, its prediction of a yardstick part [s] when tasks were last estimated.
    reserve_s : float or None
        Kept back for combining and delivering when tasks were last estimated [s].
    judged_at : float or None
        When risk and fleet were judged last, kept where `judge_interval_s` is set [POSIX s].
    filed : PlannerSettings or None
        What the settings file said when it was read last.
    told, yielding : list of str
        Tasks whose subscriber was told of a risk; tasks that give way to others.
    """

    sequence: int = 0
    tasks_made: int = 0
    tasks_started: int = 0
    pages: list[Page] = field(default_factory=list)
    retries: list[tuple[float, str, str]] = field(default_factory=list)
    firm: list[tuple[float, str]] = field(default_factory=list)
    woken_for: float | None = None
    boots_failed: int = 0
    no_launch_until: float = 0.0
    no_growth_until: float = 0.0
    late_messages: dict[str, int] = field(default_factory=dict)
    estimated_with: dict[str, float] = field(default_factory=dict)
    reserve_s: float | None = None
    judged_at: float | None = None
    filed: PlannerSettings | None = None
    told: list[str] = field(default_factory=list)
    yielding: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """The books as plain tables: what a restart begins from (`planner.journal` writes it)."""

    settings: PlannerSettings
    desk: Desk
    registry: RegistryState
    tasks: list[Task]
    nodes: list[Node]
    ledger: Ledger
    offers: tuple[NodeOffer, ...]
    run_times: dict[str, RunTimes]
    boots: BootTimes
    settle: SettleTimes
    memory: Any
    plan: FleetPlan | None = None


class Books:
    """The planner's tables and models, and the policy in force.

    Parameters
    ----------
    settings : PlannerSettings
    policies : mapping of str to Policy
        Those that may be chosen by name.
    """

    def __init__(self, settings: PlannerSettings, policies: Mapping[str, Policy]) -> None:
        self.settings = settings
        self.policies = policies
        self.policy = policies[settings.scaling.policy]
        self.memory: Memory = self.policy.start()
        self.desk = Desk()
        self.registry = Registry()
        self.backlog = Backlog(settings)
        self.fleet = Fleet()
        self.offers: tuple[NodeOffer, ...] = ()
        self.run_times: dict[str, RunTimes] = {}
        self.boots = BootTimes()
        self.settle = SettleTimes()
        self.plan: FleetPlan | None = None
        self.changed = False
        self._reserve_s: float | None = None

    @classmethod
    def restore(cls, snapshot: Snapshot, policies: Mapping[str, Policy]) -> Books:
        """Return the books as a snapshot holds them; they take its tables over."""
        books = cls(snapshot.settings, policies)
        books.memory = snapshot.memory
        books.desk = snapshot.desk
        books.registry = Registry(snapshot.registry)
        books.backlog = Backlog(snapshot.settings, snapshot.tasks)
        books.fleet = Fleet(snapshot.nodes, snapshot.ledger)
        books.offers = snapshot.offers
        books.run_times = snapshot.run_times
        books.boots, books.settle = snapshot.boots, snapshot.settle
        books.plan = snapshot.plan
        return books

    def snapshot(self) -> Snapshot:
        """Return the books as plain tables; they are shared, not copied."""
        return Snapshot(
            settings=self.settings,
            desk=self.desk,
            registry=self.registry.state,
            tasks=list(self.backlog.tasks.values()),
            nodes=list(self.fleet.nodes.values()),
            ledger=self.fleet.ledger,
            offers=self.offers,
            run_times=self.run_times,
            boots=self.boots,
            settle=self.settle,
            memory=self.memory,
            plan=self.plan,
        )

    def new_id(self, letter: str, ordinal: int) -> str:
        """Return an id that derives from the current event: "t17", and "t17.1" for its second."""
        return f"{letter}{self.desk.sequence}" + (f".{ordinal}" if ordinal else "")

    def times(self, dataset: str) -> RunTimes:
        """Return what was learned of the run times of a dataset's parts."""
        times = self.run_times.get(dataset)
        if times is None:
            times = self.run_times[dataset] = RunTimes()
        return times

    @property
    def reserve_s(self) -> float:
        """What is kept back of a task's time for combining and delivering [s]."""
        if self._reserve_s is None:
            self._reserve_s = self.settle.quantile(self.settings.scaling.launch_quantile)
        return self._reserve_s

    def learn_settling(self, size_bytes: int, run_s: float) -> None:
        """Take in that a product of this size was combined and delivered in so long [s]."""
        self.settle.learn(size_bytes, run_s)
        self._reserve_s = None

    def rest(self, until: float, kind: str, subject_id: str) -> None:
        """Try a part or task again at an instant [POSIX s]."""
        heapq.heappush(self.desk.retries, (until, kind, subject_id))

    def count_late(self, message: object) -> None:
        """Count a message that came too late, twice, or for nobody."""
        kind = type(message).__name__
        self.desk.late_messages[kind] = self.desk.late_messages.get(kind, 0) + 1

    def change_settings(self, settings: PlannerSettings) -> None:
        """Go on under new settings; a policy that stays keeps its memory."""
        if settings.scaling.policy != self.settings.scaling.policy:
            self.policy = self.policies[settings.scaling.policy]
            self.memory = self.policy.start()
        self.settings = settings
        self._reserve_s = None
        self.backlog.rank_anew(settings)
