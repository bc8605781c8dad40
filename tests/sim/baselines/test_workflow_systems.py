"""Dask, Parsl, TaskVine and Toil, followed by hand."""

from __future__ import annotations

import pytest

from planner.scaling.view import NodePhase
from tests.planner.scaling.world import node, waiting
from tests.sim.baselines.following import (
    START_S,
    Follower,
    booting,
    busy,
    draining,
    half,
    idle,
    work,
)


class TestDask:
    def test_at_zero_threads_are_not_divided(self) -> None:
        """8 parts of 1 s in 5 s: ceil(8 / 5) = 2; of 60 s: ceil(480 / 5) = 96, but 8 tasks."""
        for length_s, target in ((1.0, 2), (60.0, 8)):
            rule = Follower("dask-adaptive", cap=100)
            assert len(rule.step(0.0, *work(8, length_s)).launches) == target

    def test_with_workers_the_target_counts_their_threads(self) -> None:
        """2 workers of 2 threads, 50 s left on each: (4 * 50 + 3 * 60) / 5 = 76 > 3 + 4 tasks.

        ceil(7 / 4 * 2) = 4 workers.
        """
        rule = Follower("dask-adaptive")
        assert rule.launched(0.0, 3, *busy(2)) == 2

    def test_what_was_asked_for_counts(self) -> None:
        rule = Follower("dask-adaptive")
        assert rule.launched(0.0, 3, *busy(2), *booting(2)) == 0

    def test_the_target_duration_sets_the_size(self) -> None:
        """40 parts of 60 s: ceil(2400 / 300) = 8 in 300 s, and min(480, 40) in 5 s."""
        for name, target in (("dask-adaptive", 40), ("dask-adaptive-300", 8)):
            assert Follower(name, cap=100).launched(0.0, 40) == target

    def test_only_the_first_hundred_parts_are_added_up(self) -> None:
        """100 of 3 s, extrapolated to 200: 600 / 300 = 2; the others would make it 60."""
        rule = Follower("dask-adaptive-300", cap=100)
        first, rest = waiting("a", 1e6, [3.0] * 100), waiting("b", 2e6, [177.0] * 100)
        assert len(rule.step(0.0, first, rest).launches) == 2

    def test_a_surplus_node_goes_when_seen_three_times_in_a_row(self) -> None:
        rule = Follower("dask-adaptive")
        fleet = [*half(1), *idle(1)]  # 1 task: target 1 worker, the idle one is too many
        assert rule.gone(0.0, 0, *fleet) == []
        assert rule.gone(1.0, 0, *fleet) == []
        assert rule.gone(2.0, 0, *fleet) == ["idle-0"]

    def test_the_count_starts_anew_when_it_was_needed(self) -> None:
        rule = Follower("dask-adaptive")
        fleet = [*half(1), *idle(1)]
        rule.step(0.0, nodes=fleet)
        rule.step(1.0, nodes=fleet)
        assert rule.gone(2.0, 0, *busy(2)) == []
        assert rule.memory.closing == ()
        assert rule.gone(3.0, 0, *fleet) == []

    def test_what_has_not_arrived_goes_first(self) -> None:
        rule = Follower("dask-adaptive")
        fleet = [*half(1), *booting(2)]  # target 1 of 3
        for at in (0.0, 1.0):
            assert rule.gone(at, 0, *fleet) == []
        assert rule.gone(2.0, 0, *fleet) == ["boot-0", "boot-1"]

    def test_polls_that_could_change_nothing_are_left_out(self) -> None:
        rule = Follower("dask-adaptive")
        assert rule.step(0.0, nodes=busy(2)).wake_at is None
        assert rule.step(0.0, nodes=[*half(1), *idle(1)]).wake_at == START_S + 1.0


class TestParsl:
    def test_a_slot_for_every_task(self) -> None:
        """9 tasks: 1 initial block, then ceil((9 - 2) / 2) = 4 more."""
        rule = Follower("parsl-simple")
        assert rule.launched(0.0, 9) == 5
        assert rule.launched(5.0, 9, *booting(5)) == 0  # 10 / 9 >= 1
        assert rule.launched(10.0, 13, *booting(5)) == 2  # ceil((13 - 10) / 2)

    def test_the_cap_is_kept(self) -> None:
        assert Follower("parsl-simple", cap=3).launched(0.0, 9) == 3

    def test_all_go_when_there_was_no_task_for_two_minutes(self) -> None:
        rule = Follower("parsl-simple")
        rule.step(0.0, nodes=busy(2))
        fleet = [*idle(2), *booting(1)]
        assert rule.gone(5.0, 0, *fleet) == []  # the timer starts
        assert rule.gone(125.0, 0, *fleet) == []  # 120 is not more than 120
        assert rule.gone(130.0, 0, *fleet) == ["boot-0", "idle-0", "idle-1"]

    def test_a_task_resets_the_timer(self) -> None:
        rule = Follower("parsl-simple")
        rule.step(0.0, nodes=busy(2))
        rule.step(5.0, nodes=idle(2))
        rule.step(100.0, nodes=[*half(1), *idle(1)])
        assert rule.memory.idle_since is None
        rule.step(105.0, nodes=idle(2))
        assert rule.gone(130.0, 0, *idle(2)) == []

    def test_the_timer_is_waited_for_without_polls_between(self) -> None:
        rule = Follower("parsl-simple")
        rule.step(0.0, nodes=busy(2))
        assert rule.step(5.0, nodes=idle(2)).wake_at == START_S + 130.0  # 125 is not later

    def test_only_htex_lets_idle_blocks_go_while_others_work(self) -> None:
        """1 task, 4 blocks: floor(floor(8 - 1) / 2) = 3 are too many, 2 idle for long enough."""
        fleet = [*half(1), *idle(2, since=-121.0), node("young", requested_at=START_S - 60.0)]
        for name, gone in (("parsl-simple", []), ("parsl-htex", ["idle-0", "idle-1"])):
            rule = Follower(name)
            rule.step(-5.0, nodes=busy(4))
            assert rule.gone(0.0, 0, *fleet) == gone

    def test_htex_keeps_the_slots_that_tasks_want(self) -> None:
        """5 tasks on 4 blocks: floor(floor(8 - 5) / 2) = 1 goes, the longest idle."""
        nodes = [*half(1), *idle(2, since=-121.0), node("old", requested_at=START_S - 300.0)]
        rule = Follower("parsl-htex")
        rule.step(-5.0, nodes=busy(4))
        assert rule.gone(0.0, 4, *nodes) == ["old"]


class TestFactory:
    def test_no_more_than_five_are_on_their_way(self) -> None:
        """20 tasks take ceil(20 / 2) = 10 workers."""
        rule = Follower("taskvine-factory")
        assert rule.launched(0.0, 20) == 5
        assert rule.launched(30.0, 20, *booting(5)) == 0  # max(0, 5 - 5)
        assert rule.launched(60.0, 14, *busy(3), *booting(2)) == 3  # min(10 - 5, 5 - 2)
        assert rule.launched(90.0, 0, *busy(8)) == 0  # 16 running: 8 - 8

    def test_running_tasks_count(self) -> None:
        assert Follower("taskvine-factory").launched(0.0, 3, *busy(2)) == 2  # ceil(7 / 2) - 2

    def test_workers_end_by_themselves_between_polls(self) -> None:
        rule = Follower("taskvine-factory")
        rule.step(0.0, nodes=busy(1))
        wanted = rule.step(7.0, nodes=[*half(1), *idle(1, since=7.0)])
        assert (wanted.releases, wanted.wake_at) == ((), START_S + 30.0)
        wanted = rule.step(301.0, nodes=[*half(1), *idle(1, since=7.0)])
        assert (wanted.releases, wanted.wake_at) == ((), START_S + 307.0)
        assert rule.gone(307.0, 0, *half(1), *idle(1, since=7.0)) == ["idle-0"]


class TestToil:
    def test_jobs_queue_behind_each_other_until_the_target(self) -> None:
        """60 parts of 600 s; on a slot those that start at 0, 600, 1200, 1800: 4.

        ceil(60 / (2 * 4)) = 8; smoothed 0.9 * 8 + 0.1 * 0 = 7.2: 7. Then 7.92: 8.
        """
        rule = Follower("toil-1800")
        assert len(rule.step(0.0, *work(60, 600.0)).launches) == 7
        assert len(rule.step(60.0, *work(60, 600.0), nodes=booting(7)).launches) == 1
        assert rule.memory.estimate == pytest.approx(7.92)

    def test_a_nearer_target_takes_more_nodes(self) -> None:
        """Of 60 s, floor(300 / 60) + 1 = 6 start within 300 s: ceil(30 / 12) = 3, 0.9 * 3 = 2.7."""
        assert Follower("toil-300").launched(0.0, 30) == 3
        assert Follower("toil-1800").launched(0.0, 30) == 1  # 31 a slot: 1, 0.9

    def test_running_jobs_count_with_their_whole_length(self) -> None:
        """4 run and 20 wait: ceil(24 / 12) = 2, 1.8: 2 nodes, which stand."""
        assert Follower("toil-300").launched(0.0, 20, *busy(2)) == 0

    def test_nodes_with_the_fewest_jobs_drain_first(self) -> None:
        """4 jobs, of which nothing is known: 1 node, 0.9: 1 of 4 stays."""
        fleet = [*busy(1), *half(2), *idle(1)]
        assert Follower("toil-300").gone(0.0, 0, *fleet) == ["idle-0", "half-0", "half-1"]

    def test_of_alike_nodes_that_goes_whose_paid_time_ends_first(self) -> None:
        fleet = [
            node("early", requested_at=START_S - 600.0, quantum_s=3600.0),
            node("late", requested_at=START_S - 3000.0, quantum_s=3600.0),
            node("works", START_S + 50.0, START_S + 50.0),
        ]
        rule = Follower("toil-300")
        assert rule.gone(0.0, 0, *fleet) == ["late", "early"]

    def test_draining_nodes_are_used_again_before_any_is_added(self) -> None:
        """60 parts of 60 s beside 2 that run: ceil(62 / 12) = 6, 5.4: 5."""
        wanted = Follower("toil-300").step(0.0, *work(60), nodes=draining(2))
        assert [keep.node_id for keep in wanted.keeps] == ["drain-0", "drain-1"]
        assert len(wanted.launches) == 3

    def test_a_booting_node_is_taken_to_have_a_job(self) -> None:
        fleet = [*booting(1), *idle(1), *busy(1)]
        assert fleet[0].phase is NodePhase.BOOTING
        assert Follower("toil-300").gone(0.0, 0, *fleet) == ["idle-0", "boot-0"]
