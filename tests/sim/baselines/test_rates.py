"""The backlog per instance, and the load vector, followed by hand."""

from __future__ import annotations

import math

from planner.model import NodeOffer
from tests.planner.scaling.world import VM, node, waiting
from tests.sim.baselines.following import START_S, Follower, booting, busy, half, idle


class TestAws:
    """Parts of 60 s on 2 slots take an instance 30 s each: 300 / 30 = 10 are acceptable."""

    def test_out_after_three_polls_above_the_target(self) -> None:
        rule = Follower("aws-backlog")
        assert rule.launched(0.0, 45) == 0
        assert rule.launched(60.0, 45) == 0
        assert rule.launched(120.0, 45) == 5  # ceil(45 / 10)

    def test_a_poll_that_is_not_above_starts_the_count_anew(self) -> None:
        rule = Follower("aws-backlog")
        for at, parts in ((0.0, 45), (60.0, 45), (120.0, 10), (180.0, 45), (240.0, 45)):
            assert rule.launched(at, parts, *busy(1)) == 0  # 10 / 1 is not above 10
        assert rule.launched(300.0, 45, *busy(1)) == 4

    def test_instances_that_warm_up_count_as_capacity_and_not_in_the_metric(self) -> None:
        """25 / 1 instance is above 10, though 3 would be enough: ceil(25 / 10) - 3 = 0."""
        rule = Follower("aws-backlog")
        for at in (0.0, 60.0, 120.0):
            assert rule.launched(at, 25, *busy(1), *booting(2)) == 0
        assert rule.memory.above == 3

    def test_in_after_fifteen_polls_below(self) -> None:
        rule = Follower("aws-backlog")
        fleet = [*half(1), *idle(3)]
        for poll in range(14):
            assert rule.gone(60.0 * poll, 0, *fleet) == []
        assert rule.gone(60.0 * 14, 0, *fleet) == ["idle-0", "idle-1", "idle-2"]

    def test_in_to_what_is_desired(self) -> None:
        """11 parts wait on 4 instances: 11 / 4 < 10, ceil(11 / 10) = 2 are desired."""
        rule = Follower("aws-backlog")
        fleet = [*busy(1), *idle(3)]
        gone = [rule.gone(60.0 * poll, 11, *fleet) for poll in range(15)]
        assert gone[-1] == ["idle-0", "idle-1"]


class TestLoadVector:
    """Boots take 120 s; a node has 2 slots."""

    def test_the_sum_of_work_over_time_without_the_boot(self) -> None:
        """1000 / (1120 - 120) = 1 slot, and 960 / (600 - 120) = 2: 3 slots, ceil(3 / 2) = 2."""
        rule = Follower("avr")
        tasks = [
            waiting("a", START_S + 1120.0, [100.0] * 10),
            waiting("b", START_S + 600.0, [96.0] * 10),
        ]
        assert len(rule.step(0.0, *tasks).launches) == 2
        assert told(rule) == [(START_S + 600.0, 2.0), (START_S + 1120.0, 1.0)]

    def test_a_task_counts_as_it_was_first_seen_and_until_its_deadline(self) -> None:
        task = waiting("a", START_S + 600.0, [96.0] * 10)
        rule = Follower("avr")
        assert len(rule.step(0.0, task).launches) == 1
        later = waiting("b", START_S + 1320.0, [108.0] * 10)  # 1080 / (1320 - 240) = 1 slot more
        assert len(rule.step(120.0, task, later, nodes=busy(1)).launches) == 1
        assert told(rule) == [(START_S + 600.0, 2.0), (START_S + 1320.0, 1.0)]
        rule.step(600.0, task, later, nodes=busy(2))
        assert told(rule) == [(START_S + 1320.0, 1.0)]

    def test_a_task_whose_last_part_runs_counts_no_more(self) -> None:
        """Of 2 + 2 slots the first task's two are free for others: 1 node, not 2."""
        first, second = (waiting(name, START_S + 600.0, [96.0] * 10) for name in "ab")
        rule = Follower("avr")
        assert len(rule.step(0.0, first, second).launches) == 2
        wanted = rule.step(300.0, second, nodes=[*busy(1, at=300.0), *idle(1)])
        assert [release.node_id for release in wanted.releases] == ["idle-0"]

    def test_what_cannot_be_met_does_not_ask_for_a_fleet(self) -> None:
        """Due before a node could boot: over its longest part, 8 * 60 / 60 = 8 slots."""
        rule = Follower("avr")
        assert len(rule.step(0.0, waiting("t", START_S + 90.0, [60.0] * 8)).launches) == 4

    def test_work_without_a_deadline_or_late_gets_one_node(self) -> None:
        for due_at in (math.inf, START_S - 1.0):
            rule = Follower("avr")
            assert len(rule.step(0.0, waiting("t", due_at, [60.0] * 8)).launches) == 1
            assert rule.launched(10.0, 8, *booting(1)) == 0

    def test_idle_nodes_beyond_the_load_go(self) -> None:
        rule = Follower("avr")
        task = waiting("t", START_S + 1120.0, [100.0] * 10)
        wanted = rule.step(0.0, task, nodes=[*busy(1), *idle(2)])
        assert [release.node_id for release in wanted.releases] == ["idle-0", "idle-1"]

    def test_all_idle_nodes_go_when_nothing_waits(self) -> None:
        rule = Follower("avr")
        rule.step(0.0, waiting("t", START_S + 600.0, [96.0] * 40))
        assert rule.gone(10.0, 0, *half(1), *idle(2)) == ["idle-0", "idle-1"]

    def test_a_paid_hour_is_used_up(self) -> None:
        rule = Follower("avr")
        hourly = node("n-1", requested_at=START_S, quantum_s=3600.0)
        assert rule.gone(3470.0, 0, hourly) == []
        assert rule.gone(3480.0, 0, hourly) == ["n-1"]  # within margin_s = 120 of its end

    def test_speed_counts(self) -> None:
        fast = NodeOffer(node_type="vm", slots=2, slots_max=2, speed=2.0, boot_s=120.0, nodes_max=9)
        task = waiting("t", START_S + 600.0, [96.0] * 20)  # 4 slots of speed 1
        for offer, nodes in ((VM, 2), (fast, 1)):
            rule = Follower("avr", offers=(offer,))
            assert len(rule.step(0.0, task).launches) == nodes

    def test_a_part_that_comes_back_counts_from_then_on(self) -> None:
        """96 s of work left, seen at 240: 96 / (600 - 240 - 120) = 0.4 slots."""
        rule = Follower("avr")
        rule.step(0.0, waiting("t", START_S + 600.0, [96.0] * 10))
        rule.step(120.0, nodes=busy(1))
        rule.step(240.0, waiting("t", START_S + 600.0, [96.0]), nodes=busy(1))
        assert told(rule) == [(START_S + 600.0, 0.4)]


def told(rule: Follower) -> list[tuple[float, float]]:
    """Return when each task is due and the slots that it takes."""
    return [(due_at, slots) for _, due_at, slots in rule.memory.loads]
