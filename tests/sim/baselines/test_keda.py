"""KEDA's two rules, followed by hand."""

from __future__ import annotations

import pytest

from planner.model import NodeOffer
from tests.sim.baselines.following import Follower, booting, busy, draining, half, idle, work

POD = NodeOffer(node_type="vm", slots=1, slots_max=1, boot_s=120.0, nodes_max=1000)


def jobs(name: str, cap: int = 10) -> Follower:
    return Follower(name, cap, offers=(POD,))


class TestJobs:
    @pytest.mark.parametrize(
        ("name", "waiting", "pending", "running", "created"),
        [
            # default: Q = waiting + running, maxScale = min(Q, 10), created = maxScale - jobs.
            ("keda-job", 4, 0, 0, 4),
            ("keda-job", 4, 4, 0, 0),  # 4 - 4: those on their way count
            ("keda-job", 3, 0, 3, 3),  # min(6, 10) - 3
            ("keda-job", 9, 0, 6, 4),  # min(15, 10) - 6
            # accurate: Q = waiting, created = maxScale - pending, or what fits: M - jobs.
            ("keda-job-accurate", 4, 0, 0, 4),
            ("keda-job-accurate", 4, 4, 0, 0),  # 4 + 4 - 4 <= 10: 4 - 4
            ("keda-job-accurate", 3, 1, 3, 2),  # 3 + 4 - 1 <= 10: 3 - 1
            ("keda-job-accurate", 8, 1, 4, 5),  # 8 + 5 - 1 > 10: 10 - 5
            # eager: created = min(M - jobs - pending, maxScale): pending counts twice (#6416).
            ("keda-job-eager", 4, 0, 0, 4),
            ("keda-job-eager", 4, 4, 0, 2),  # min(10 - 4 - 4, 4)
            ("keda-job-eager", 3, 1, 3, 3),  # min(10 - 4 - 1, 3)
            ("keda-job-eager", 4, 6, 0, 0),  # 10 - 6 - 6 < 0
        ],
    )
    def test_strategies(
        self, name: str, waiting: int, pending: int, running: int, created: int
    ) -> None:
        nodes = [*booting(pending, slots=1), *draining(running, slots=1)]
        wanted = jobs(name).step(0.0, *work(waiting), nodes=nodes)
        assert len(wanted.launches) == created
        assert all(launch.workers == 1 for launch in wanted.launches)

    def test_polls_are_30_s_apart(self) -> None:
        rule = jobs("keda-job")
        assert rule.launched(0.0, 4) == 4
        assert rule.launched(29.0, 6, *booting(4, slots=1)) == 0
        assert rule.launched(30.0, 6, *booting(4, slots=1)) == 2

    def test_a_pod_that_took_its_part_takes_no_other(self) -> None:
        rule = jobs("keda-job")
        nodes = [*busy(2, slots=1), *booting(1, slots=1), *idle(1, slots=1)]
        assert rule.gone(7.0, 5, *nodes) == ["busy-0", "busy-1", "idle-0"]

    def test_nothing_is_created_when_no_part_waits_or_runs(self) -> None:
        assert jobs("keda-job-eager").launched(0.0, 0, *booting(2, slots=1)) == 0


class TestAutoscaler:
    def test_from_none_to_one_then_by_four_or_twofold(self) -> None:
        rule = Follower("keda-hpa", cap=100)
        assert rule.launched(0.0, 60) == 1  # KEDA: 0 -> 1
        # 60 parts / 2 = 30 are right; at most max(1 + 4, 2 * 1) = 5.
        assert rule.launched(15.0, 60, *booting(1)) == 4
        # max(5 + 4, 2 * 5) = 10, max(10 + 4, 20) = 20, then 30.
        assert rule.launched(30.0, 60, *booting(5)) == 5
        assert rule.launched(45.0, 60, *booting(10)) == 10
        assert rule.launched(60.0, 60, *booting(20)) == 10

    def test_none_to_one_waits_for_the_trigger_and_syncs_do_not(self) -> None:
        rule = Follower("keda-hpa")
        assert rule.launched(-15.0, 4) == 0  # an autoscaler's sync, and no replica to scale
        assert rule.launched(0.0, 4) == 1

    @pytest.mark.parametrize(("parts", "added"), [(22, 0), (23, 2)])
    def test_a_tenth_off_is_tolerated(self, parts: int, added: int) -> None:
        """10 replicas of 2: 22 / 20 - 1 = 0.1 is left be; 23 take ceil(11.5) = 12."""
        rule = Follower("keda-hpa", cap=100)
        nodes = busy(10)  # 20 parts run
        assert rule.launched(0.0, parts - 20, *nodes) == added

    def test_down_to_the_most_of_five_minutes(self) -> None:
        rule = Follower("keda-hpa")
        assert rule.gone(0.0, 0, *busy(4)) == []  # 8 parts: 4 are right
        down = [*half(1), *idle(3)]  # 1 part: 1 is right
        assert rule.gone(15.0, 0, *down) == []  # max(4, 1) = 4
        assert rule.gone(285.0, 0, *down) == []
        assert rule.gone(300.0, 0, *down) == ["idle-0", "idle-1", "idle-2"]  # the 4 is too old

    def test_to_none_after_the_cool_down_only(self) -> None:
        rule = Follower("keda-hpa")
        rule.step(0.0, nodes=half(1))  # last seen active
        assert rule.gone(300.0, 0, *idle(1)) == []
        assert rule.gone(315.0, 0, *idle(1)) == []  # a sync: at least 1
        assert rule.gone(330.0, 0, *idle(1)) == ["idle-0"]
