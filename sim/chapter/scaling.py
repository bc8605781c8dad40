"""The chapter's figures 7 to 9: a hundred tasks, one deadline, and VMs added as policies see fit.

The policies are those of `planner.scaling`, unchanged, inside the planner that runs live. One thing
of that planner the chapter did not have: admission, which lets a task give way that cannot be met,
so that others can. Under ``none`` that changes everything, so ``none`` is run with and without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from planner.scaling.policy import BUILT_IN, Policy
from planner.scaling.thresholds import threshold_of
from planner.scaling.view import Launch, ScalingView, Wanted
from sim.chapter.starts import Starts, StartsWatch
from sim.chapter.tasks import BEGINS_AT, Task, TasksLoad, ranked, scaled
from sim.metrics import Outcome
from sim.scenario import Scenario
from sim.simulator import Trial, simulate

IN_TIME = 22
"""Tasks that one worker ends in time: with no scaling, "after approximately 22 tasks are initiated,
all deadlines are missed"."""

THRESHOLDS = (1.0, 10 / 12, 8 / 12, 6 / 12, 5 / 12, 4 / 12, 3 / 12, 2 / 12, 1 / 12)
"""Of the surface, as shares of the deadline: 3,600 to 300 s of an hour."""

FACTORS = (1 / 240, 1 / 120, 1 / 60, 1 / 30, 1 / 15, 1 / 10, 2 / 15, 1 / 5)
"""Of the surface, as shares of the deadline: 15 to 720 s of an hour."""

DRAWS = 5
"""Other seeds: enough to see what one draw of a hundred tasks owes to luck."""

UNJUDGED_S = 1e6
"""Risk is judged once at the start, when nothing is at risk yet, and not again [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A policy in one of the ways in which it may be run.

    Parameters
    ----------
    name : str
    policy : str
    workers : int
        That a new VM starts with.
    admits : bool
        Whether tasks give way as in the live planner.
    """

    name: str
    policy: str
    workers: int = 1
    admits: bool = True


NONE, STATIC, DYNAMIC, PREFIX = (
    Case(name="none", policy="none", admits=False),
    Case(name="static", policy="static"),
    Case(name="dynamic", policy="dynamic"),
    Case(name="prefix", policy="prefix"),
)
NONE_ADMITTING = Case(name="none, admission", policy="none")
STATIC_2 = Case(name="static, 2 a VM", policy="static", workers=2)
DYNAMIC_2 = Case(name="dynamic, 2 a VM", policy="dynamic", workers=2)
PREFIX_2 = Case(name="prefix, 2 a VM", policy="prefix", workers=2)

CASES = (NONE, NONE_ADMITTING, STATIC, DYNAMIC, PREFIX, STATIC_2, DYNAMIC_2, PREFIX_2)
"""The chapter's three and ours; then again with VMs that start with both of their workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played(Starts):
    """One run of the hundred tasks.

    Parameters
    ----------
    case : Case
    threshold_s, factor_s : float
        In the settings [s].
    outcome : Outcome
    """

    case: Case
    threshold_s: float
    factor_s: float
    outcome: Outcome

    @property
    def vm_h(self) -> float:
        """Time that VMs were held [h]."""
        return self.outcome.node_seconds / 3600.0

    @property
    def misses(self) -> int:
        """Tasks that were late."""
        return self.outcome.due - self.outcome.on_time


def played(
    scenario: Scenario,
    tasks: Sequence[Task],
    case: Case,
    *,
    threshold_s: float | None = None,
    factor_s: float | None = None,
) -> Played:
    """Run the tasks under one policy.

    Parameters
    ----------
    scenario : Scenario
        Of the fleet and the settings; its load is not drawn.
    tasks : sequence of Task
    case : Case
    threshold_s, factor_s : float, optional
        Instead of the scenario's [s].
    """
    scenario = _set(scenario, case, threshold_s, factor_s)
    scaling = scenario.planner_settings().scaling
    policy = _Watched(BUILT_IN[case.policy], admits=case.admits)
    due_at = BEGINS_AT + deadline_of(scenario)
    seen = StartsWatch(lambda task_id: due_at)
    run = simulate(
        scenario,
        Trial(policy=case.policy),
        load=TasksLoad(tasks, deadline_of(scenario)),
        policies={case.policy: policy},
        checked=False,
        with_demands=False,
        watch=lambda event, commands: seen.see(event, commands, policy.threshold_s),
    )
    return Played(
        case=case,
        threshold_s=scaling.threshold_s,
        factor_s=scaling.factor_s,
        outcome=run.outcome,
        starts=tuple(seen.starts),
        slacks_s=seen.slacks_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hundred:
    """All that was run with the hundred tasks.

    Parameters
    ----------
    scenario : Scenario
    tasks : tuple of Task
        The most important first.
    cases : tuple of Played
        One for each of `CASES`.
    surfaces : tuple of tuple of Played
        Of ``static``, ``dynamic`` and ``dynamic`` with two workers a VM.
    draws : tuple of tuple of Played
        The cases once more with the tasks of other seeds.
    """

    scenario: Scenario
    tasks: tuple[Task, ...]
    cases: tuple[Played, ...]
    surfaces: tuple[tuple[Played, ...], ...]
    draws: tuple[tuple[Played, ...], ...]

    def of(self, case: Case) -> Played:
        """Return the run of a case."""
        return next(run for run in self.cases if run.case == case)


def hundred(
    scenario: Scenario,
    tasks_of: Callable[[int], Sequence[Task]],
    seed: int,
    *,
    draws: int = DRAWS,
    thresholds: Sequence[float] = THRESHOLDS,
    factors: Sequence[float] = FACTORS,
    done: Callable[[int], None] = lambda runs: None,
) -> Hundred:
    """Run the hundred tasks under every case, over the surfaces, and with other draws.

    Parameters
    ----------
    scenario : Scenario
    tasks_of : callable
        Returns the tasks of a seed, as `drawn_tasks` draws them.
    seed : int
    draws : int
        Other seeds, that follow this one.
    thresholds, factors : sequence of float
        Of the surfaces, as shares of the deadline.
    done : callable
        Is told how many runs have ended since.
    """

    def cases(of: Sequence[Task]) -> Iterator[Played]:
        for case in CASES:
            yield played(scenario, of, case)
            done(1)

    def over(case: Case, along: Sequence[float]) -> Iterator[Played]:
        for run in surface(scenario, tasks, case, thresholds, along):
            yield run
            done(1)

    tasks = fitted(scenario, tasks_of(seed))
    return Hundred(
        scenario=scenario,
        tasks=tuple(tasks),
        cases=tuple(cases(tasks)),
        surfaces=(
            tuple(over(STATIC, factors[:1])),
            tuple(over(DYNAMIC, factors)),
            tuple(over(DYNAMIC_2, factors)),
        ),
        draws=tuple(
            tuple(cases(fitted(scenario, tasks_of(seed + more)))) for more in range(1, draws + 1)
        ),
    )


def runs_of(draws: int, thresholds: Sequence[float], factors: Sequence[float]) -> int:
    """Return how many runs that makes."""
    return len(CASES) * (1 + draws) + len(thresholds) * (1 + 2 * len(factors))


def fitted(scenario: Scenario, tasks: Sequence[Task]) -> list[Task]:
    """Return tasks of such length that one worker ends `IN_TIME` of them in time, in their rank."""
    weights = scenario.planner_settings().weights
    span_s = deadline_of(scenario) - scenario.fleet[0].boot_s
    return ranked(scaled(tasks, weights, in_time=IN_TIME, span_s=span_s), weights)


def surface(
    scenario: Scenario,
    tasks: Sequence[Task],
    case: Case,
    thresholds: Sequence[float] = THRESHOLDS,
    factors: Sequence[float] = FACTORS,
) -> Iterator[Played]:
    """Yield a run for each threshold and each factor, both shares of the deadline.

    ``static`` has no factor: for it give one.
    """
    span_s = deadline_of(scenario)
    for threshold in thresholds:
        for factor in factors:
            yield played(
                scenario, tasks, case, threshold_s=threshold * span_s, factor_s=factor * span_s
            )


def deadline_of(scenario: Scenario) -> float:
    """Return the deadline that all tasks share, after their arrival [s]."""
    return float(scenario.load.deadline_s[0])  # type: ignore[union-attr]


def least_vm_h(scenario: Scenario, tasks: Sequence[Task], workers: int) -> float:
    """Return the VM-hours below which no policy can meet all deadlines.

    Notes
    -----
    Of work that all arrives at once and could be divided at will: ``W / s + b * ceil(m)`` with m
    the VMs that the deadline calls for, each of which boots.
    """
    work_s = sum(task.true_s for task in tasks)
    boot_s = scenario.fleet[0].boot_s
    vms = ceil(work_s / (workers * (deadline_of(scenario) - boot_s)))
    return (work_s / workers + boot_s * vms) / 3600.0


def _set(
    scenario: Scenario, case: Case, threshold_s: float | None, factor_s: float | None
) -> Scenario:
    changed: dict[str, Any] = {} if case.admits else {"judge_interval_s": UNJUDGED_S}
    changed |= {} if threshold_s is None else {"threshold_s": threshold_s}
    changed |= {} if factor_s is None else {"factor_s": factor_s}
    settings: Any = scenario.settings
    scaling = settings.scaling.model_copy(update=changed)
    kinds = (kind.model_copy(update={"slots": case.workers}) for kind in scenario.fleet)
    return scenario.model_copy(
        update={
            "settings": settings.model_copy(update={"scaling": scaling}),
            "fleet": tuple(kinds),
        }
    )


class _Watched:
    """A policy as it is, with a note of its threshold; new VMs start with all that is offered."""

    def __init__(self, policy: Policy, *, admits: bool) -> None:
        self.name = policy.name
        self.memory_type = policy.memory_type
        self.start = policy.start
        self.threshold_s: float | None = None
        self._policy = policy
        self._admits = admits

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return what the policy says; the whole fleet where no task is to give way."""
        return self._policy.nodes_reachable(view) if self._admits else view.nodes_allowed

    def step(self, memory: Any, view: ScalingView) -> tuple[Any, Wanted]:
        """Return what the policy does."""
        memory, wanted = self._policy.step(memory, view)
        self.threshold_s = threshold_of(memory, view.settings)
        slots = {offer.node_type: offer.slots for offer in view.offers}
        launches = tuple(_whole(launch, slots[launch.node_type]) for launch in wanted.launches)
        return memory, replace(wanted, launches=launches)


def _whole(launch: Launch, slots: int) -> Launch:
    return replace(launch, workers=max(launch.workers, slots))
