"""Periods are learned, and nodes that boot ahead save deadlines that are shorter than a boot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.commands import AnyCommand
from planner.events import AnyEvent, FleetPlanned, TaskCut
from planner.journal import Header, Step, replay
from sim.ahead import GRACE_SLOTS
from sim.expected import SLOT_S, Seen, period_of
from sim.scenario import Bursts, NodeType, Scenario
from sim.simulator import Trial, simulate

TIGHT = Scenario(
    name="periodic",
    load=Bursts(
        bursts=6, every_s=1800.0, tasks=(2, 2), deadline_s=(100.0, 110.0), work_s=(40.0, 50.0)
    ),
    fleet=(NodeType(boot_s=120.0),),
    settings={"scaling": {"nodes_max": 4}},
)

HOURLY = Scenario(
    name="hourly",
    load=Bursts(
        bursts=8, every_s=2700.0, tasks=(15, 45), deadline_s=(600.0, 2400.0), work_s=(80.0, 220.0)
    ),
    fleet=(NodeType(boot_s=120.0, price_per_h=0.1, quantum_s=3600.0),),
    settings={"scaling": {"nodes_max": 8}},
)


def test_a_period_is_found_where_there_is_one_and_only_there() -> None:
    spikes = np.zeros(61)
    spikes[[0, 30, 60]] = [5.0, 3.0, 4.0]
    assert period_of(spikes) == 30
    waves = 1.0 + np.sin(np.arange(400) * 2.0 * np.pi / 80.0)
    found = period_of(waves)
    assert found is not None
    assert abs(found - 80) <= 1
    assert period_of(np.random.default_rng(1).poisson(1.0, 600).astype(np.float64)) is None


def test_what_the_last_period_did_not_bring_is_not_expected() -> None:
    seen = Seen()
    for period in range(3):
        seen.note(1800.0 * period, 300.0, 60.0)
    asks = list(seen.expected(3600.0 + SLOT_S, 1800.0))
    assert {ask[:2] for ask in asks} == {(5400.0, 5700.0)}
    assert sum(ask.work_s for ask in asks) == 60.0
    assert not list(seen.expected(5400.0 + 10 * SLOT_S, 1600.0))


def test_what_is_overdue_is_expected_until_it_is_missed() -> None:
    seen = Seen()
    for period in range(3):
        seen.note(1800.0 * period, 300.0, 60.0)
    overdue = list(seen.expected(5400.0 + 2 * SLOT_S, 1000.0))
    assert {ask.released_at for ask in overdue} == {5400.0 + 3 * SLOT_S}
    assert sum(ask.work_s for ask in overdue) == 60.0
    assert not list(seen.expected(5400.0 + 3 * SLOT_S, 1000.0))
    seen.note(5400.0 + 2 * SLOT_S, 300.0, 60.0)
    assert not list(seen.expected(5400.0 + 2 * SLOT_S, 1000.0))


def test_a_plan_lapses_when_what_it_counts_on_has_not_come() -> None:
    plans: list[FleetPlanned] = []
    came_at = [0.0]

    def watch(event: AnyEvent, _: Sequence[AnyCommand]) -> None:
        if isinstance(event, FleetPlanned):
            plans.append(event)
        elif isinstance(event, TaskCut):
            came_at.append(event.at)

    simulate(TIGHT, Trial(policy="lookahead", seed=1), watch=watch)
    missed_at = came_at[-1] + 1800.0 + (GRACE_SLOTS + 1) * SLOT_S
    assert max(plan.at for plan in plans) <= missed_at
    assert all(plan.until_at <= missed_at for plan in plans)
    assert plans[-2].steps


def test_periodic_bursts_cost_no_more_than_with_prefix_at_equal_hits() -> None:
    costs = {}
    for policy in ("prefix", "lookahead"):
        outcome = simulate(HOURLY, Trial(policy=policy, seed=1), checked=False).outcome
        assert outcome.on_time == outcome.due
        costs[policy] = outcome.cost
    assert costs["lookahead"] <= costs["prefix"]


def test_booting_ahead_saves_deadlines_and_a_run_replays() -> None:
    steps: list[Step] = []
    ahead = simulate(
        TIGHT,
        Trial(policy="lookahead", seed=1),
        watch=lambda event, commands: steps.append(Step(event=event, commands=tuple(commands))),
    )
    prefix = simulate(TIGHT, Trial(policy="prefix", seed=1))
    assert prefix.outcome.on_time == 0
    assert ahead.outcome.on_time >= 4
    assert any(isinstance(step.event, FleetPlanned) for step in steps)
    header = Header(build="slackwater", settings=ahead.settings)
    assert replay(header, steps) == (len(steps), None)
    assert simulate(TIGHT, Trial(policy="lookahead", seed=1)).outcome == ahead.outcome
