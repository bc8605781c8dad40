"""Many runs of one scenario: complete rows, the same by one process or several, faults named."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from planner.errors import SlackwaterError
from sim.chronicle import Moments
from sim.experiment import (
    Experiment,
    Findings,
    Processes,
    WorkerDied,
    run_all,
    trials_of,
)
from sim.figures import undominated
from sim.rows import Row
from sim.scenario import Bursts, NodeType, Scenario
from sim.simulator import Demand, open_load
from sim.sketch import even_demand
from sim.summary import summary_of, verdict
from sim.workload import Load

TINY = Scenario(
    name="tiny",
    load=Bursts(tasks=(5, 5), deadline_s=(900, 900), work_s=(200, 300), parts=4),
    fleet=(NodeType(boot_s=60),),
)


def experiment(**given: Any) -> Experiment:
    asked = {"policies": ("prefix", "none"), "seeds": (1, 2), **given.pop("trials", {})}
    return Experiment(scenario=TINY, trials=trials_of(**asked), **given)


def timeless(found: Findings) -> list[Row]:
    return [replace(row, wall_s=0.0) for row in found.rows]


def test_rows_are_the_same_by_one_process_and_by_two() -> None:
    asked = experiment(trials={"cap": 3, "orders": ("laxity",)}, sketched=True)
    told: list[tuple[int, int]] = []
    alone = run_all(asked, progress=lambda done, known: told.append((done, known)))
    together = run_all(asked, Processes(jobs=2))
    assert timeless(alone) == timeless(together)
    assert alone.sketches == together.sketches
    assert [(row.policy, row.seed, row.order, row.cap) for row in alone.rows] == [
        (policy, seed, "laxity", 3) for policy in ("prefix", "none") for seed in (1, 2)
    ]
    assert told[-1] == (6, 6), "four runs, and a bound for each seed"


def test_the_bound_is_that_of_the_tasks_whoever_decides() -> None:
    found = run_all(experiment())
    one, two, *others = found.rows
    assert [row.bound_cost for row in others] == [one.bound_cost, two.bound_cost]
    assert one.bound_cost != two.bound_cost
    for row in found.rows:
        assert row.bound_cost is not None
        assert row.regret == pytest.approx(row.cost / row.bound_cost)
        assert row.regret is not None
        assert row.on_time < row.due or row.regret >= 1


def open_but_the_second(scenario: Scenario, seed: int) -> Load:
    if seed == 2:
        raise SlackwaterError("the second is broken")
    return open_load(scenario, seed)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_names_what_repeats_it_and_the_others_go_on(jobs: int) -> None:
    asked = experiment(
        trials={"policies": ("prefix",), "seeds": (1, 2, 3), "cap": 4},
        source=("my tiny.yaml",),
        open_load=open_but_the_second,
    )
    found = run_all(asked, Processes(jobs=jobs))
    assert [row.seed for row in found.rows] == [1, 3]
    (fault,) = found.faults
    assert fault.what == "the second is broken"
    assert fault.again == "slackwater simulate 'my tiny.yaml' --seed 2 --policy prefix --cap 4"


def die(scenario: Scenario, seed: int) -> Load:
    os._exit(9)


def test_a_process_that_is_ended_from_outside_is_told() -> None:
    with pytest.raises(WorkerDied, match="fewer --jobs"):
        run_all(experiment(open_load=die), Processes(jobs=2))


def test_under_overload_the_most_hits_stand_beside_the_hit_rate() -> None:
    load = Bursts(bursts=1, tasks=(12, 12), deadline_s=(300.0, 600.0), work_s=(80.0, 220.0))
    small = Scenario(name="overloaded", load=load, settings={"scaling": {"nodes_max": 1}})
    for cap, all_can in ((1, False), (64, True)):
        trials = trials_of(policies=["prefix"], seeds=[1], cap=cap)
        (found,) = run_all(Experiment(scenario=small, trials=trials)).rows
        assert found.hits_bound is not None
        assert found.hit_rate <= found.hits_bound
        assert (found.hits_bound == 1.0) == all_can


def row(policy: str, seed: int, on_time: int, cost: float, bound_cost: float | None = 1.0) -> Row:
    return Row(
        scenario="tiny",
        policy=policy,
        partitioner="balanced",
        order="deadline",
        seed=seed,
        cap=8,
        tasks=10,
        due=10,
        on_time=on_time,
        hit_rate=on_time / 10,
        undelivered=0,
        worst_slack_s=float(on_time - 10),
        p95_tardiness_s=0.0,
        node_seconds=cost,
        launches=1,
        peak_nodes=1,
        peak_workers=2,
        idle_fraction=0.0,
        boot_fraction=0.0,
        cost=cost,
        hits_bound=1.0 if bound_cost else None,
        bound_cost=bound_cost,
        regret=cost / bound_cost if bound_cost else None,
        wall_s=0.1,
        events=100,
    )


ROWS = (
    *(row("dear", 1, 10, 3.0), row("dear", 2, 10, 2.0)),
    *(row("cheap", 1, 10, 2.0), row("cheap", 2, 10, 1.0)),
    *(row("late", 1, 9, 0.5), row("late", 2, 10, 0.5)),
    *(row("poor", 1, 9, 4.0), row("poor", 2, 10, 4.0)),
)


def test_choices_are_ranked_by_hits_then_cost_and_compared_seed_by_seed() -> None:
    choices = summary_of(ROWS)
    assert [choice.label for choice in choices] == ["cheap", "dear", "late", "poor"]
    dear = choices[1].over_best
    assert dear is not None
    assert (dear.least, dear.mean, dear.most) == (1.5, 1.75, 2.0)
    assert [choice.label for choice in undominated(choices)] == ["cheap", "late"]
    assert verdict(choices) == (
        "cheap met all 20 deadlines of 2 runs, at 1.50 times the bound;"
        " it was the cheapest of the 2 that met all."
    )


def test_where_none_met_all_the_verdict_says_who_came_nearest() -> None:
    assert verdict(summary_of(ROWS[4:])) == (
        "No choice met all deadlines: late came nearest with 19 of 20, at a cost of 0.5."
    )
    assert verdict(summary_of([])) == "Nothing was run to its end."
    unbounded = summary_of([row("dear", 1, 10, 3.0, bound_cost=None)])
    assert verdict(unbounded) == "dear met all 10 deadlines, at a cost of 3."


def test_a_thinned_line_keeps_its_peaks_and_its_area() -> None:
    at_s = tuple(float(second) for second in range(1001))
    busy = tuple(float(second % 7) for second in range(1001))
    nodes = tuple(9.0 if second == 517 else 1.0 for second in range(1001))
    line = Moments(at_s=at_s, nodes=nodes, workers=busy, busy=busy)
    thin = line.thinned(20)
    assert len(thin.at_s) <= 20
    assert max(thin.nodes) == 9.0
    held = [
        after - before for before, after in zip(thin.at_s, (*thin.at_s[1:], 1000.0), strict=True)
    ]
    area = sum(value * span_s for value, span_s in zip(thin.busy, held, strict=True))
    assert area == pytest.approx(sum(busy[:-1]))


def test_even_demand_is_the_work_over_the_time_that_there_is() -> None:
    def demand(at: float, deadline_at: float | None) -> Demand:
        return Demand(released_at=at, deadline_at=deadline_at, work_s=60, longest_s=9, parts=4)

    line = even_demand([demand(100, 130), demand(110, 170), demand(105, None)], 100.0, speed=2.0)
    assert line.at_s == (0.0, 10.0, 30.0, 70.0)
    assert line.values == pytest.approx((1.0, 1.5, 0.5, 0.0))
