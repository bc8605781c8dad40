"""Scenarios in which nearly everything goes wrong, drawn under a seed."""

from __future__ import annotations

from planner.scaling.policy import BUILT_IN
from sim.chance import Chance
from sim.scenario import Bursts, Faults, NodeType, Scenario, Truth
from sim.simulator import Run, Trial, simulate

POLICIES = tuple(BUILT_IN)


def faulty(seed: int) -> Scenario:
    """Return a small scenario full of faults."""
    chance = Chance(seed=seed)
    scaling = {
        "nodes_max": chance.whole(1, 8, "nodes"),
        "budget": chance.between(0.02, 0.06, "money") if chance.happens(0.4, "budget") else None,
        "budget_period_s": 1800.0,
        "put_off_launches": chance.happens(0.5, "put off"),
        "judge_interval_s": 5.0 if chance.happens(0.3, "judges rarely") else 0.0,
    }
    return Scenario(
        name=f"faulty-{seed}",
        load=Bursts(
            bursts=chance.whole(1, 3, "bursts"),
            every_s=chance.between(200.0, 2000.0, "every"),
            tasks=(1, chance.whole(1, 20, "tasks")),
            deadline_s=(60.0, chance.between(100.0, 2000.0, "deadline")),
            work_s=(5.0, chance.between(10.0, 300.0, "work")),
            parts=chance.whole(1, 8, "parts"),
            product_bytes=10_000_000,
        ),
        fleet=(
            NodeType(
                name="vm",
                slots_max=chance.whole(2, 3, "slots"),
                quantum_s=3600.0 * chance.whole(0, 1, "hourly"),
            ),
            NodeType(
                name="spot",
                slots=4,
                price_per_h=0.07,
                spot_lost_per_h=chance.between(0.0, 3.0, "spot"),
                nodes_max=4,
            ),
        ),
        truth=Truth(stragglers=0.03),
        faults=Faults(
            part_failed=0.05,
            attempt_lost=0.03,
            combine_failed=0.05,
            delivery_failed=0.05,
            message_doubled=0.1,
            create_refused=0.1,
            boot_lost=0.05,
            boot_hung=0.05,
            node_lost_per_h=1.0,
            withdrawn=0.05,
        ),
        settings={"scaling": scaling},
    )


def run(seed: int) -> Run:
    """Run one of them, under the checkers."""
    return simulate(faulty(seed), Trial(policy=POLICIES[seed % len(POLICIES)], seed=seed))
