"""No simulated run that meets all deadlines costs less than the bound of its tasks."""

from __future__ import annotations

import pytest

from planner.scaling.policy import BUILT_IN
from sim.baselines.catalogue import BASELINES, AllPolicies
from sim.bounding import best_possible, question_of
from sim.chance import Chance
from sim.scenario import Bursts, NodeType, Scenario
from sim.simulator import Trial, simulate

POLICIES = [name for name in (*BUILT_IN, *BASELINES) if not name.startswith("keda-job")]
"""Pods of one slot are another fleet than the nodes of the bound."""

SEEDS = 5


def scenario(seed: int) -> Scenario:
    """Return a small load with room for its deadlines, on nodes of every kind of billing."""
    chance = Chance(seed=seed)
    load = Bursts(
        bursts=chance.whole(1, 3, "bursts"),
        every_s=chance.between(900.0, 3000.0, "every"),
        tasks=(1, chance.whole(1, 12, "tasks")),
        deadline_s=(600.0, chance.between(700.0, 3000.0, "deadline")),
        work_s=(10.0, chance.between(20.0, 300.0, "work")),
        parts=chance.whole(1, 8, "parts"),
    )
    hourly = 3600.0 * (seed % 2)
    types = (
        NodeType(quantum_s=hourly, slots_max=chance.whole(2, 3, "slots")),
        NodeType(name="large", slots=4, speed=1.5, price_per_h=0.3, quantum_s=hourly),
    )
    fleet = types[: chance.whole(1, 2, "types")]
    return Scenario(
        name=f"bounded-{seed}",
        load=load,
        fleet=fleet,
        settings={"scaling": {"nodes_max": chance.whole(2, 12, "cap"), "threshold_s": 500.0}},
    )


def ratios(policy: str, seeds: range) -> list[float]:
    """Return cost over bound of the runs that meet every deadline."""
    found = []
    for seed in seeds:
        run = simulate(scenario(seed), Trial(policy=policy, seed=seed), policies=AllPolicies())
        question = question_of(run)
        least = best_possible(question).cost if question else None
        if least and run.outcome.on_time == run.outcome.due == run.outcome.tasks:
            found.append(run.outcome.cost / least)
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_no_run_that_meets_all_costs_less_than_the_bound(policy: str) -> None:
    assert all(ratio >= 1.0 - 1e-6 for ratio in ratios(policy, range(SEEDS)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_law_of_the_bound_on_many_seeds() -> None:
    found = [ratio for policy in POLICIES for ratio in ratios(policy, range(100))]
    print(f"{len(found):,} runs met all; the cheapest cost {min(found):.4f} times the bound")
    assert min(found) >= 1.0 - 1e-6
