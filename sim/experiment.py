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
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

from planner.errors import SlackwaterError
from planner.plugins import IMPORT_FAULTS
from planner.scaling.policy import Policy
from sim.baselines.catalogue import AllPolicies
from sim.bounding import Best, Question, best_possible, question_of
from sim.chronicle import Chronicle
from sim.rows import Row, bounded, row_of
from sim.scenario import Scenario
from sim.simulator import OpenLoad, Trial, open_load, reproduction, simulate
from sim.sketch import Sketch, sketch_of

RUN_FAULTS = (SlackwaterError, *IMPORT_FAULTS)
"""What ends one run and not the whole experiment: also what a policy of somebody else may raise."""

JOBS_MAX = 256
"""Processes at most, whatever the machine has."""

_CONTEXT = multiprocessing.get_context("spawn")


class WorkerDied(SlackwaterError):
    """A process that ran simulations was ended from outside, or ran out of memory."""


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
    bounded : bool
        Seek what the same tasks cost at least.
    sketched : bool
        Keep what pictures need: slacks of every run, and the first seed's over time.
    """

    scenario: Scenario
    trials: tuple[Trial, ...]
    source: tuple[str, ...] = ()
    open_load: OpenLoad = open_load
    bounded: bool = True
    sketched: bool = False

    def is_drawn(self, trial: Trial) -> bool:
        """Whether a run is drawn over time."""
        return self.sketched and trial.seed == min(one.seed for one in self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of an experiment, in the order of its trials.

    Parameters
    ----------
    rows : tuple of Row
    sketches : tuple of Sketch or None
        One a row.
    faults : tuple of Fault
    """

    rows: tuple[Row, ...]
    sketches: tuple[Sketch | None, ...] = ()
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


def run_all(
    experiment: Experiment,
    processes: Processes = Processes(),
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> Findings:
    """Run every trial of an experiment; one that fails is named, and the others go on.

    Parameters
    ----------
    experiment : Experiment
    processes : Processes
    progress : callable
        Is told how many runs and bounds are done, of how many that are known of.

    Raises
    ------
    WorkerDied
        A process was ended from outside.
    """
    with _pool(experiment, processes) as pool:
        try:
            return _Course(experiment, pool, progress).findings(processes.starting)
        except BrokenProcessPool as error:
            raise WorkerDied(
                "a process that ran simulations was ended from outside, or found no memory",
                fix="Try again with fewer --jobs",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A run's answer, as it comes back from another process."""

    answer: Row | Fault
    question: Question | None = None
    sketch: Sketch | None = None


class _Course:
    """One experiment on its way: runs first, and a bound as soon as its question is known."""

    def __init__(
        self, experiment: Experiment, pool: _Pool, progress: Callable[[int, int], None]
    ) -> None:
        self._experiment, self._pool, self._progress = experiment, pool, progress
        self._runs: dict[Future[_Tried], int] = {}
        self._bounds: dict[str, Future[Best]] = {}
        self._done = 0

    def findings(self, starting: Callable[[], AbstractContextManager[None]]) -> Findings:
        with starting():
            for place, trial in enumerate(self._experiment.trials):
                self._runs[self._submit(_tried_here, trial)] = place
        found: dict[int, _Tried] = {}
        for future in _as_they_end(self._runs):
            tried = found[self._runs[future]] = future.result()
            if tried.question is not None and tried.question.key not in self._bounds:
                bound = self._submit(best_possible, tried.question)
                self._bounds[tried.question.key] = bound
            found[self._runs[future]] = tried
        ordered = [self._bounded(found[place]) for place in sorted(found)]
        told = [tried for tried in ordered if isinstance(tried.answer, Row)]
        return Findings(
            rows=tuple(one.answer for one in told if isinstance(one.answer, Row)),
            sketches=tuple(one.sketch for one in told),
            faults=tuple(one.answer for one in ordered if isinstance(one.answer, Fault)),
        )

    def _submit(self, act: Callable[[Any], Any], about: Any) -> Future[Any]:
        future = self._pool.submit(act, about)
        future.add_done_callback(self._count)
        return future

    def _count(self, _: Future[Any]) -> None:
        self._done += 1
        known = len(self._experiment.trials) + len(self._bounds)
        self._progress(self._done, max(known, self._done))

    def _bounded(self, tried: _Tried) -> _Tried:
        """Return an answer with its bound, as soon as that is found."""
        if tried.question is None or isinstance(tried.answer, Fault):
            return tried
        best = self._bounds[tried.question.key].result()
        return replace(tried, answer=bounded(tried.answer, best), question=None)


def _as_they_end(futures: Iterable[Future[_Tried]]) -> Iterator[Future[_Tried]]:
    left = set(futures)
    while left:
        ended, left = wait(left, return_when=FIRST_COMPLETED)
        yield from ended


def _tried(experiment: Experiment, trial: Trial) -> _Tried:
    chronicle = Chronicle() if experiment.sketched else None
    try:
        run = simulate(
            experiment.scenario,
            trial,
            load=experiment.open_load(experiment.scenario, trial.seed),
            policies=policies(),
            with_demands=experiment.bounded or experiment.is_drawn(trial),
            watch=chronicle.see if chronicle else None,
        )
    except RUN_FAULTS as fault:
        again = reproduction(experiment.scenario, trial, experiment.source)
        told = str(fault) if isinstance(fault, SlackwaterError) else repr(fault)
        return _Tried(answer=Fault(trial=trial, what=told, again=again))
    return _Tried(
        answer=row_of(run),
        question=question_of(run) if experiment.bounded else None,
        sketch=sketch_of(run, chronicle, over_time=experiment.is_drawn(trial))
        if chronicle
        else None,
    )


# --- in this process or in others


class _Pool(Protocol):
    """What calls are handed to."""

    def submit(self, act: Callable[[Any], Any], about: Any, /) -> Future[Any]:
        """Return the answer to a call, perhaps one that is still to come."""


class _Here:
    """Calls at once, in this process."""

    def submit(self, act: Callable[[Any], Any], about: Any, /) -> Future[Any]:
        answer: Future[Any] = Future()
        answer.set_result(act(about))
        return answer


_HELD: list[Experiment] = []
"""The experiment that this process is at."""


@contextmanager
def _pool(experiment: Experiment, processes: Processes) -> Iterator[_Pool]:
    """Yield what runs are handed to; other processes are gone after the block, whatever ends it."""
    jobs = min(processes.jobs, len(experiment.trials))
    if jobs <= 1:
        _HELD[:] = [experiment]
        yield _Here()
        return
    before = set(multiprocessing.active_children())
    # Classes that pydantic makes cannot be sent; the text of a scenario can.
    rest = replace(experiment, scenario=None)  # type: ignore[arg-type]
    told = (experiment.scenario.model_dump_json(), rest, processes.begin)
    pool = ProcessPoolExecutor(jobs, mp_context=_CONTEXT, initializer=_begin, initargs=told)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(scenario: str, rest: Experiment, begin: Callable[[], None] | None) -> None:
    if begin is not None:
        begin()
    _HELD[:] = [replace(rest, scenario=Scenario.model_validate_json(scenario))]


def _tried_here(trial: Trial) -> _Tried:
    return _tried(_HELD[0], trial)
