"""The chapter's policies, against steps followed by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import pytest

from planner.scaling.policy import BUILT_IN
from planner.scaling.thresholds import ThresholdMemory
from planner.scaling.view import NodePhase, NodeView, ScalingView, Wanted
from planner.settings import ScalingSettings
from tests.planner.scaling.world import VM, Arrival, World, node, view_of, waiting

CHAPTER = ScalingSettings(nodes_max=8, threshold_s=600.0, factor_s=30.0)


def seen(
    ttd_s: float,
    *,
    started: int,
    nodes: Iterable[NodeView] = (),
    settings: ScalingSettings = CHAPTER,
    now: float = 1000.0,
) -> ScalingView:
    nodes = tuple(nodes)
    return view_of(
        waiting("t", now + ttd_s),
        nodes=nodes,
        now=now,
        settings=settings,
        nodes_allowed=settings.nodes_max - len(nodes),
        tasks_started=started,
    )


def one_worker(name: str, workers: int = 1) -> NodeView:
    return node(name, 2000.0, slots=workers)


def step(policy: str, memory: ThresholdMemory, view: ScalingView) -> tuple[ThresholdMemory, Wanted]:
    return BUILT_IN[policy].step(memory, view)


def start(policy: str) -> ThresholdMemory:
    memory: ThresholdMemory = BUILT_IN[policy].start()
    return memory


@pytest.mark.parametrize("policy", ["none", "static", "dynamic"])
class TestAll:
    def test_a_first_node_comes_with_the_first_work(self, policy: str) -> None:
        _, wanted = step(policy, start(policy), seen(1e6, started=0))
        assert [launch.node_type for launch in wanted.launches] == ["vm"]
        assert wanted.launches[0].reason == "1 task waits and no node stands"

    def test_an_idle_fleet_goes_when_nothing_waits_and_nothing_runs(self, policy: str) -> None:
        nodes = [node("n-1"), node("n-2", phase=NodePhase.BOOTING)]
        _, wanted = step(policy, start(policy), view_of(nodes=nodes))
        assert {release.node_id for release in wanted.releases} == {"n-1", "n-2"}
        _, wanted = step(policy, start(policy), view_of(nodes=[node("n-1", 5.0), node("n-2")]))
        assert wanted.releases == ()
        resting = view_of(nodes=[node("n-1")], next_demand_at=5.0)
        assert step(policy, start(policy), resting)[1].releases == ()

    def test_the_least_fleet_stands_always(self, policy: str) -> None:
        settings = ScalingSettings(nodes_min=2)
        _, wanted = step(policy, start(policy), view_of(settings=settings))
        assert len(wanted.launches) == 2
        nodes = [node("n-1"), node("n-2"), node("n-3")]
        _, wanted = step(policy, start(policy), view_of(nodes=nodes, settings=settings))
        assert len(wanted.releases) == 1

    def test_no_room_no_launch(self, policy: str) -> None:
        view = view_of(waiting("t", 10.0), nodes_allowed=0)
        assert step(policy, start(policy), view)[1].launches == ()
        assert BUILT_IN[policy].nodes_reachable(view) == 0

    def test_its_memory_is_plain_data(self, policy: str) -> None:
        memory, _ = step(policy, start(policy), seen(10.0, started=1, nodes=[one_worker("n-1")]))
        data = msgspec.json.encode(memory)
        assert msgspec.json.decode(data, type=BUILT_IN[policy].memory_type) == memory


class TestNone:
    def test_stays_at_one_node_whatever_the_deadline(self) -> None:
        view = seen(-100.0, started=50, nodes=[one_worker("n-1")])
        assert step("none", start("none"), view)[1] == Wanted()
        assert BUILT_IN["none"].nodes_reachable(view) == 0

    def test_its_node_has_all_the_workers_it_is_offered_with(self) -> None:
        _, wanted = step("none", start("none"), seen(10.0, started=0))
        assert wanted.launches[0].workers == VM.slots


class TestStatic:
    def test_nodes_start_with_one_worker(self) -> None:
        _, wanted = step("static", start("static"), seen(1e6, started=0))
        assert wanted.launches[0].workers == 1

    def test_signals_below_the_threshold_and_not_at_it(self) -> None:
        memory, wanted = step(
            "static", start("static"), seen(600.0, started=1, nodes=[one_worker("n-1")])
        )
        assert wanted.launches == ()
        assert wanted.wake_at == pytest.approx(1000.1)
        memory, wanted = step("static", memory, seen(599.0, started=1, nodes=[one_worker("n-1")]))
        assert [launch.reason for launch in wanted.launches] == [
            "t: due in 599 s, below the threshold of 600 s"
        ]
        assert memory.tasks_seen == 1

    def test_signals_once_a_task_start(self) -> None:
        nodes = [one_worker("n-1")]
        memory, wanted = step("static", start("static"), seen(500.0, started=3, nodes=nodes))
        assert len(wanted.launches) == 1
        memory, wanted = step("static", memory, seen(499.0, started=3, nodes=nodes))
        assert wanted == Wanted()
        memory, wanted = step("static", memory, seen(498.0, started=4, nodes=nodes))
        assert len(wanted.launches) == 1

    def test_or_once_an_interval(self) -> None:
        settings = ScalingSettings(nodes_max=8, signal_interval_s=60.0)
        nodes = [one_worker("n-1")]
        memory, said = start("static"), []
        for now in (1000.0, 1040.0, 1060.0):
            view = seen(500.0, started=3, settings=settings, nodes=nodes, now=now)
            memory, wanted = step("static", memory, view)
            said.append((len(wanted.launches), wanted.wake_at))
        assert said == [(1, 1060.0), (0, 1060.0), (1, 1120.0)]

    def test_then_adds_a_worker_on_each_node_in_turn(self) -> None:
        """Figure 8: eight nodes, then a second worker on each, sixteen in all, then nothing."""
        nodes: list[NodeView] = []
        memory, grown = start("static"), []
        for started in range(20):
            memory, wanted = step("static", memory, seen(100.0, started=started, nodes=nodes))
            nodes += [one_worker(f"n-{len(nodes) + 1}") for _ in wanted.launches]
            for grow in wanted.grows:
                grown.append(grow.node_id)
                nodes = [
                    one_worker(n.node_id, grow.workers) if n.node_id == grow.node_id else n
                    for n in nodes
                ]
        assert grown == [f"n-{number}" for number in range(1, 9)]
        assert sum(node.slots for node in nodes) == 16

    def test_a_worker_that_was_asked_for_is_not_asked_for_again(self) -> None:
        settings = ScalingSettings(nodes_max=2)
        nodes = [
            node("n-1", 2000.0, slots=2),
            one_worker("n-2"),
        ]
        view = seen(100.0, started=1, nodes=nodes, settings=settings)
        _, wanted = step("static", start("static"), view)
        assert [(grow.node_id, grow.workers) for grow in wanted.grows] == [("n-2", 2)]

    def test_best_effort_gives_no_signal(self) -> None:
        view = seen(math.inf, started=5, nodes=[one_worker("n-1")])
        assert step("static", start("static"), view)[1] == Wanted()


class TestDynamic:
    def test_each_signal_lowers_the_threshold_by_the_factor(self) -> None:
        """Signals at ttd 590, then below 560, at 550, then below 520."""
        nodes = [one_worker("n-1")]
        memory, signals = start("dynamic"), []
        for started, ttd_s in enumerate([700, 590, 580, 561, 550, 530, 519], start=1):
            memory, wanted = step("dynamic", memory, seen(ttd_s, started=started, nodes=nodes))
            if wanted.launches:
                signals.append((ttd_s, memory.threshold_s))
        assert signals == [(590, 560.0), (550, 520.0), (519, 489.0)]

    def test_is_armed_again_when_the_backlog_empties(self) -> None:
        memory = ThresholdMemory(threshold_s=-50.0, tasks_seen=9)
        busy = view_of(nodes=[one_worker("n-1")], settings=CHAPTER)
        memory, _ = step("dynamic", memory, busy)
        assert memory.threshold_s == -50.0
        memory, _ = step("dynamic", memory, view_of(nodes=[node("n-1")], settings=CHAPTER))
        assert memory.threshold_s is None
        view = seen(590.0, started=10, nodes=[one_worker("n-1")])
        assert len(step("dynamic", memory, view)[1].launches) == 1


def hundred_tasks() -> list[Arrival]:
    """One deadline for 100 tasks, as in section 4.2: one VM is late for most, sixteen for none."""
    return [
        Arrival(at=0.0, task_id=f"t-{number:02}", due_at=900.0, lengths=(40.0,))
        for number in range(100)
    ]


@pytest.mark.parametrize(("policy", "missed"), [("none", range(50, 70)), ("static", range(1))])
def test_section_4_2_in_virtual_time(policy: str, missed: range) -> None:
    settings = ScalingSettings(nodes_max=8, threshold_s=850.0)
    world = World(BUILT_IN[policy], hundred_tasks(), boot_s=30.0, settings=settings).run()
    late = sum(end_at > 900.0 for end_at in world.finished_at.values())
    assert len(world.finished_at) == 100
    assert late in missed


def test_the_dynamic_threshold_takes_fewer_nodes_than_the_static_one() -> None:
    """Figures 8 and 9: static goes to its limit at once, dynamic provisions what is needed."""
    settings = ScalingSettings(nodes_max=8, threshold_s=850.0, factor_s=200.0)
    worlds = {
        policy: World(BUILT_IN[policy], hundred_tasks(), boot_s=30.0, settings=settings).run()
        for policy in ("static", "dynamic")
    }
    assert worlds["static"].launches == 8
    assert worlds["dynamic"].launches < 8
