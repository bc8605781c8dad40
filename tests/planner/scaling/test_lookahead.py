"""What a plan adds to `prefix`, step by step, and that snapshots and journals keep it."""

from __future__ import annotations

from planner.commands import ProvisionNode
from planner.core import Planner
from planner.events import FleetPlanned, OffersChanged, Ticked
from planner.journal import decode_snapshot, decode_step, encode_snapshot, encode_step
from planner.model import FleetPlan, PlannedStep
from planner.scaling.lookahead import LookaheadPolicy
from planner.scaling.view import ScalingView, Wanted
from planner.settings import PlannerSettings, ScalingSettings
from tests.planner.scaling.world import VM, node, view_of

STEPS = (PlannedStep(at=100.0, nodes=(("vm", 2),)), PlannedStep(at=400.0, nodes=()))
PLAN = FleetPlan(steps=STEPS, until_at=1000.0, reason="planned ahead")


def wanted(view: ScalingView) -> Wanted:
    policy = LookaheadPolicy()
    return policy.step(policy.start(), view)[1]


def test_it_wakes_at_the_next_step_and_launches_what_is_lacking() -> None:
    assert wanted(view_of(plan=PLAN)) == Wanted(wake_at=100.0, wake_reason="the plan changes")
    assert len(wanted(view_of(plan=PLAN, now=100.0)).launches) == 2
    assert len(wanted(view_of(plan=PLAN, now=100.0, nodes_allowed=1)).launches) == 1


def test_idle_nodes_stay_while_the_plan_wants_them() -> None:
    nodes = [node(f"n{number}") for number in range(3)]
    assert len(wanted(view_of(nodes=nodes, plan=PLAN, now=200.0)).releases) == 1
    assert len(wanted(view_of(nodes=nodes, plan=PLAN, now=400.0)).releases) == 3


def test_a_plan_is_kept_by_snapshots_and_journals() -> None:
    planner = Planner(PlannerSettings(scaling=ScalingSettings(policy="lookahead")))
    planner.handle(OffersChanged(at=0.0, offers=(VM,)))
    told = FleetPlanned(at=0.0, steps=STEPS, until_at=1000.0, reason=PLAN.reason)
    planner.handle(decode_step(encode_step(told, []), 2).event)
    assert planner.books.plan == PLAN
    data = encode_snapshot(planner.snapshot())
    commands = planner.handle(Ticked(at=100.0))
    assert len([each for each in commands if isinstance(each, ProvisionNode)]) == 2
    assert Planner.restore(decode_snapshot(data)).handle(Ticked(at=100.0)) == commands
