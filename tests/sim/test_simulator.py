"""Runs are pure, faults lose nothing, and the checkers would see it if they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import planner.progress
import planner.steering
from planner.core import Planner
from planner.events import NodeRefused
from planner.fleet import Fleet, Node, Roll
from planner.journal import Header, encode_step, read_steps, replay
from planner.keeping import decode_snapshot, encode_snapshot
from planner.lifecycle import NodeState
from planner.scaling.view import Release
from sim.checkers import Breach
from sim.scenario import Bursts, Faults, NodeType, Scenario, Stream, Truth
from sim.simulator import Trial, simulate
from sim.world import EndlessRun
from tests.sim.faulty import POLICIES, faulty, run

SLICE, CAMPAIGN = 40, 1000
"""Faulty seeds of every run of the tests, and of the full campaign."""


def plain(**changes: Any) -> Scenario:
    """Return two bursts that three nodes can serve."""
    load = Bursts(
        bursts=2, every_s=1500.0, tasks=(6, 8), deadline_s=(400.0, 900.0), work_s=(40.0, 90.0)
    )
    settings = {"scaling": {"nodes_max": 4}}
    return Scenario(name="plain", load=load, settings=settings).model_copy(update=changes)


def steps(scenario: Scenario, trial: Trial) -> bytes:
    lines: list[bytes] = []
    simulate(
        scenario, trial, watch=lambda event, commands: lines.append(encode_step(event, commands))
    )
    return b"".join(lines)


def test_a_run_is_a_function_of_scenario_and_seed() -> None:
    first = steps(faulty(3), Trial(seed=3))
    assert first == steps(faulty(3), Trial(seed=3))
    assert first != steps(faulty(3), Trial(seed=4))


@pytest.mark.parametrize("seed", range(5))
def test_a_simulated_journal_replays_and_goes_on_after_restarts(seed: int) -> None:
    scenario, trial = faulty(seed), Trial(policy=POLICIES[seed % len(POLICIES)], seed=seed)
    lines: list[bytes] = []
    simulate(
        scenario, trial, watch=lambda event, commands: lines.append(encode_step(event, commands))
    )
    header = Header(build="test", settings=trial.settings(scenario))
    steps = list(read_steps(lines))
    assert replay(header, steps) == (len(steps), None)
    planner = Planner(header.settings)
    for number, step in enumerate(steps):
        if number % 11 == 0:
            planner = Planner.restore(decode_snapshot(encode_snapshot(planner.snapshot())))
        assert tuple(planner.handle(step.event)) == step.commands, f"step {number}"


def test_policies_meet_the_same_luck() -> None:
    runs = [simulate(plain(), Trial(policy=name, seed=1)) for name in ("none", "prefix")]
    assert runs[0].demands == runs[1].demands
    assert runs[0].outcome != runs[1].outcome


def test_an_outcome_adds_up() -> None:
    exact = Truth(common_sigma=0.0, scatter_sigma=0.0)
    kind = NodeType(boot_sigma=0.0, price_per_h=0.36, quantum_s=600.0)
    load = Bursts(tasks=(1, 1), deadline_s=(400.0, 400.0), work_s=(100.0, 100.0), parts=2)
    run = simulate(plain(load=load, truth=exact, fleet=(kind,)), Trial(policy="none"))
    outcome = run.outcome
    longest_s = run.demands[0].longest_s
    assert (outcome.tasks, outcome.due, outcome.on_time, outcome.launches) == (1, 1, 1, 1)
    assert outcome.worst_slack_s == pytest.approx(400.0 - 120.0 - longest_s - 2.0, abs=0.02)
    assert outcome.node_seconds == pytest.approx(120.0 + longest_s, abs=2.1)
    assert outcome.cost == pytest.approx(0.36 * 600.0 / 3600.0)
    assert outcome.peak_workers == 2
    assert run.demands[0].work_s == pytest.approx(100.0, abs=0.01)


def test_a_node_that_was_refused_costs_nothing() -> None:
    kind = NodeType(boot_sigma=0.0, price_per_h=0.36, quantum_s=3600.0)
    load = Bursts(tasks=(2, 2), deadline_s=(900.0, 900.0), work_s=(40.0, 40.0))
    faults = Faults(create_refused=0.5)
    refused: list[str] = []
    outcome = simulate(
        plain(load=load, fleet=(kind,), faults=faults),
        Trial(seed=1),
        watch=lambda event, _: refused.extend(
            [event.node_id] if isinstance(event, NodeRefused) else []
        ),
    ).outcome
    came_up = outcome.launches - len(refused)
    assert refused
    assert outcome.cost == pytest.approx(0.36 * came_up)


def test_a_stream_comes_at_its_rate() -> None:
    load = Stream(
        kind="stream",
        per_h=120.0,
        hours=4.0,
        swing=0.5,
        swing_s=14_400.0,
        deadline_s=(600.0, 900.0),
        work_s=(1.0, 2.0),
        parts=1,
    )
    outcome = simulate(plain(load=load), Trial(policy="none")).outcome
    assert 400 < outcome.tasks < 560


@pytest.mark.parametrize("seed", range(SLICE))
def test_faults_lose_nothing(seed: int) -> None:
    outcome = run(seed).outcome
    assert outcome.tasks > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_campaign_of_faults() -> None:
    runs = [run(seed) for seed in range(CAMPAIGN)]
    events = sum(each.events for each in runs)
    tasks = sum(each.outcome.tasks for each in runs)
    lost = sum(each.outcome.undelivered for each in runs)
    print(f"{CAMPAIGN} seeds, {events:,} events, {tasks:,} tasks, {lost} given up: no breach")


def test_a_cloud_that_gives_no_node_ends_in_a_clear_message() -> None:
    nothing = plain(faults=Faults(create_refused=1.0))
    nothing = nothing.model_copy(update={"load": nothing.load.model_copy(update={"bursts": 1})})
    with pytest.raises(EndlessRun, match="no progress for 24 h"):
        simulate(nothing, Trial(policy="none"), checked=False)


def overdrawn() -> Scenario:
    """Return long parts on nodes for which there is too little money."""
    load = Bursts(bursts=1, tasks=(8, 8), deadline_s=(900.0, 900.0), work_s=(900.0, 999.0))
    scaling = {"nodes_max": 4, "budget": 0.05, "budget_period_s": 900.0}
    load = load.model_copy(update={"parts": 2})
    return Scenario(name="overdrawn", load=load, settings={"scaling": scaling})


def remove_busy_nodes(patch: pytest.MonkeyPatch) -> None:
    plain_release = planner.steering._release

    def release(books: Any, wish: Release) -> Any:
        node = books.fleet.nodes.get(wish.node_id)
        kept, node.running = node.running, {}
        commands = plain_release(books, wish)
        node.running = kept
        return commands

    patch.setattr(planner.steering, "_release", release)


def ignore_caps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner.steering, "_nodes_allowed", lambda books, offers, at: 99)


def send_to_draining_nodes(patch: pytest.MonkeyPatch) -> None:
    plain_roll_of = Fleet._roll_of

    def roll_of(self: Fleet, node: Node) -> Roll | None:
        if node.state is NodeState.DRAINING and len(node.running) < node.joined:
            return self.free
        return plain_roll_of(self, node)

    patch.setattr(Fleet, "_roll_of", roll_of)


def tell_a_wrong_slack(patch: pytest.MonkeyPatch) -> None:
    notice = planner.progress.notice
    patch.setattr(
        planner.progress,
        "notice",
        lambda task, kind, slack_s, text: notice(task, kind, slack_s and slack_s + 1.0, text),
    )


def forget_lost_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner.progress, "_lose", lambda books, task, part, reason, at: [])


BROKEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Scenario, str]] = {
    "a busy node is removed": (remove_busy_nodes, overdrawn(), "is removed while it runs"),
    "a draining node is sent parts": (send_to_draining_nodes, overdrawn(), "draining node"),
    "caps are ignored": (ignore_caps, faulty(0), "nodes stand or boot"),
    "a slack is wrong": (tell_a_wrong_slack, faulty(0), "slack"),
    "a lost part is forgotten": (forget_lost_parts, faulty(0), "tasks never ended"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_caught(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, scenario, told = BROKEN[rule]
    simulate(scenario, Trial())
    breaks(monkeypatch)
    with pytest.raises(Breach, match=told) as caught:
        simulate(scenario, Trial())
    assert f"(again: slackwater simulate {scenario.name} --seed 0)" in str(caught.value)
