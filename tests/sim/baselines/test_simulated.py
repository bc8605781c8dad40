"""The rules in the simulator's world: all is delivered, nothing is broken, pods are pods."""

from __future__ import annotations

import pytest

from planner.commands import ProvisionNode, RunPart
from sim.baselines.catalogue import BASELINES
from sim.scenario import Bursts, NodeType, Scenario
from sim.simulator import Run, Trial, simulate
from tests.sim.faulty import faulty

CAMPAIGN = 20
"""Faulty seeds of the full campaign, for each rule."""


def plain() -> Scenario:
    """Return two bursts for nodes of two slots, four at most."""
    load = Bursts(
        bursts=2, every_s=1500.0, tasks=(4, 4), deadline_s=(900.0, 900.0), work_s=(40.0, 90.0)
    )
    fleet = (NodeType(slots=2, price_per_h=0.10),)
    settings = {"scaling": {"nodes_max": 4}}
    return Scenario(name="plain", load=load, fleet=fleet, settings=settings)


@pytest.mark.parametrize("name", BASELINES)
def test_all_is_delivered_under_the_checkers(name: str) -> None:
    run = simulate(plain(), Trial(policy=name, seed=1))
    assert (run.outcome.tasks, run.outcome.undelivered) == (8, 0)
    assert run.outcome.peak_workers <= 8


@pytest.mark.parametrize(
    ("name", "seed"), [("keda-hpa", 0), ("dask-adaptive", 1), ("toil-300", 2), ("karpenter", 3)]
)
def test_faults_break_nothing(name: str, seed: int) -> None:
    run = simulate(faulty(seed), Trial(policy=name, seed=seed))
    assert run.outcome.tasks > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", BASELINES)
def test_the_whole_campaign_of_faults(name: str) -> None:
    for seed in range(CAMPAIGN):
        assert simulate(faulty(seed), Trial(policy=name, seed=seed)).outcome.tasks > 0


def test_a_job_is_a_pod_of_one_slot_that_runs_one_part() -> None:
    """Eight pods where four nodes of two slots may stand, at half a node's price."""
    launched: list[ProvisionNode] = []
    ran: dict[str, int] = {}

    def watch(_: object, commands: object) -> None:
        assert isinstance(commands, list)
        launched.extend(one for one in commands if isinstance(one, ProvisionNode))
        for one in commands:
            if isinstance(one, RunPart):
                ran[one.node_id] = ran.get(one.node_id, 0) + 1

    run: Run = simulate(plain(), Trial(policy="keda-job", seed=1), watch=watch)
    assert {command.workers for command in launched} == {1}
    assert set(ran.values()) == {1}
    assert len(ran) == sum(demand.parts for demand in run.demands)
    assert run.outcome.peak_nodes == 8
    assert run.settings.scaling.nodes_max == 4
    assert run.outcome.cost == pytest.approx(run.outcome.node_seconds / 3600.0 * 0.05, rel=1e-3)
