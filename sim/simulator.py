"""One run: a scenario under a seed, a policy, a partitioner and an order.

A run is a pure function of these. The planner inside is the one that runs live.
"""

from __future__ import annotations

import gc
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from planner.commands import AnyCommand
from planner.core import Planner
from planner.events import AnyEvent, OffersChanged, TaskCut
from planner.model import NodeOffer
from planner.scaling.policy import Policy
from planner.settings import PlannerSettings
from sim.ahead import Advisor
from sim.arrivals import StandingLoad, burst_jobs, stream_jobs
from sim.baselines.catalogue import AllPolicies
from sim.chance import Chance
from sim.checkers import Breach, Checkers
from sim.luck import Luck
from sim.metrics import Outcome, Tally
from sim.scenario import Bursts, NodeType, Scenario, Standing, Stream
from sim.workload import Job, JobsLoad, Load
from sim.world import Watch, World

COLLECTED_EVERY = 50_000
"""Objects that a run makes between two collections; the interpreter's own habit is 700."""

OpenLoad = Callable[[Scenario, int], Load]
"""Returns the load of a scenario under a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried in one run.

    Parameters
    ----------
    policy, partitioner, order : str or None
        None is what the scenario's settings say.
    seed : int
    nodes_max : int or None
        Cap of the fleet, instead of the scenario's.
    """

    policy: str | None = None
    partitioner: str | None = None
    order: str | None = None
    seed: int = 0
    nodes_max: int | None = None

    def settings(self, scenario: Scenario) -> PlannerSettings:
        """Return the scenario's settings with what is tried."""
        plain = scenario.planner_settings()
        scaling, cutting, dispatch = plain.scaling, plain.cutting, plain.dispatch
        return replace(
            plain,
            scaling=replace(
                scaling,
                policy=self.policy or scaling.policy,
                nodes_max=self.nodes_max or scaling.nodes_max,
            ),
            cutting=replace(cutting, partitioner=self.partitioner or cutting.partitioner),
            dispatch=replace(dispatch, order=self.order or dispatch.order),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a task asked for, as the bound sees it.

    Parameters
    ----------
    released_at : float
        [POSIX s]
    deadline_at : float or None
        [POSIX s]
    work_s : float
        True work if nothing goes wrong [reference s].
    longest_s : float
        Of its longest part [reference s].
    parts : int
    """

    released_at: float
    deadline_at: float | None
    work_s: float
    longest_s: float
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run and what came of it.

    Parameters
    ----------
    scenario : Scenario
    trial : Trial
    settings : PlannerSettings
    outcome : Outcome
    demands : tuple of Demand
        Of all tasks that were cut, where they were asked for.
    events : int
        That the planner handled.
    wall_s : float
        Processor time that it took [s].
    """

    scenario: Scenario
    trial: Trial
    settings: PlannerSettings
    outcome: Outcome
    demands: tuple[Demand, ...]
    events: int
    wall_s: float


def open_load(scenario: Scenario, seed: int) -> Load:
    """Return the load of a scenario that needs nothing but itself."""
    load, chance = scenario.load, Chance(seed=seed)

    def withdrawn_after_s(job: Job) -> float | None:
        if job.deadline_s is None or not chance.happens(
            scenario.faults.withdrawn, "withdrawn", job.id
        ):
            return None
        return job.deadline_s * chance.uniform("withdrawn after", job.id)

    match load:
        case Bursts():
            return JobsLoad(lambda: burst_jobs(load, chance), withdrawn_after_s)
        case Stream():
            return JobsLoad(lambda: stream_jobs(load, chance), withdrawn_after_s)
        case Standing():
            return StandingLoad(load, chance)
    raise AssertionError(f"a load of kind {load.kind} is opened by who may read files")


def simulate(
    scenario: Scenario,
    trial: Trial,
    *,
    load: Load | None = None,
    policies: Mapping[str, Policy] | None = None,
    checked: bool = True,
    with_demands: bool = True,
    watch: Callable[[AnyEvent, Sequence[AnyCommand]], None] | None = None,
    source: Sequence[str] = (),
) -> Run:
    """Run a scenario once and return what came of it.

    Parameters
    ----------
    scenario : Scenario
    trial : Trial
    load : Load, optional
        Fresh; drawn from the scenario where it is left out.
    policies : mapping of str to Policy, optional
    checked : bool
        Watch what must hold after every event.
    with_demands : bool
        Keep what every task asked for, for the bound.
    watch : callable, optional
        Is shown each step.
    source : sequence of str
        As of `reproduction`.

    Raises
    ------
    Breach
        What must never happen did; the message ends with the command that repeats it.
    EndlessRun
        The load is never delivered.
    """
    policies = AllPolicies() if policies is None else policies
    settings = trial.settings(scenario)
    fitted, allowed = _fitted(scenario, settings, policies[settings.scaling.policy])
    load = load or open_load(scenario, trial.seed)
    luck = Luck(fitted, load, trial.seed)
    planner = Planner(allowed, policies)
    advisor = Advisor(planner.books) if settings.scaling.policy == "lookahead" else None
    watches: list[Watch] = []
    world = World(
        planner,
        luck,
        lambda event, commands: _show(watches, event, commands),
        advise=advisor.advise if advisor else lambda at: None,
    )
    tally, asked, checkers = Tally(), _Asked(world, luck), Checkers(world)
    watches += [tally.see, *([advisor.see] if advisor else ()), *([watch] if watch else ())]
    watches += [*([asked.see] if with_demands else ()), *([checkers.see] if checked else ())]
    began_s = time.process_time()
    try:
        with _rare_collections():
            ended_at = world.run(_with_offers(load, fitted))
        if checked:
            checkers.end()
    except AssertionError as breach:  # Of the checkers, or of the planner itself.
        raise Breach(f"{breach} (again: {reproduction(scenario, trial, source)})") from breach
    return Run(
        scenario=scenario,
        trial=trial,
        settings=settings,
        outcome=tally.outcome(ended_at),
        demands=tuple(asked.demands),
        events=world.events,
        wall_s=time.process_time() - began_s,
    )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles less often: a run makes hardly any, and what waits is looked at each time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECTED_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def reproduction(scenario: Scenario, trial: Trial, source: Sequence[str] = ()) -> str:
    """Return the command that repeats a run; `source` are the words that name the scenario."""
    words = ["slackwater", "simulate", *(source or [scenario.name]), "--seed", str(trial.seed)]
    for option in ("policy", "partitioner", "order"):
        value = getattr(trial, option)
        words += [f"--{option}", value] if value else []
    words += ["--cap", str(trial.nodes_max)] if trial.nodes_max else []
    return shlex.join(words)


def _show(watches: Sequence[Watch], event: AnyEvent, commands: list[AnyCommand]) -> None:
    for watch in watches:
        watch(event, commands)


def _fitted(
    scenario: Scenario, settings: PlannerSettings, policy: Policy
) -> tuple[Scenario, PlannerSettings]:
    """Return what a policy needs: some scale pods of one slot, as many as nodes have slots."""
    if not getattr(policy, "pods", False):
        return scenario, settings
    slots = max(kind.slots for kind in scenario.fleet)
    scaling = replace(
        settings.scaling,
        nodes_min=settings.scaling.nodes_min * slots,
        nodes_max=settings.scaling.nodes_max * slots,
    )
    fleet = tuple(map(_as_pods, scenario.fleet))
    return scenario.model_copy(update={"fleet": fleet}), replace(settings, scaling=scaling)


def _as_pods(kind: NodeType) -> NodeType:
    pods = {
        "slots": 1,
        "slots_max": 1,
        "price_per_h": kind.price_per_h / kind.slots,
        "nodes_max": kind.nodes_max * kind.slots,
    }
    return kind.model_copy(update=pods)


def _with_offers(load: Load, scenario: Scenario) -> Iterator[AnyEvent]:
    """Return the outside events of a load, the fleet's offers before them."""
    offers: tuple[NodeOffer, ...] | None = tuple(kind.offer() for kind in scenario.fleet)
    for event in load.events():
        if offers is not None:
            yield OffersChanged(at=event.at, offers=offers)
            offers = None
        yield event


class _Asked:
    """Notes what every task asks for when it is cut."""

    def __init__(self, world: World, luck: Luck) -> None:
        self.demands: list[Demand] = []
        self._world, self._luck = world, luck

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        if not isinstance(event, TaskCut) or not event.parts:
            return
        errand = self._world.errands.get(event.task_id)
        task = self._world.planner.books.backlog.tasks.get(event.task_id)
        if errand is None or task is None:
            return
        lengths = [self._luck.work_s(errand, at) for at in range(len(event.parts))]
        self.demands.append(
            Demand(
                released_at=task.arrived_at,
                deadline_at=task.deadline_at,
                work_s=sum(lengths),
                longest_s=max(lengths),
                parts=len(lengths),
            )
        )
