"""The default policy: the cases that break its naive form, and the laws that it must keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.admission import assess
from planner.durations import BootTimes
from planner.forecast import FORECAST_PARTS_MAX, LATE_S_MIN, lateness_s
from planner.model import NodeOffer
from planner.prefixes import Caution, Outline
from planner.scaling.need import need_of
from planner.scaling.policy import BUILT_IN
from planner.scaling.prefix import PrefixPolicy
from planner.scaling.prospects import Addition, additions, standing_slots
from planner.scaling.view import NodePhase, NodeView, ScalingView, Wanted
from planner.settings import ScalingSettings
from planner.supply import Slot, Supply
from tests.planner.scaling.world import (
    Arrival,
    World,
    boots_taking,
    node,
    queue_of,
    view_of,
    waiting,
)


def step(view: ScalingView) -> Wanted:
    policy = PrefixPolicy()
    return policy.step(policy.start(), view)[1]


def at_risk(view: ScalingView) -> dict[str, float]:
    return dict(assess(view, PrefixPolicy().nodes_reachable(view)).at_risk)


def booting(node_id: str, requested_at: float) -> NodeView:
    return node(node_id, phase=NodePhase.BOOTING, requested_at=requested_at)


def fleet(count: int, *busy_until: float) -> list[NodeView]:
    return [node(f"n-{number}", *busy_until) for number in range(count)]


class TestCases:
    """The table of `reference/scaling.md`, 4.3: two slots a node, boots of 120 s unless said."""

    def test_fleet_at_zero_work_60_due_before_any_boot(self) -> None:
        """Naive: never launches. Right: one node, at risk told."""
        view = view_of(waiting("t", 110, [60.0]))
        assert len(step(view).launches) == 1
        assert at_risk(view) == {"t": 70.0}
        assert step(view).launches[0].reason == (
            "t: out of reach of its deadline; 60 s of work to be done within 3600 s, 1 node short"
        )

    def test_no_deadline_fleet_at_zero(self) -> None:
        """Naive: ceil(W / inf) = 0, never starts. Right: one node within best_effort_s."""
        view = view_of(waiting("t", math.inf, [60.0]))
        assert len(step(view).launches) == 1
        assert at_risk(view) == {}

    def test_both_slots_run_long_parts_of_later_work(self) -> None:
        """Naive: need 0, ends at 1000. Right: one node."""
        view = view_of(waiting("t", 300, [100.0]), nodes=[node("n-1", 900.0, 900.0)])
        wanted = step(view)
        assert need_of(view).reason == "t: 100 s of work due in 300 s, 1 node short"
        assert wanted.launches == ()
        assert wanted.wake_at is not None
        assert 70.0 < wanted.wake_at <= 80.0
        later = replace(
            view_of(waiting("t", 300, [100.0]), nodes=[node("n-1", 900.0, 900.0)]),
            now=wanted.wake_at,
        )
        assert len(step(later).launches) == 1
        assert at_risk(later) == {}

    def test_a_boot_that_hangs(self) -> None:
        """Naive: need 0 until 331. Right: residual boot by age, beyond its P99 it is never."""

        def view_at(now: float) -> ScalingView:
            task = waiting("t", 700, [70.0] * 10)
            return view_of(task, now=now, nodes=[booting("n-1", 0.0)])

        assert need_of(view_at(119.0)).additions == ()
        wake_at = step(view_at(119.0)).wake_at
        assert wake_at == 121.0
        assert step(view_at(119.0)).wake_reason == "n-1 should have booted"
        assert len(need_of(view_at(wake_at)).additions) == 1
        assert step(view_at(200.0)).launches != ()
        assert at_risk(view_at(200.0)) == {}

    def test_eight_nodes_seventeen_parts(self) -> None:
        """Naive: need 0, ends at 200. Right: one more, where its boot is short enough to help."""
        task = ("t", 160.0, [100.0] * 17)
        short = view_of(waiting(*task), nodes=fleet(8), boot_s=20.0)
        assert len(step(short).launches) == 1
        assert at_risk(short) == {}
        long = view_of(waiting(*task), nodes=fleet(8), boot_s=120.0)
        assert step(long).launches == ()
        assert at_risk(long) == {"t": 40.0}

    def test_twelve_long_parts_no_nodes(self) -> None:
        """Naive: 5 nodes, ends at 1120. Right: 6 nodes, 620."""
        view = view_of(waiting("t", 1000, [500.0] * 12))
        assert [launch.workers for launch in step(view).launches] == [2] * 6
        assert {launch.reason for launch in step(view).launches} == {
            "t: 6000 s of work due in 1000 s, 6 nodes short"
        }
        world = World(PrefixPolicy(), [Arrival(0.0, "t", 1000.0, (500.0,) * 12)]).run()
        assert (world.launches, world.finished_at["t"]) == (6, 620.0)

    def test_one_long_part_due_before_its_end_eight_idle_nodes(self) -> None:
        """Naive: "feasible". Right: at risk, need 0."""
        view = view_of(waiting("t", 350, [600.0]), nodes=fleet(8))
        assert step(view).launches == ()
        assert at_risk(view) == {"t": 250.0}

    def test_one_long_part_due_before_its_end_no_nodes(self) -> None:
        """Naive: launches 4. Right: one node, at risk."""
        view = view_of(waiting("t", 500, [600.0]))
        assert len(step(view).launches) == 1
        assert at_risk(view) == {"t": 220.0}

    def test_two_parts_finishing_on_a_draining_node(self) -> None:
        """Naive: launches 2 for nothing. Right: 0."""
        draining = node("n-1", 500.0, 500.0, phase=NodePhase.DRAINING)
        assert step(view_of(nodes=[draining])) == Wanted()

    def test_hourly_short_jobs_with_day_long_deadlines(self) -> None:
        """Naive: a boot each, 3,600 node-s a day. Right: batched, about 840."""
        days = 8
        jobs = [
            Arrival(3600.0 * hour, f"t-{hour:03}", 3600.0 * hour + 86400.0, (60.0,))
            for hour in range(24 * days)
        ]
        world = World(PrefixPolicy(), jobs).run()
        assert all(world.finished_at[job.task_id] <= job.due_at for job in jobs)
        assert world.told_at == {}
        assert world.node_s / days == pytest.approx(840.0, rel=0.06)
        assert world.launches == days

    def test_doomed_work_before_work_that_can_be_met(self) -> None:
        """Naive: 3 nodes. Right: 2, the doomed yields."""
        view = view_of(waiting("a", 100, [100.0] * 10), waiting("b", 500, [100.0] * 10))
        need = need_of(view)
        assert len(need.additions) == 2
        assert need.reason == "b: 1000 s of work due in 500 s, 2 nodes short"
        assert list(at_risk(view)) == ["a"]
        jobs = [Arrival(0.0, "a", 100.0, (100.0,) * 10), Arrival(0.0, "b", 500.0, (100.0,) * 10)]
        world = World(PrefixPolicy(), jobs).run()
        assert world.launches == 2
        assert world.finished_at["b"] <= 500.0 < world.finished_at["a"]

    def test_order_by_importance(self) -> None:
        """Naive: need 0, A ends at 2000. Right: counts what runs before A."""
        before = waiting("b", 10_000, [100.0] * 10, key=(0.0,))
        after = waiting("a", 1100, [100.0] * 10, key=(1.0,))
        view = view_of(before, after, nodes=[node("n-1", slots=1)])
        assert len(need_of(view).additions) == 1
        assert need_of(view).reason == "a: 2000 s of work due in 1100 s, 1 node short"


class TestLaunching:
    def test_nothing_waits_nothing_happens(self) -> None:
        assert step(view_of()) == Wanted()

    def test_boots_on_their_way_are_counted(self) -> None:
        task = waiting("t", 1000, [500.0] * 12)
        nodes = [booting(f"n-{number}", 0.0) for number in range(6)]
        wanted = step(view_of(task, nodes=nodes))
        assert (wanted.launches, wanted.releases) == ((), ())

    def test_the_last_node_starts_as_late_as_is_safe_the_others_now(self) -> None:
        view = view_of(waiting("t", 800, [50.0] * 40))
        need = need_of(view)
        wanted = step(view)
        assert len(wanted.launches) == len(need.additions) - 1
        assert wanted.wake_at == need.last_start_at > 100.0
        assert wanted.wake_reason == need.reason

    def test_where_nothing_more_will_arrive_no_launch_is_put_off(self) -> None:
        settings = ScalingSettings(put_off_launches=False)
        wanted = step(view_of(waiting("t", 5000, [60.0]), settings=settings))
        assert (len(wanted.launches), wanted.wake_at) == (1, None)

    def test_the_latest_start_leaves_time_for_boot_and_work(self) -> None:
        """Two parts side by side take 100 s, three on two slots are given 200 s by the formula."""
        for parts, last_start_at in ((1, 4779.0), (2, 4779.0), (3, 4679.0)):
            need = need_of(view_of(waiting("t", 5000, [100.0] * parts)))
            assert need.last_start_at == pytest.approx(last_start_at)

    def test_waiting_is_planned_with_more_caution_than_launching(self) -> None:
        """Alone, a part of 100 +- 20 s is given its 97th percentile, and the boot its 99th."""
        boots = BootTimes()
        boots.prior("vm", 120.0)
        view = view_of(waiting("t", 5000, [100.0], variance_s2=400.0), boots=boots)
        work_s = 100.0 + 20.0 * NormalDist().inv_cdf(0.97)
        latest = 5000.0 - work_s - boots.quantile("vm", 0.99) - 1.0
        assert need_of(view).last_start_at == pytest.approx(latest)

    def test_what_lies_behind_the_forecast_counts_too(self) -> None:
        near = waiting("near", 10_000, [1.0] * FORECAST_PARTS_MAX)
        far = waiting("far", 10_001, [1.0] * 40_000)
        need = need_of(view_of(near, far, nodes=fleet(1)))
        assert len(need.additions) == 2
        assert need.reason.startswith("far: ")

    def test_best_effort_work_that_starts_a_node_does_not_wait(self) -> None:
        patient, urgent = waiting("p", math.inf, [60.0]), waiting("t", 5000, [60.0])
        assert len(step(view_of(urgent)).launches) == 0
        assert len(step(view_of(patient, urgent)).launches) == 1

    def test_best_effort_work_is_done_within_its_target(self) -> None:
        view = view_of(waiting("p", math.inf, [100.0] * 200), nodes=fleet(1))
        wanted = step(view)
        assert len(wanted.launches) == 2
        assert wanted.launches[0].reason == (
            "p: 20000 s of work to be done within 3600 s, 2 nodes short"
        )

    def test_draining_nodes_are_used_again_before_any_is_launched(self) -> None:
        draining = node("n-1", phase=NodePhase.DRAINING)
        one = step(view_of(waiting("t", 130, [100.0] * 2), nodes=[draining]))
        assert [keep.node_id for keep in one.keeps] == ["n-1"]
        assert one.launches == ()
        more = step(view_of(waiting("t", 230, [100.0] * 6), nodes=[draining]))
        assert (len(more.keeps), len(more.launches)) == (1, 1)

    def test_of_draining_nodes_the_one_that_is_free_first_is_used(self) -> None:
        nodes = [
            node("busy", 40.0, 50.0, phase=NodePhase.DRAINING),
            node("free", phase=NodePhase.DRAINING),
        ]
        wanted = step(view_of(waiting("t", 130, [100.0] * 2), nodes=nodes))
        assert [keep.node_id for keep in wanted.keeps] == ["free"]

    def test_a_draining_node_is_used_again_even_at_the_cap(self) -> None:
        draining = node("n-1", phase=NodePhase.DRAINING)
        view = view_of(waiting("t", 130, [100.0] * 2), nodes=[draining], nodes_allowed=0)
        assert len(step(view).keeps) == 1

    def test_a_cap_that_binds_is_filled_and_the_rest_told(self) -> None:
        view = view_of(
            waiting("a", 500, [100.0] * 6), waiting("b", 510, [100.0] * 6), nodes_allowed=1
        )
        assert len(step(view).launches) == 1
        assert list(at_risk(view)) == ["b"]

    def test_nodes_that_would_not_help_are_not_launched(self) -> None:
        """Two of three parts can have a slot in time whatever is launched; the third cannot."""
        view = view_of(waiting("t", 150, [100.0] * 3), nodes=fleet(1))
        assert step(view).launches == ()
        assert at_risk(view) == {"t": 50.0}

    def test_uncertainty_is_planned_for(self) -> None:
        exact = view_of(waiting("t", 620, [100.0] * 10), nodes=fleet(1))
        assert need_of(exact).additions == ()
        for scatter, common in ((4000.0, 0.0), (0.0, 0.2)):
            task = waiting("t", 620, [100.0] * 10, variance_s2=10 * scatter)
            view = view_of(task, nodes=fleet(1), common_error=common)
            assert len(need_of(view).additions) == 1

    def test_the_least_fleet_stands_always(self) -> None:
        wanted = step(view_of(settings=ScalingSettings(nodes_min=2)))
        assert len(wanted.launches) == 2
        assert wanted.launches[0].reason == "at least 2 nodes are to stand"

    def test_what_is_counted_on_is_watched(self) -> None:
        view = view_of(waiting("t", 5000, [100.0] * 4), nodes=[node("n-1", 30.5, 40.5)])
        wanted = step(view)
        assert (wanted.wake_at, wanted.wake_reason) == (41.0, "what runs now should have ended")

    def test_is_built_in_and_the_default(self) -> None:
        assert BUILT_IN[ScalingSettings().policy].name == "prefix"


class TestOffers:
    slow = NodeOffer(
        node_type="slow", slots=2, slots_max=2, speed=0.5, price_per_h=0.02, boot_s=300, nodes_max=9
    )
    fast = NodeOffer(
        node_type="fast", slots=2, slots_max=2, speed=2.0, price_per_h=0.4, boot_s=30, nodes_max=9
    )

    def view(self, due_at: float, lengths: Sequence[float], **fields: Any) -> ScalingView:
        boots = boots_taking(300.0, "slow")
        boots.tables |= boots_taking(30.0, "fast").tables
        return view_of(
            waiting("t", due_at, lengths), offers=(self.fast, self.slow), boots=boots, **fields
        )

    def test_the_cheapest_type_is_taken_where_it_is_in_time(self) -> None:
        need = need_of(self.view(5000, [100.0] * 20))
        assert {option.offer for option in need.additions} == {self.slow}

    def test_a_dearer_type_is_taken_where_only_it_is(self) -> None:
        need = need_of(self.view(200, [100.0] * 4))
        assert {option.offer for option in need.additions} == {self.fast}

    def test_the_next_type_follows_where_the_first_runs_out(self) -> None:
        view = replace(
            self.view(1000, [100.0] * 60), offers=(self.fast, replace(self.slow, nodes_max=2))
        )
        types = [option.offer.node_type for option in need_of(view).additions if option.offer]
        assert types[:2] == ["slow", "slow"]
        assert set(types[2:]) == {"fast"}

    def test_whole_quanta_are_part_of_the_price_of_every_node(self) -> None:
        """Three hourly nodes that work half an hour cost three hours."""
        hourly = replace(self.slow, node_type="slow", speed=1.0, quantum_s=3600.0, price_per_h=0.15)
        view = replace(self.view(2100, [100.0] * 108), offers=(self.fast, hourly))
        assert {option.offer for option in need_of(view).additions} == {self.fast}
        by_the_second = replace(view, offers=(self.fast, replace(hourly, quantum_s=0.0)))
        assert {o.offer and o.offer.node_type for o in need_of(by_the_second).additions} == {"slow"}

    def test_boots_are_part_of_the_price(self) -> None:
        """Half an hour of boot for ten seconds of work is dearer than a dearer node."""
        short = view_of(
            waiting("t", math.inf, [10.0]),
            offers=(replace(self.slow, node_type="vm"), self.fast),
            boots=boots_taking(6000.0, "vm"),
        )
        assert step(short).launches[0].node_type == "fast"


class TestReleasing:
    def test_idle_nodes_go_when_nothing_waits(self) -> None:
        wanted = step(view_of(nodes=[*fleet(2), node("n-9", 50.0)]))
        assert {release.node_id for release in wanted.releases} == {"n-0", "n-1"}
        assert wanted.releases[0].reason == "idle, and nothing waits"

    def test_busy_booting_and_draining_nodes_are_left_alone(self) -> None:
        nodes = [
            node("n-1", 50.0),
            booting("n-2", 0.0),
            node("n-3", 50.0, phase=NodePhase.DRAINING),
        ]
        assert step(view_of(nodes=nodes)).releases == ()

    def test_the_dearest_goes_first_and_the_least_fleet_stays(self) -> None:
        nodes = [node("cheap"), node("dear", price_per_h=0.5), node("slow", speed=0.5)]
        wanted = step(view_of(nodes=nodes, settings=ScalingSettings(nodes_min=1)))
        assert [release.node_id for release in wanted.releases] == ["dear", "slow"]

    def test_the_last_node_stays_while_work_waits(self) -> None:
        wanted = step(view_of(waiting("t", 90_000, [1.0]), nodes=fleet(3)))
        assert len(wanted.releases) == 2
        assert wanted.releases[0].reason == "idle, and all that waits is done in time without it"

    def test_nodes_stay_for_work_that_comes_within_a_boot(self) -> None:
        nodes = fleet(2)
        assert step(view_of(nodes=nodes, next_demand_at=100.0)).releases == ()
        assert len(step(view_of(nodes=nodes, next_demand_at=130.0)).releases) == 2

    def test_a_paid_quantum_is_used_up(self) -> None:
        hourly = node("n-1", requested_at=0.0, quantum_s=3600.0)
        wanted = step(view_of(nodes=[hourly], now=1000.0))
        assert wanted.releases == ()
        assert (wanted.wake_at, wanted.wake_reason) == (3480.0, "a paid quantum ends")
        assert len(step(view_of(nodes=[hourly], now=3480.0)).releases) == 1
        assert step(view_of(nodes=[hourly], now=3700.0)).wake_at == 7080.0

    def test_removing_is_planned_with_more_caution_than_launching(self) -> None:
        """Between the two quantiles a node neither goes nor would be launched."""
        for due_at, released, launched in ((1000.0, 1, 0), (620.0, 0, 0), (590.0, 0, 1)):
            task = waiting("t", due_at, [10.0] * 100, variance_s2=150.0**2)
            with_idle = view_of(task, nodes=fleet(2))
            without = view_of(
                waiting("t", due_at, [10.0] * 100, variance_s2=150.0**2), nodes=fleet(1)
            )
            assert len(step(with_idle).releases) == released, due_at
            assert len(need_of(without).additions) == launched, due_at


@st.composite
def situations(draw: st.DrawFn) -> ScalingView:
    """Return any view of a fleet of one type, with tasks of alike parts."""
    instants = st.floats(0.0, 600.0)
    tasks = [
        waiting(
            f"t-{number}",
            draw(st.one_of(st.floats(-50.0, 3000.0), st.just(math.inf))),
            [draw(st.floats(0.5, 200.0))] * draw(st.integers(1, 12)),
            variance_s2=draw(st.floats(0.0, 100.0)),
            admitted=draw(st.sampled_from([True, True, True, False])),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    nodes = [
        node(
            f"n-{number}",
            *draw(st.lists(instants, max_size=2)),
            phase=draw(st.sampled_from([NodePhase.READY, NodePhase.READY, NodePhase.DRAINING])),
        )
        for number in range(draw(st.integers(0, 4)))
    ]
    young = [
        booting(f"b-{number}", -draw(st.floats(0.0, 110.0)))
        for number in range(draw(st.integers(0, 2)))
    ]
    return view_of(
        *tasks,
        nodes=nodes + young,
        boot_s=draw(st.sampled_from([120.0, 150.0])),
        nodes_allowed=draw(st.integers(0, 40)),
        common_error=draw(st.sampled_from([0.0, 0.1])),
    )


def rebuilt(view: ScalingView, nodes: Sequence[NodeView]) -> ScalingView:
    return replace(view, nodes=tuple(nodes), queue=queue_of(*view.queue))


class TestLaws:
    @given(situations())
    def test_what_is_let_go_is_not_asked_for_again(self, view: ScalingView) -> None:
        gone = {release.node_id for release in step(view).releases}
        left = rebuilt(view, [n for n in view.nodes if n.node_id not in gone])
        if gone:
            assert need_of(left).additions == ()

    @given(situations())
    def test_what_is_launched_is_not_asked_for_again(self, view: ScalingView) -> None:
        wanted = step(view)
        kept = {keep.node_id for keep in wanted.keeps}
        nodes = [
            replace(n, phase=NodePhase.READY) if n.node_id in kept else n for n in view.nodes
        ] + [booting(f"new-{number}", view.now) for number in range(len(wanted.launches))]
        left = replace(
            rebuilt(view, nodes), nodes_allowed=view.nodes_allowed - len(wanted.launches)
        )
        assert not step(left).keeps
        assert not step(left).launches

    @given(situations())
    def test_caps_are_kept_and_every_piece_has_its_reason(self, view: ScalingView) -> None:
        wanted = step(view)
        assert len(wanted.launches) <= view.nodes_allowed
        for pieces in (wanted.launches, wanted.keeps, wanted.releases, wanted.grows):
            assert all(piece.reason for piece in pieces)
        assert (wanted.wake_at is None) == (wanted.wake_reason == "")
        assert wanted.wake_at is None or wanted.wake_at > view.now
        assert not (wanted.launches and wanted.releases)

    @given(situations())
    def test_some_node_stands_while_patient_work_waits(self, view: ScalingView) -> None:
        none = rebuilt(view, [])
        if view.nodes_allowed > 0 and any(task.target_at == math.inf for task in view.queue):
            assert len(step(none).launches) >= 1

    @given(situations())
    def test_every_addition_for_a_deadline_improves_the_forecast(self, view: ScalingView) -> None:
        tasks = [replace(task, variance_s2=0.0) for task in view.queue if task.admitted]
        options = additions(view, view.offers, view.nodes_allowed)
        reach = Supply(standing_slots(view) + slots_of(options))
        tasks = [
            task
            for task in tasks
            if reach.soonest(task.longest_s) <= task.due_at < math.inf
            and task.mean_s <= reach.by(task.due_at)
        ]
        view = replace(view, queue=queue_of(*tasks), common_error=0.0)
        taken = list(need_of(view).additions)
        jobs = Outline(view.queue).jobs(Caution())
        late_s = [
            lateness_s(jobs, standing_slots(view) + slots_of(taken[:count]))
            for count in range(len(taken) + 1)
        ]
        assert late_s == sorted(late_s, reverse=True)
        assert not taken or late_s[-1] < late_s[-2]
        assert lateness_s(jobs, standing_slots(view) + slots_of(options)) == pytest.approx(
            late_s[-1], abs=2e-3
        )

    @given(
        st.lists(
            st.tuples(
                st.floats(0.0, 2000.0),
                st.floats(10.0, 5000.0),
                st.sampled_from([1.0, 10.0, 60.0, 200.0]),
                st.integers(1, 12),
            ),
            min_size=1,
            max_size=10,
        ),
        st.sampled_from([5.0, 30.0, 120.0]),
        st.sampled_from([1, 2, 3, 64]),
    )
    def test_what_is_not_told_to_be_at_risk_is_on_time(
        self, drawn: list[tuple[float, float, float, int]], boot_s: float, nodes_max: int
    ) -> None:
        """With exact durations "feasible" after the last arrival means that all are on time."""
        arrivals = [
            Arrival(at, f"t-{number}", at + slack_s, (length,) * parts)
            for number, (at, slack_s, length, parts) in enumerate(drawn)
        ]
        settings = ScalingSettings(nodes_max=nodes_max)
        world = World(PrefixPolicy(), arrivals, boot_s=boot_s, settings=settings).run()
        last_at = max(arrival.at for arrival in arrivals)
        for arrival in arrivals:
            end_at = world.finished_at[arrival.task_id]
            if world.told_at.get(arrival.task_id, math.inf) > last_at:
                assert end_at <= arrival.due_at + LATE_S_MIN
        assert world.machines == {}


def slots_of(options: Sequence[Addition]) -> list[Slot]:
    return [slot for option in options for slot in option.slots]
