"""The hundred tasks of figures 7 to 9 on a made index."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from controller.cli.scenarios import chosen_scenario
from planner.settings import ImportanceWeights
from sim.chapter.costs import FileCosts
from sim.chapter.profiles import REQUEST, Profiles
from sim.chapter.scaling import (
    CASES,
    DYNAMIC,
    DYNAMIC_2,
    IN_TIME,
    NONE,
    NONE_ADMITTING,
    PREFIX,
    STATIC,
    Hundred,
    deadline_of,
    hundred,
    least_vm_h,
    played,
    runs_of,
)
from sim.chapter.scaling_figures import surface_figure, ttd_figure
from sim.chapter.starts import Start
from sim.chapter.tasks import TASKS, Task, drawn_tasks, ranked, scaled

SCENARIO = chosen_scenario("chapter").scenario
DEADLINE_S = deadline_of(SCENARIO)
COSTS = FileCosts(base_s=0.001, quantiles_s=np.array([[0.002, 0.003], [0.003, 0.006]]))
WEIGHTS = ImportanceWeights()


def sea(count: int = 2000) -> Profiles:
    """Profiles all over the chapter's request, ever more of them with time."""
    start_at, end_at = REQUEST.period.start_at, REQUEST.period.end_at
    assert start_at is not None
    assert end_at is not None
    number, box = np.arange(count), REQUEST.box
    return Profiles(
        time_s=start_at + (end_at - start_at) * ((number + 0.5) / count) ** 0.4,
        longitude=box.west + box.width_deg * (number * 7 % 101) / 101,
        latitude=box.south + (box.north - box.south) * (number * 11 % 103) / 103,
        float_number=number % 30,
    )


def tasks_of(seed: int, parts: int = 1) -> list[Task]:
    return drawn_tasks(sea(), COSTS, seed, parts)


def ttd_of(start: Start) -> float:
    assert start.ttd_s is not None
    return start.ttd_s


@pytest.fixture(scope="module")
def runs() -> Hundred:
    return hundred(SCENARIO, tasks_of, 1, draws=0, thresholds=(0.5, 1 / 12), factors=(1 / 60, 0.2))


def test_tasks_lie_in_the_request_and_a_seed_draws_the_same() -> None:
    tasks = tasks_of(1)
    assert len({task.id for task in tasks}) == len({task.extent for task in tasks}) == TASKS
    assert tasks == tasks_of(1) != tasks_of(2)
    whole = sea()
    for task in tasks:
        assert len(task.extent.box.overlap(REQUEST.box)) == 1
        assert task.files == len(whole.within(task.extent)) > 0
        assert 0.002 * task.files < task.true_s < 0.001 + 0.006 * task.files
    cut = tasks_of(1, parts=4)
    assert [task.files for task in cut] == [task.files for task in tasks]
    assert max(len(task.pieces) for task in cut) == 4


def test_the_scale_lets_one_worker_end_just_so_many_in_time() -> None:
    tasks = ranked(scaled(tasks_of(1), WEIGHTS, in_time=22, span_s=3000.0), WEIGHTS)
    assert all(a.importance(WEIGHTS) >= b.importance(WEIGHTS) for a, b in pairwise(tasks))
    ends_s = np.cumsum([task.true_s for task in tasks])
    assert int((ends_s <= 3000.0).sum()) == 22
    predicted_s = sum(task.predicted_s for task in tasks)
    assert predicted_s == pytest.approx(float(ends_s[-1]))


def test_without_scaling_misses_begin_after_22_tasks_and_never_stop(runs: Hundred) -> None:
    run = runs.of(NONE)
    assert run.late_starts == list(range(IN_TIME + 1, TASKS + 1))
    assert (run.outcome.peak_nodes, run.outcome.peak_workers) == (1, 1)
    assert all(start.workers == 1 for start in run.starts)
    # Tasks start in the order of Eq. 1: the live planner ranks them as it says.
    by_start = [ttd_of(start) for start in run.starts]
    lengths = [task.true_s for task in runs.tasks]
    waits = [a - b for a, b in pairwise(by_start)]
    assert waits == pytest.approx(lengths[:-1], abs=1e-3)


def test_where_tasks_give_way_the_same_worker_has_more_in_time(runs: Hundred) -> None:
    assert runs.of(NONE_ADMITTING).outcome.on_time > IN_TIME
    assert runs.of(NONE_ADMITTING).outcome.peak_workers == 1


def test_a_static_threshold_brings_all_workers(runs: Hundred) -> None:
    run = runs.of(STATIC)
    assert not run.misses
    assert (run.outcome.peak_nodes, run.outcome.peak_workers) == (8, 16)
    assert {start.threshold_s for start in run.starts} == {1500.0}
    # One VM at most for each start below the threshold; second workers when eight are asked for.
    below = next(n for n, start in enumerate(run.starts) if ttd_of(start) < 1500.0)
    grown = next(n for n, start in enumerate(run.starts) if start.workers > start.vms)
    assert grown >= below + 7
    assert run.reached(16)
    assert run.reached(17) is None


def test_a_dynamic_threshold_falls_by_the_factor_below_what_was_left(runs: Hundred) -> None:
    run = runs.of(DYNAMIC)
    told = [start.threshold_s for start in run.starts if start.threshold_s is not None]
    assert told[0] == 1500.0
    falls = [a - b for a, b in pairwise(told) if a != b]
    assert len(falls) >= 2
    assert all(fall >= run.factor_s for fall in falls)
    assert run.outcome.peak_workers < runs.of(STATIC).outcome.peak_workers


def test_two_workers_a_vm_come_together(runs: Hundred) -> None:
    run = runs.of(DYNAMIC_2)
    assert run.outcome.peak_workers == 2 * run.outcome.peak_nodes
    assert all(start.workers == 2 * start.vms for start in run.starts)


def test_nobody_who_is_in_time_pays_less_than_the_least(runs: Hundred) -> None:
    for run in (*runs.cases, *(run for surface in runs.surfaces for run in surface)):
        if not run.misses:
            assert run.vm_h >= least_vm_h(SCENARIO, runs.tasks, 2), run.case
    prefix = runs.of(PREFIX)
    assert not prefix.misses
    assert prefix.vm_h >= least_vm_h(SCENARIO, runs.tasks, 1)


def test_the_surfaces_hold_every_threshold_and_factor(runs: Hundred) -> None:
    found = [{(run.threshold_s, run.factor_s) for run in surface} for surface in runs.surfaces]
    thresholds, factors = (1800.0, 300.0), (60.0, 720.0)
    assert found[1] == found[2] == {(t, f) for t in thresholds for f in factors}
    assert found[0] == {(t, factors[0]) for t in thresholds}
    ended = sum(map(len, (runs.cases, *runs.surfaces, *runs.draws)))
    assert ended == runs_of(0, thresholds, factors) == len(CASES) + 2 * (1 + 2 * 2)
    patient = {(run.threshold_s, run.factor_s): run.misses for run in runs.surfaces[1]}
    assert patient[1800.0, 60.0] == 0 < patient[300.0, 720.0]


def test_a_run_is_the_same_again(runs: Hundred) -> None:
    again = played(SCENARIO, runs.tasks, DYNAMIC)
    assert again == runs.of(DYNAMIC)


def test_figures_show_what_stands_and_what_is_late(runs: Hundred) -> None:
    drawing = ttd_figure(runs.of(NONE), "Fig. 7")
    assert ">time to deadline, late</text>" in drawing
    assert ">threshold</text>" not in drawing
    assert ">threshold</text>" in ttd_figure(runs.of(DYNAMIC), "Fig. 9")
    assert ">dynamic: tasks late</text>" in surface_figure(runs.surfaces[1], "dynamic")
