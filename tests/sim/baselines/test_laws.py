"""What every baseline must keep, whatever its rule: caps, busy nodes, polls, memory, an end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import UnknownPlugin
from planner.scaling.policy import BUILT_IN, Policy
from planner.scaling.view import NodePhase, ScalingView, Wanted
from planner.settings import ScalingSettings
from sim.baselines.catalogue import BASELINES, AllPolicies
from sim.baselines.polling import PollingRule
from tests.planner.scaling.world import VM, Arrival, World, node, view_of, waiting

every = pytest.mark.parametrize("name", BASELINES)

DRAINING = {"keda-job", "keda-job-accurate", "keda-job-eager", "toil-1800", "toil-300"}
"""Rules that let busy nodes drain: jobs take one part, and Toil picks those with the fewest."""

BETWEEN_POLLS = {
    *("keda-job", "keda-job-accurate", "keda-job-eager", "taskvine-factory"),
    *("karpenter", "karpenter-unbudgeted"),
}
"""Rules by which nodes end by themselves, or that wait for an instant of their own."""

GRID_S = 3600.0
"""All periods divide this."""


def rule(name: str) -> PollingRule[Any]:
    found = BASELINES[name]
    assert isinstance(found, PollingRule)
    return found


def busy_view(now: float = GRID_S) -> ScalingView:
    nodes = [
        node("busy", now + 20.0, now + 30.0),
        node("half", now + 20.0),
        node("idle", requested_at=now - 4000.0),
        node("booting", phase=NodePhase.BOOTING, requested_at=now - 10.0),
    ]
    tasks = [waiting(f"t-{n}", now + 900.0, [60.0] * 8) for n in range(4)]
    return view_of(*tasks, nodes=nodes, now=now, nodes_allowed=3)


@st.composite
def courses(draw: st.DrawFn) -> list[ScalingView]:
    """Return views of one fleet at instants that follow each other."""
    now, views = GRID_S, []
    for _ in range(draw(st.integers(1, 5))):
        now += draw(st.sampled_from([0.0, 0.4, 1.0, 15.0, 60.0, 300.0, 2000.0]))
        nodes = [node(f"b-{n}", now + 9.0, now + 50.0) for n in range(draw(st.integers(0, 3)))]
        nodes += [node(f"h-{n}", now + 9.0) for n in range(draw(st.integers(0, 2)))]
        idle_s = st.sampled_from([0.0, 10.0, 130.0, 700.0, 2500.0])
        nodes += [node(f"i-{n}", requested_at=now - draw(idle_s)) for n in range(3)]
        nodes += [
            node(f"y-{n}", phase=NodePhase.BOOTING, requested_at=now - draw(idle_s))
            for n in range(draw(st.integers(0, 3)))
        ]
        nodes += [
            node(f"d-{n}", now + 9.0, phase=NodePhase.DRAINING)
            for n in range(draw(st.integers(0, 2)))
        ]
        tasks = [
            waiting(f"t-{n}", now + draw(st.floats(-99.0, 2e3)), [50.0] * draw(st.integers(1, 9)))
            for n in range(draw(st.integers(0, 5)))
        ]
        scaling = ScalingSettings(nodes_min=draw(st.sampled_from([0, 0, 2])))
        allowed = draw(st.integers(0, 20))
        some = replace(VM, nodes_max=draw(st.sampled_from([2, 1000])))
        views.append(
            view_of(
                *tasks,
                nodes=draw(st.sampled_from([nodes, nodes[:1], []])),
                now=now,
                settings=scaling,
                nodes_allowed=allowed,
                offers=draw(st.sampled_from([(VM,), (some,), ()])),
            )
        )
    return views


def check(name: str, view: ScalingView, wanted: Wanted) -> None:
    by_id = {one.node_id: one for one in view.nodes}
    offered = sum(offer.nodes_max for offer in view.offers)
    assert len(wanted.launches) <= min(view.nodes_allowed, offered)
    gone = [release.node_id for release in wanted.releases]
    assert len(gone) == len(set(gone))
    for node_id in gone:
        assert by_id[node_id].phase is not NodePhase.DRAINING
        assert name in DRAINING or not by_id[node_id].busy_until
    assert all(by_id[keep.node_id].phase is NodePhase.DRAINING for keep in wanted.keeps)
    live = [one for one in view.nodes if one.phase is not NodePhase.DRAINING]
    assert not gone or len(live) + len(wanted.launches) - len(gone) >= view.settings.nodes_min
    for pieces in (wanted.launches, wanted.releases, wanted.keeps):
        assert all(piece.reason for piece in pieces)
    assert wanted.wake_at is None or wanted.wake_at > view.now
    assert (wanted.wake_at is None) == (wanted.wake_reason == "")


@settings(max_examples=60)
@given(course=courses())
def test_caps_are_kept_and_busy_nodes_left_alone(course: list[ScalingView]) -> None:
    for name in BASELINES:
        policy = rule(name)
        memory = policy.start()
        for view in course:
            memory, wanted = policy.step(memory, view)
            check(name, view, wanted)
            stored = msgspec.json.encode(memory)
            assert msgspec.convert(msgspec.json.decode(stored), policy.memory_type) == memory
            assert policy.nodes_reachable(view) >= 0


@every
def test_between_polls_nothing_is_decided(name: str) -> None:
    policy = rule(name)
    memory, wanted = policy.step(policy.start(), busy_view(GRID_S - 0.6 * policy.period_s))
    assert not wanted.launches
    assert wanted.wake_at is not None
    assert wanted.wake_at <= GRID_S
    before = memory
    memory, _ = policy.step(memory, busy_view(GRID_S))
    assert memory != before
    memory, wanted = policy.step(memory, busy_view(GRID_S + 0.4 * policy.period_s))
    assert name.startswith("karpenter") or not wanted.launches
    assert name in BETWEEN_POLLS or not wanted.releases
    assert not wanted.keeps
    assert wanted.wake_at is not None
    assert wanted.wake_at <= GRID_S + policy.period_s
    again, _ = policy.step(memory, busy_view(GRID_S + 0.4 * policy.period_s))
    assert again == memory


@every
def test_a_missed_poll_is_made_up_for(name: str) -> None:
    policy = rule(name)
    memory, _ = policy.step(policy.start(), busy_view(GRID_S - 0.6 * policy.period_s))
    late_at = GRID_S + 0.4 * policy.period_s
    memory, wanted = policy.step(memory, busy_view(late_at))
    assert memory.next_at is None or memory.next_at == GRID_S + policy.period_s
    assert wanted.wake_at is not None


@every
def test_a_clock_that_is_set_back_stops_no_poll(name: str) -> None:
    policy = rule(name)
    memory, _ = policy.step(policy.start(), busy_view(GRID_S))
    _, wanted = policy.step(memory, busy_view(GRID_S - 3000.0 + 0.1))
    assert wanted.wake_at is not None
    assert wanted.wake_at <= GRID_S - 3000.0 + policy.period_s


@every
def test_nothing_to_do_asks_for_no_wake(name: str) -> None:
    policy = rule(name)
    memory, _ = policy.step(policy.start(), busy_view())
    memory, wanted = policy.step(memory, view_of(now=GRID_S + 7.0))
    assert (wanted, memory.next_at) == (Wanted(), None)
    assert policy.step(memory, view_of(now=GRID_S + 8.0)) == (memory, Wanted())
    standing = ScalingSettings(nodes_min=2)
    nodes = [node("n-1"), node("n-2")]
    _, wanted = policy.step(memory, view_of(nodes=nodes, settings=standing, now=GRID_S + 9.0))
    assert wanted == Wanted()


@every
def test_the_least_fleet_stands_always(name: str) -> None:
    policy = rule(name)
    view = view_of(settings=ScalingSettings(nodes_min=2), now=GRID_S)
    _, wanted = policy.step(policy.start(), view)
    assert len(wanted.launches) == 2


LOADS = {
    "a burst": [Arrival(100.0, f"t-{n}", 3700.0, (60.0, 90.0, 30.0)) for n in range(12)],
    "two far apart": [
        Arrival(at, f"{at:.0f}-{n}", at + 2000.0, (40.0,) * 5)
        for at in (7.0, 20_011.0)
        for n in range(4)
    ],
}


def played(policy: Policy, arrivals: Iterable[Arrival]) -> World:
    return World(policy, arrivals, settings=ScalingSettings(nodes_max=8)).run(100_000)


@every
@pytest.mark.parametrize("load", LOADS)
def test_all_is_done_and_the_fleet_goes(name: str, load: str) -> None:
    """The world comes to rest, which it does only if nobody asks to be woken any more."""
    world = played(BASELINES[name], LOADS[load])
    assert len(world.finished_at) == len(LOADS[load])
    assert world.machines == {}


def test_a_run_is_cheaper_or_dearer_as_the_rules_say() -> None:
    """Holding idle nodes for longer costs more: what a wrong mapping would turn round."""
    cost = {name: played(rule, LOADS["a burst"]).node_s for name, rule in BASELINES.items()}
    assert cost["dask-adaptive"] < cost["ray"] < cost["cluster-autoscaler"] < cost["clues"]
    assert cost["karpenter-unbudgeted"] < cost["karpenter"] < cost["clues"]
    assert cost["parsl-htex"] <= cost["parsl-simple"] < cost["ray"]
    assert cost["toil-1800"] < cost["toil-300"]


def test_names_are_those_of_the_rules_and_none_is_there_twice() -> None:
    assert {name: rule.name for name, rule in BASELINES.items()} == {n: n for n in BASELINES}
    assert not set(BASELINES) & set(BUILT_IN)


def test_only_jobs_are_pods() -> None:
    pods = {name for name, rule in BASELINES.items() if getattr(rule, "pods", False)}
    assert pods == {"keda-job", "keda-job-accurate", "keda-job-eager"}


def test_the_joined_catalogue_knows_both_kinds_and_suggests_near_names() -> None:
    policies = AllPolicies()
    assert policies["prefix"] is BUILT_IN["prefix"]
    assert policies["ray"] is BASELINES["ray"]
    assert list(policies)[-len(BASELINES) :] == list(BASELINES)
    assert len(policies) == len(list(policies))
    with pytest.raises(UnknownPlugin, match=r"Did you mean 'karpenter'") as error:
        policies["carpenter"]
    assert "prefix" in error.value.fix
    with pytest.raises(UnknownPlugin, match="'static'"):
        AllPolicies(BUILT_IN)["statik"]
