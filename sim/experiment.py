"""Many runs of one scenario: policies, partitioners, orders and seeds, in parallel processes.

A run is named by its `Trial` alone, so the rows are the same in whatever order and by however many
processes they are made.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from planner.errors import SlackwaterError
from planner.plugins import IMPORT_FAULTS
from planner.scaling.policy import Policy
from sim.baselines.catalogue import AllPolicies
from sim.scenario import Scenario
from sim.simulator import OpenLoad, Run, Trial, open_load, reproduction, simulate

RUN_FAULTS = (SlackwaterError, *IMPORT_FAULTS)
"""What ends one run and not the whole experiment: also what a policy of somebody else may raise."""

JOBS_MAX = 256
"""Processes at most, whatever the machine has."""

_CONTEXT = multiprocessing.get_context("spawn")


class WorkerDied(SlackwaterError):
    """A process that ran simulations was ended from outside, or ran out of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run in the table of results; `docs/reference/results-table.md` describes its columns."""

    scenario: str
    policy: str
    partitioner: str
    order: str
    seed: int
    cap: int
    tasks: int
    due: int
    on_time: int
    hit_rate: float
    undelivered: int
    worst_slack_s: float | None
    p95_tardiness_s: float
    node_seconds: float
    launches: int
    peak_nodes: int
    peak_workers: int
    idle_fraction: float
    boot_fraction: float
    cost: float
    bound_cost: float | None
    regret: float | None
    wall_s: float
    events: int


COLUMNS = tuple(field.name for field in fields(Row))
"""Of the table, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A run that failed.

    Parameters
    ----------
    trial : Trial
    what : str
    again : str
        The command that repeats it.
    """

    trial: Trial
    what: str
    again: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is to be run.

    Parameters
    ----------
    scenario : Scenario
    trials : tuple of Trial
    source : tuple of str
        Words after ``slackwater simulate`` that name the scenario; empty is its name.
    open_load : callable
        Returns a fresh load; it travels to other processes.
    """

    scenario: Scenario
    trials: tuple[Trial, ...]
    source: tuple[str, ...] = ()
    open_load: OpenLoad = open_load


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of an experiment, in the order of its trials."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """How runs are shared out.

    Parameters
    ----------
    jobs : int
        Processes at most; one runs everything in this process.
    starting : callable
        Returns a context in which the processes are started.
    begin : callable or None
        Is called first in each.
    """

    jobs: int = 1
    starting: Callable[[], AbstractContextManager[None]] = nullcontext
    begin: Callable[[], None] | None = None


def cores() -> int:
    """Return how many processes are worth while on this machine."""
    return min(JOBS_MAX, len(os.sched_getaffinity(0)))


def policies() -> Mapping[str, Policy]:
    """Return every policy that can be tried, by name."""
    return AllPolicies()


def trials_of(
    *,
    policies: Sequence[str],
    partitioners: Sequence[str] = (),
    orders: Sequence[str] = (),
    seeds: Iterable[int],
    cap: int | None = None,
) -> tuple[Trial, ...]:
    """Return a trial for each policy, partitioner, order and seed, the seeds of a choice together.

    What is left empty is what the scenario's settings say.
    """
    return tuple(
        Trial(policy=policy, partitioner=partitioner, order=order, seed=seed, nodes_max=cap)
        for policy, partitioner, order, seed in product(
            policies or (None,), partitioners or (None,), orders or (None,), tuple(seeds)
        )
    )


def row_of(run: Run, bound_cost: float | None = None) -> Row:
    """Return a run as a row."""
    outcome, settings = run.outcome, run.settings
    return Row(
        scenario=run.scenario.name,
        policy=settings.scaling.policy,
        partitioner=settings.cutting.partitioner,
        order=settings.dispatch.order,
        seed=run.trial.seed,
        cap=settings.scaling.nodes_max,
        tasks=outcome.tasks,
        due=outcome.due,
        on_time=outcome.on_time,
        hit_rate=outcome.hit_rate,
        undelivered=outcome.undelivered,
        worst_slack_s=outcome.worst_slack_s,
        p95_tardiness_s=outcome.p95_tardiness_s,
        node_seconds=outcome.node_seconds,
        launches=outcome.launches,
        peak_nodes=outcome.peak_nodes,
        peak_workers=outcome.peak_workers,
        idle_fraction=outcome.idle_fraction,
        boot_fraction=outcome.boot_fraction,
        cost=outcome.cost,
        bound_cost=bound_cost,
        regret=outcome.cost / bound_cost if bound_cost else None,
        wall_s=run.wall_s,
        events=run.events,
    )


def run_all(
    experiment: Experiment,
    processes: Processes = Processes(),
    done: Callable[[], None] = lambda: None,
) -> Findings:
    """Run every trial of an experiment; one that fails is named, and the others go on.

    Parameters
    ----------
    experiment : Experiment
    processes : Processes
    done : callable
        Is called as each trial ends.

    Raises
    ------
    WorkerDied
        A process was ended from outside.
    """
    jobs = min(processes.jobs, len(experiment.trials))
    answers = _here(experiment) if jobs <= 1 else _apart(experiment, processes, jobs)
    found: dict[int, Row | Fault] = {}
    for place, answer in answers:
        found[place] = answer
        done()
    ordered = [found[place] for place in sorted(found)]
    return Findings(
        rows=tuple(one for one in ordered if isinstance(one, Row)),
        faults=tuple(one for one in ordered if isinstance(one, Fault)),
    )


def _here(experiment: Experiment) -> Iterator[tuple[int, Row | Fault]]:
    for place, trial in enumerate(experiment.trials):
        yield place, _tried(experiment, trial)


def _tried(experiment: Experiment, trial: Trial) -> Row | Fault:
    try:
        load = experiment.open_load(experiment.scenario, trial.seed)
        run = simulate(experiment.scenario, trial, load=load, policies=policies())
        return row_of(run)
    except RUN_FAULTS as fault:
        again = reproduction(experiment.scenario, trial, experiment.source)
        told = str(fault) if isinstance(fault, SlackwaterError) else f"{fault!r}"
        return Fault(trial=trial, what=told, again=again)


# --- in other processes


_HELD: list[Experiment] = []
"""The experiment of a process that was started for it."""


def _apart(
    experiment: Experiment, processes: Processes, jobs: int
) -> Iterator[tuple[int, Row | Fault]]:
    with _pool(experiment, processes, jobs) as pool:
        with processes.starting():
            waiting = {pool.submit(_tried_here, trial): trial for trial in experiment.trials}
        places = {future: place for place, future in enumerate(waiting)}
        try:
            for future in _as_they_end(waiting):
                yield places[future], future.result()
        except BrokenProcessPool as error:
            raise WorkerDied(
                "a process that ran simulations was ended from outside, or found no memory",
                fix="Try again with fewer --jobs",
            ) from error


def _as_they_end(waiting: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
    left = set(waiting)
    while left:
        ended, left = wait(left, return_when=FIRST_COMPLETED)
        yield from ended


@contextmanager
def _pool(experiment: Experiment, processes: Processes, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool that is gone after the block: at once, if the block is left early."""
    before = set(multiprocessing.active_children())
    # Classes that pydantic makes cannot be sent; the text of a scenario can.
    told = (
        experiment.scenario.model_dump_json(),
        experiment.source,
        experiment.open_load,
        processes.begin,
    )
    pool = ProcessPoolExecutor(jobs, mp_context=_CONTEXT, initializer=_begin, initargs=told)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(
    scenario: str,
    source: tuple[str, ...],
    open_load: OpenLoad,
    begin: Callable[[], None] | None,
) -> None:
    if begin is not None:
        begin()
    parsed = Scenario.model_validate_json(scenario)
    _HELD[:] = [Experiment(scenario=parsed, trials=(), source=source, open_load=open_load)]


def _tried_here(trial: Trial) -> Row | Fault:
    return _tried(_HELD[0], trial)
