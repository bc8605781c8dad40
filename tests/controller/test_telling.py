"""How the service stands, as the loop hangs it up: quickly, and never ahead of the record."""

from __future__ import annotations

from dataclasses import replace

from controller.telling import Batch, Board, NextTask
from planner.events import NodeReady, SettingsChanged, Ticked
from planner.settings import PlannerSettings
from tests.planner.building import feed, node_up, opened, opened_task


def batch(*, at: float = 1.0, took_s: float = 0.0, fault: str = "") -> Batch:
    return Batch(at=at, steps=2, took_s=took_s, inbox=3, fault=fault)


def test_what_waits_runs_and_is_due_next_is_told() -> None:
    planner = opened(PlannerSettings())
    board = Board(planner, 0.0)
    task = opened_task(planner, 900, 900, 900, deadline_s=60.0)
    node_up(planner)
    feed(planner, Ticked(at=2.0), NodeReady(at=2.0, node_id="n99", workers=1))
    assert board.state.tasks == 0
    board.publish(planner, batch(at=2.0))
    state = board.state
    assert (state.tasks, state.tasks_waiting, state.parts_running) == (1, 1, 2)
    assert state.next_task == NextTask(id=task, subscription_id="med", deadline_at=60.0)
    assert (state.nodes, state.workers_ready, state.workers_busy) == ({"ready": 1}, 2, 2)
    assert state.late_messages == {"NodeReady": 1}
    assert (state.steps, state.batches, state.inbox, state.at) == (2, 1, 3, 2.0)


def test_the_threshold_is_told_of_policies_that_have_one() -> None:
    planner = opened(PlannerSettings())
    board = Board(planner, 0.0)
    assert not board.state.threshold_s
    scaling = replace(planner.settings.scaling, policy="dynamic", threshold_s=90.0)
    feed(planner, SettingsChanged(at=0.0, settings=replace(planner.settings, scaling=scaling)))
    board.publish(planner, batch())
    assert (board.state.threshold_s, board.state.settings.scaling.policy) == (90.0, "dynamic")


def test_what_could_not_be_recorded_is_not_told() -> None:
    planner = opened(PlannerSettings())
    board = Board(planner, 0.0)
    opened_task(planner, 10)
    board.publish(planner, batch(fault="store is full"))
    assert (board.state.tasks, board.state.steps, board.state.batches) == (0, 0, 1)
    assert (board.state.fault, board.state.inbox) == ("store is full", 3)
    board.publish(planner, batch())
    assert (board.state.tasks, board.state.fault) == (1, "")


def test_pauses_are_told_by_quantile_and_to_listeners() -> None:
    board = Board(opened(PlannerSettings()), 0.0)
    assert board.took_s(0.5) == 0.0
    heard: list[float] = []
    board.listen(lambda each: heard.append(each.took_s))
    for number in range(100):
        board.publish(opened(PlannerSettings()), batch(took_s=number / 100))
    assert (board.took_s(0.5), board.took_s(0.99), len(heard)) == (0.5, 0.99, 100)


def test_a_loop_that_does_not_look_up_is_silent() -> None:
    now = [10.0]
    board = Board(opened(PlannerSettings()), 0.0, lambda: now[0])
    now[0] = 25.0
    assert board.silent_s == 15.0
    board.look_up()
    assert board.silent_s == 0.0
