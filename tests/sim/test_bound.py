"""The bound: figures worked out by hand, real schedules that must not be cheaper, laws."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.bound.closed_form import together
from sim.bound.cost import cost_bound
from sim.bound.hits import most_hits
from sim.bound.slots import choose_edges, joined, slotted
from sim.bound.spending import least_cost
from sim.bound.terms import Demand, FleetTerms, NodeTerms, first_known_at, load_of, sort_out

T0 = 1.7e9
VM = NodeTerms(slots=2, boot_s=120.0)


def demand(name: object, released_s: float, due_s: float, work_s: float, parts: int = 8) -> Demand:
    return Demand(
        id=str(name),
        released_at=T0 + released_s,
        due_at=T0 + due_s,
        work_s=work_s,
        longest_s=work_s / parts,
        parallel_max=parts,
    )


def burst() -> list[Demand]:
    """One hundred tasks of 24,909.6 s in all, due after an hour."""
    work_s = np.random.default_rng(0).uniform(100, 400, 100)
    work_s *= 24_909.6 / work_s.sum()
    return [demand(number, 0, 3600, work) for number, work in enumerate(work_s)]


def linear(demands: Sequence[Demand], fleet: FleetTerms, launches_min: int | None = None) -> float:
    """Return what the programme itself says, without the floor."""
    load = load_of(demands, first_known_at(demands))
    edges, _ = choose_edges(load, 60_000, fleet.opens_s)
    return least_cost(*joined([slotted(load, edges)]), fleet, 60.0, launches_min)[0].proven


def test_the_burst_of_the_literature_study() -> None:
    """m* = 3.579; 3.593 VM-h in closed form and with whole launches, 3.575 by the programme."""
    best = together(burst(), VM)
    assert best.nodes == pytest.approx(3.579, abs=5e-4)
    assert best.launches == 4
    assert best.node_seconds / 3600 == pytest.approx(3.593, abs=5e-4)
    fleet = FleetTerms(types=(VM,))
    assert linear(burst(), fleet) / 3600 == pytest.approx(3.575, abs=5e-4)
    assert linear(burst(), fleet, 0) / 3600 == pytest.approx(3.593, abs=5e-4)
    assert cost_bound(burst(), fleet).node_seconds / 3600 == pytest.approx(3.593, abs=5e-4)


@pytest.mark.parametrize("cap", [1, 2, 3, 4])
def test_most_hits_of_what_comes_together_are_moore_and_hodgsons(cap: int) -> None:
    fleet = FleetTerms(types=(VM,), nodes_max=cap, boots_ahead=False)
    best = most_hits(burst(), fleet)
    assert best.found == best.proven == best.together
    assert best.proven <= best.ceiling < best.proven + 1
    assert (best.proven == 100) == (cap == 4) == cost_bound(burst(), fleet).meetable


def test_one_small_job_costs_its_boot_and_its_work() -> None:
    fleet = FleetTerms(types=(VM,))
    bound = cost_bound([demand("a", 0, 600, 4.0, parts=2)], fleet)
    assert bound.node_seconds == pytest.approx(122.0)
    assert linear([demand("a", 0, 600, 4.0, parts=2)], fleet) < 3.0


def test_a_quantum_is_paid_whole() -> None:
    hourly = replace(VM, quantum_s=3600.0, price_per_s=0.1 / 3600)
    jobs = [demand(n, n * 1000, n * 1000 + 900, 200) for n in range(3)]
    bound = cost_bound(jobs, FleetTerms(types=(hourly,)), whole_seconds_max=20)
    assert [bound.cost, bound.cost_whole] == pytest.approx([0.1, 0.1])
    assert bound.node_seconds < 3600
    apart = [demand(n, n * 20_000, n * 20_000 + 900, 200) for n in range(3)]
    bound = cost_bound(apart, FleetTerms(types=(hourly,)), whole_seconds_max=20)
    assert bound.cost == pytest.approx(0.3)
    assert bound.spells == 3


def test_what_no_fleet_can_meet_is_told_and_not_held_against_a_run() -> None:
    jobs = [
        demand("fine", 0, 1000, 100, parts=1),
        demand("ahead", 0, 150, 100, parts=1),
        demand("never", 0, 90, 100, parts=1),
        demand("given-up", 0, 90, 100, parts=1)._replace(firm=True),
        demand("patient", 0, math.inf, 100, parts=1),
    ]
    fleet = FleetTerms(types=(VM,))
    hoped = sort_out(jobs, fleet)
    assert [one.id for one in hoped.within_reach] == ["fine", "ahead"]
    assert [one.id for one in hoped.hopeless] == ["never", "given-up"]
    assert [one.id for one in hoped.only_ahead] == ["ahead"]
    assert [one.id for one in hoped.patient] == ["patient", "never"]
    assert cost_bound(jobs, fleet).node_seconds == pytest.approx(4 * 100 / 2 + 120)
    cold = sort_out(jobs, replace(fleet, boots_ahead=False))
    assert [one.id for one in cold.within_reach] == ["fine"]


def test_a_light_load_pays_whole_boots_where_a_programme_pays_fractions() -> None:
    """Once an hour 60 s of work within 300 s: a boot each, or a node that stands for 55 minutes."""
    jobs = [demand(n, n * 3600, n * 3600 + 300, 60, parts=1) for n in range(24)]
    # Patient work in one stretch: no gap to take the load apart at.
    jobs.append(demand("slow", 0, 86_400, 60, parts=1))
    fleet = FleetTerms(types=(replace(VM, slots=1),))
    assert cost_bound(jobs, fleet).node_seconds == pytest.approx(24 * (120 + 60) + 60)
    assert linear(jobs, fleet) < 0.7 * cost_bound(jobs, fleet).node_seconds
    hourly = FleetTerms(types=(replace(VM, slots=1, quantum_s=3600.0),))
    # A paid hour may begin at the end of one window and reach into the next.
    assert cost_bound(jobs, hourly).cost == pytest.approx(12 * 3600)


def test_types_differ_and_the_best_of_each_counts() -> None:
    small = NodeTerms(slots=1, boot_s=60.0, price_per_s=1.0)
    large = NodeTerms(slots=8, boot_s=60.0, price_per_s=6.0)
    a_lot = [demand("a", 0, 1000, 8000, parts=16)]
    both = cost_bound(a_lot, FleetTerms(types=(small, large)))
    assert both.cost == pytest.approx(6.0 * (1000 + 60), rel=1e-5)
    assert both.node_seconds == pytest.approx(1000 + 60, rel=1e-5)
    a_little = cost_bound([demand("a", 0, 1000, 10)], FleetTerms(types=(small, large)))
    assert 60 < a_little.cost <= 60 + 10


# --- tiny loads, tried out: parts of one minute, nodes that come and go at full minutes

MINUTES = 5
STAYS = [(a, z) for a in range(MINUTES) for z in range(a + 1, MINUTES + 1)]


def tiny(seed: int) -> list[Demand]:
    rng = np.random.default_rng(seed)
    found = []
    for number in range(rng.integers(1, 5)):
        released = int(rng.integers(0, MINUTES))
        due = int(rng.integers(released + 1, MINUTES + 1))
        parts = int(rng.integers(1, 4))
        found.append(demand(number, 60.0 * released, 60.0 * due, 60.0 * parts, parts))
    return found


def all_met(demands: Sequence[Demand], ready: Sequence[int]) -> bool:
    """Tell whether parts of a minute fit on so many slots in each minute, by deadline."""
    left = {one.id: one.parallel_max for one in demands}
    for minute, free in enumerate(ready):
        at = T0 + 60.0 * minute
        open_now = [one for one in demands if one.released_at <= at and one.due_at >= at + 60]
        for one in sorted(open_now, key=lambda one: one.due_at):
            runs = min(left[one.id], free)
            left[one.id] -= runs
            free -= runs  # noqa: PLW2901
    return not any(left.values())


def least_by_trial(demands: Sequence[Demand], node: NodeTerms, nodes_max: int) -> float:
    best = math.inf
    for count in range(1, nodes_max + 1):
        for stays in itertools.combinations_with_replacement(STAYS, count):
            stood = [node.boot_s + 60.0 * (z - a) for a, z in stays]
            q = node.quantum_s
            cost = sum(math.ceil(one / q) * q if q else one for one in stood)
            ready = [node.slots * sum(a <= t < z for a, z in stays) for t in range(MINUTES)]
            if cost < best and all_met(demands, ready):
                best = cost
    return best


@pytest.mark.parametrize("quantum_s", [0.0, 120.0])
def test_tiny_loads_tried_out_cost_no_less_and_little_more(quantum_s: float) -> None:
    node = NodeTerms(slots=2, boot_s=30.0, quantum_s=quantum_s)
    ratios = []
    for seed in range(8):
        best = least_by_trial(tiny(seed), node, 3)
        bound = cost_bound(tiny(seed), FleetTerms(types=(node,)), whole_seconds_max=10.0)
        assert bound.cost_whole is not None
        assert bound.cost <= bound.cost_whole
        if best < math.inf:
            assert bound.cost_whole <= best + 1e-6
            ratios.append(best / bound.cost_whole)
    assert len(ratios) >= 5
    assert np.mean(ratios) < 1.25


@pytest.mark.parametrize("weighted", [False, True])
def test_most_hits_of_tiny_loads_are_those_tried_out_or_a_little_more(weighted: bool) -> None:
    fleet = FleetTerms(types=(NodeTerms(slots=1, boot_s=0.0),), nodes_max=1)
    found, proven = [], []
    for seed in range(20):
        demands = [
            one._replace(weight=1.0 + 0.5 * number * weighted)
            for number, one in enumerate(tiny(seed))
        ]
        subsets = (
            chosen
            for count in range(len(demands) + 1)
            for chosen in itertools.combinations(demands, count)
            if all_met(chosen, [1] * MINUTES)
        )
        found.append(max(sum(one.weight for one in chosen) for chosen in subsets))
        bound = most_hits(demands, fleet)
        assert found[-1] <= bound.proven + 1e-6 <= bound.ceiling + 2e-6
        proven.append(bound.proven)
    assert sum(proven) <= 1.1 * sum(found)


# --- laws


@st.composite
def loads(draw: st.DrawFn) -> list[Demand]:
    count = draw(st.integers(1, 6))
    found = []
    for number in range(count):
        released_s = draw(st.integers(0, 2000))
        parts = draw(st.integers(1, 4))
        work_s = draw(st.integers(1, 300))
        spare_s = draw(st.integers(0, 1500))
        found.append(demand(number, released_s, released_s + work_s + spare_s, work_s, parts))
    return found


nodes = st.builds(
    NodeTerms,
    slots=st.integers(1, 3),
    speed=st.sampled_from([0.5, 1.0, 2.0]),
    boot_s=st.sampled_from([0.0, 45.0, 120.0]),
    quantum_s=st.sampled_from([0.0, 0.0, 60.0, 600.0, 3600.0]),
)


# --- schedules as they really run: whole parts, one on a slot, nodes launched and let go


def schedule(
    demands: Sequence[Demand], node: NodeTerms, launches: Sequence[float]
) -> tuple[float, int]:
    """Return what a fleet costs that runs parts by deadline, and how many demands it meets.

    Nodes are launched at these instants and let go when they have run their last part.
    """
    free = [(at + node.boot_s, number) for number, at in enumerate(launches)] * node.slots
    heapq.heapify(free)
    stood_until = [at + node.boot_s for at in launches]
    waiting = sorted(demands, key=lambda one: one.due_at)
    met = 0
    while waiting:
        at, number = heapq.heappop(free)
        known = [one for one in waiting if one.released_at <= at]
        if not known:
            heapq.heappush(free, (min(one.released_at for one in waiting), number))
            continue
        one = known[0]
        waiting.remove(one)
        done_at = at
        for _ in range(one.parallel_max):
            end_at = at + one.work_s / one.parallel_max / node.speed
            heapq.heappush(free, (end_at, number))
            stood_until[number] = max(stood_until[number], end_at)
            done_at = max(done_at, end_at)
            at, number = heapq.heappop(free)
        heapq.heappush(free, (at, number))
        met += done_at <= one.due_at + 1e-6
    billed = 0.0
    for until, at in zip(stood_until, launches, strict=True):
        stood = until - at
        q = node.quantum_s
        billed += max(1, math.ceil((stood - 1e-6) / q)) * q if q > 0 else stood
    return billed * node.price_per_s, met


@settings(max_examples=20, deadline=None)
@given(loads(), nodes, st.lists(st.integers(-200, 2500), min_size=1, max_size=5))
def test_no_schedule_that_meets_all_is_cheaper(
    demands: list[Demand], node: NodeTerms, launches: list[int]
) -> None:
    cost, met = schedule(demands, node, [T0 + at for at in launches])
    fleet = FleetTerms(types=(node,), nodes_max=len(launches))
    if met == len(demands):
        bound = cost_bound(demands, fleet, whole_seconds_max=1)
        assert bound.meetable
        assert bound.cost_whole is not None
        assert bound.cost <= bound.cost_whole <= cost
        assert bound.node_seconds * node.price_per_s <= cost
    hits = most_hits(demands, fleet)
    assert met <= hits.proven <= hits.ceiling + 1e-6
