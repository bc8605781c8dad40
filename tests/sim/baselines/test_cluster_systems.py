"""CLUES, Ray, Karpenter and the Cluster Autoscaler, followed by hand."""

from __future__ import annotations

import pytest

from tests.planner.scaling.world import node
from tests.sim.baselines.following import START_S, Follower, booting, busy, half, idle, work


@pytest.mark.parametrize("name", ["clues", "ray", "cluster-autoscaler"])
class TestPacking:
    def test_a_slot_for_every_part_on_what_stands_boots_and_is_launched(self, name: str) -> None:
        """9 parts: 1 on the half-free node, 4 on two that boot, ceil(4 / 2) = 2 more nodes."""
        assert Follower(name).launched(0.0, 9, *half(1), *booting(2)) == 2

    def test_what_is_on_its_way_is_not_asked_for_again(self, name: str) -> None:
        rule = Follower(name)
        assert rule.launched(0.0, 8) == 4
        assert rule.launched(60.0, 8, *booting(4)) == 0


class TestClues:
    def test_idle_nodes_are_powered_off_after_half_an_hour(self) -> None:
        rule = Follower("clues")
        fleet = [*half(1), *idle(1)]
        assert rule.step(0.0, nodes=fleet).wake_at == START_S + 1800.0
        assert rule.gone(1795.0, 0, *fleet) == []
        assert rule.gone(1800.0, 0, *fleet) == ["idle-0"]

    def test_a_boot_of_five_minutes_is_given_up(self) -> None:
        rule = Follower("clues")
        assert rule.launched(0.0, 4) == 2
        assert rule.step(5.0, *work(4), nodes=booting(2)).wake_at == START_S + 300.0
        assert rule.launched(295.0, 4, *booting(2)) == 0
        assert rule.launched(300.0, 4, *booting(2)) == 2


class TestRay:
    def test_five_nodes_at_most_are_on_their_way_or_as_many_as_stand(self) -> None:
        rule = Follower("ray", cap=100)
        assert rule.launched(0.0, 40) == 5
        assert rule.launched(5.0, 40, *booting(5)) == 0
        assert rule.launched(10.0, 40, *busy(5)) == 5
        assert rule.launched(15.0, 40, *busy(8)) == 8
        assert rule.launched(20.0, 40, *busy(8), *booting(6)) == 2

    def test_idle_nodes_end_after_five_minutes(self) -> None:
        rule = Follower("ray")
        fleet = [*half(1), *idle(1)]
        assert rule.step(0.0, nodes=fleet).wake_at == START_S + 300.0
        assert rule.gone(295.0, 0, *fleet) == []
        assert rule.gone(300.0, 0, *fleet) == ["idle-0"]


class TestKarpenter:
    def test_a_batch_closes_a_second_after_the_last_pod(self) -> None:
        rule = Follower("karpenter")
        assert rule.step(0.0, *work(4)).wake_at == START_S + 1.0
        assert rule.step(0.6, *work(6)).wake_at == START_S + 1.6
        assert rule.launched(1.0, 6) == 0
        assert rule.launched(1.6, 6) == 3

    def test_a_batch_closes_after_ten_seconds_at_the_latest(self) -> None:
        rule = Follower("karpenter", cap=100)
        for n in range(20):
            wanted = rule.step(n / 2, *work(4 + n))
            assert (wanted.launches, wanted.wake_at) == ((), START_S + min(n / 2 + 1.0, 10.0))
        assert rule.launched(10.0, 24) == 12

    def test_pods_that_fit_open_no_batch(self) -> None:
        assert Follower("karpenter").launched(0.0, 4, *booting(2)) == 0

    def test_a_batch_that_could_launch_nothing_is_not_opened(self) -> None:
        rule = Follower("karpenter", cap=2)
        rule.step(0.0, *work(4), nodes=busy(2))
        assert rule.memory.opened_at is None

    def test_empty_nodes_go_after_a_second_look(self) -> None:
        rule = Follower("karpenter-unbudgeted")
        fleet = [*half(1), *idle(2)]
        assert rule.gone(0.0, 0, *fleet) == []
        assert rule.gone(10.0, 0, *fleet) == []
        assert rule.gone(15.0, 0, *fleet) == ["idle-0", "idle-1"]

    def test_a_node_that_works_again_stays(self) -> None:
        rule = Follower("karpenter-unbudgeted")
        rule.step(0.0, nodes=[*half(1), *idle(2)])
        now_half = [*half(1), *idle(1), node("idle-1", START_S + 99.0)]
        assert rule.gone(15.0, 0, *now_half) == ["idle-0"]

    def test_a_tenth_of_the_nodes_goes_at_a_time(self) -> None:
        """ceil(0.1 * 8) = 1, ceil(0.1 * 11) = 2."""
        for count, gone in ((8, ["idle-0"]), (11, ["idle-0", "idle-1"])):
            rule = Follower("karpenter", cap=20)
            rule.step(0.0, nodes=idle(count))
            assert rule.gone(15.0, 0, *idle(count)) == gone

    def test_the_next_are_chosen_by_the_next_loop(self) -> None:
        rule = Follower("karpenter", cap=20)
        for at in (0.0, 10.0):
            assert rule.gone(at, 0, *idle(8)) == []
        assert rule.gone(15.0, 0, *idle(8)) == ["idle-0"]
        left = idle(8)[1:]
        assert rule.gone(20.0, 0, *left) == []  # chosen
        assert rule.gone(30.0, 0, *left) == []
        assert rule.gone(35.0, 0, *left) == ["idle-1"]

    def test_a_second_look_at_the_time_of_a_loop_chooses_others(self) -> None:
        rule = Follower("karpenter", cap=20)
        rule.step(5.0, *work(1), nodes=busy(1))
        rule.step(10.0, nodes=idle(8))
        rule.step(20.0, nodes=idle(8))
        rule.step(25.0, nodes=idle(8))
        assert rule.memory.emptied == ("idle-0",)
        rule.step(30.0, nodes=idle(8))  # the node that goes has not gone yet
        assert rule.memory.emptied == ("idle-1",)


class TestClusterAutoscaler:
    def test_a_node_goes_when_unneeded_for_ten_minutes(self) -> None:
        rule = Follower("cluster-autoscaler")
        fleet = [*half(1), *idle(1)]
        assert rule.step(0.0, nodes=fleet).wake_at == START_S + 600.0
        assert rule.gone(590.0, 0, *fleet) == []
        assert rule.gone(600.0, 0, *fleet) == ["idle-0"]

    def test_none_goes_within_ten_minutes_of_an_addition(self) -> None:
        rule = Follower("cluster-autoscaler")
        assert rule.launched(0.0, 2) == 1
        assert rule.gone(590.0, 0, *half(1), *idle(1, since=-600.0)) == []
        assert rule.gone(600.0, 0, *half(1), *idle(1, since=-600.0)) == ["idle-0"]

    def test_ten_go_at_a_time(self) -> None:
        fleet = idle(12, since=-600.0)
        assert len(Follower("cluster-autoscaler", cap=20).gone(0.0, 0, *fleet)) == 10

    def test_a_boot_of_fifteen_minutes_is_not_counted_on(self) -> None:
        rule = Follower("cluster-autoscaler")
        assert rule.launched(890.0, 4, *booting(2)) == 0
        assert rule.launched(900.0, 4, *booting(2)) == 2
