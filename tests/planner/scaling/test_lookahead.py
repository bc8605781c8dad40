"""What a plan adds to `prefix`, step by step, and that snapshots and journals keep it."""

from __future__ import annotations

from dataclasses import replace

from planner.commands import ProvisionNode
from planner.core import Planner
from planner.durations import BootTimes
from planner.events import FleetPlanned, OffersChanged, Ticked
from planner.journal import decode_step, encode_step
from planner.keeping import decode_snapshot, encode_snapshot
from planner.model import FleetPlan, NodeOffer, PlannedStep
from planner.ranking import Waiting
from planner.scaling.lookahead import LookaheadPolicy, offers_in_time
from planner.scaling.view import NodePhase, ScalingView, Wanted
from planner.settings import PlannerSettings, ScalingSettings
from tests.planner.scaling.world import VM, node, view_of, waiting

STEPS = (PlannedStep(at=100.0, nodes=(("vm", 2),)), PlannedStep(at=400.0, nodes=()))
EXACT = [120.0] * 201
PLAN = FleetPlan(steps=STEPS, until_at=1000.0, reason="planned ahead")

SPOT = replace(VM, node_type="spot", price_per_h=0.03, spot=True)


def spot_view(task: Waiting, offers: tuple[NodeOffer, ...]) -> ScalingView:
    return view_of(task, offers=offers, boots=BootTimes(tables={"vm": EXACT, "spot": EXACT}))


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


def test_a_draining_node_is_used_again_before_another_is_launched() -> None:
    nodes = [node("n0"), node("n1", phase=NodePhase.DRAINING)]
    found = wanted(view_of(nodes=nodes, plan=PLAN, now=200.0))
    assert [keep.node_id for keep in found.keeps] == ["n1"]
    assert not found.launches
    assert not wanted(view_of(nodes=nodes, plan=PLAN, now=400.0)).keeps


def test_a_plan_that_has_ended_wants_nothing() -> None:
    held = [node("n0")]
    plan = replace(PLAN, steps=STEPS[:1])
    assert not wanted(view_of(nodes=held, plan=plan, now=999.0)).releases
    assert len(wanted(view_of(nodes=held, plan=plan, now=1000.0)).releases) == 1


def test_spot_nodes_are_taken_while_there_is_time_to_lose_them() -> None:
    # 440 s: the work, a boot and a part that are lost, and the boot of a node that stays.
    for due_at, offers in ((450.0, (SPOT, VM)), (430.0, (VM,))):
        assert offers_in_time(spot_view(waiting("t", due_at), offers=(SPOT, VM))) == offers


def test_the_safety_net_launches_nodes_that_stay() -> None:
    found = wanted(spot_view(waiting("t", 220.5), offers=(SPOT, VM)))
    assert [launch.node_type for launch in found.launches] == ["vm"]


def test_without_nodes_that_stay_there_is_no_safety_net() -> None:
    late = waiting("t", 300.0)
    assert offers_in_time(spot_view(late, offers=(SPOT, VM))) == (VM,)
    assert offers_in_time(spot_view(late, offers=(SPOT,))) == (SPOT,)
