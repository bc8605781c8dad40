"""Without an index the service remembers what parts cost, and cuts the next task by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from controller.history import Histories, Sampled
from partitioners.history import Observation
from planner.commands import AnyCommand, CutTask, ProvisionNode, RunPart, StopPart
from planner.density import Density
from planner.events import (
    AttemptLost,
    NodeLost,
    OffersChanged,
    PartFailed,
    PartFinished,
    TaskCut,
)
from planner.extent import Extent
from planner.model import Fragment, NodeOffer, PartSpec, Selection, UnitCosts, UpdateSpan, View
from tests.controller.test_dispatcher import Stage
from tests.partitioners.unindexed import EUROPE, Unindexed

VIEW = View(dataset="near", application="small", extent=EUROPE)
FIRST, NEWS = UpdateSpan(after=None, upto=0), UpdateSpan(after=0, upto=1)
EARLY, LATE = EUROPE.cut_time([1.0e8])
NO_COMMANDS: Sequence[AnyCommand] = ()
FAST = NodeOffer(node_type="fast", slots=1, slots_max=1, speed=4.0, boot_s=0.0, nodes_max=2)


def begun(
    part_id: str, extent: Extent = EARLY, *, attempt: int = 1, updates: UpdateSpan = FIRST
) -> RunPart:
    return RunPart(
        part_id=part_id,
        attempt=attempt,
        node_id="n1",
        task_id="t1",
        view=VIEW,
        extent=extent,
        updates=updates,
        limit_s=60.0,
    )


def ended(part_id: str, run_s: float, *, attempt: int = 1) -> PartFinished:
    fragment = Fragment(url="f", rows=1, size_bytes=1, sha256="")
    return PartFinished(
        at=0.0, part_id=part_id, attempt=attempt, node_id="n1", run_s=run_s, fragment=fragment
    )


def cost_s(density: Density | None, extent: Extent) -> float:
    assert density is not None
    costs = UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=0.0)
    return float(density.within(extent).cost_s(costs, extent).sum())


@pytest.fixture
def histories() -> Histories:
    """Return histories that were asked once, as when a first task is cut."""
    histories = Histories()
    assert histories.density(VIEW, FIRST) is None
    return histories


def test_parts_that_finished_make_a_map(histories: Histories) -> None:
    histories.see(ended("t0/9", 1.0), [begun("t1/0", EARLY), begun("t1/1", LATE)])
    histories.see(ended("t1/1", 30.0), NO_COMMANDS)
    histories.see(ended("t1/0", 10.0), NO_COMMANDS)
    density = histories.density(VIEW, FIRST)
    assert cost_s(density, EARLY) == pytest.approx(10.0, rel=0.01)
    assert cost_s(density, LATE) == pytest.approx(30.0, rel=0.01)


def test_a_second_on_a_fast_node_is_worth_more(histories: Histories) -> None:
    create = ProvisionNode(node_id="n1", node_type="fast", workers=1, reason="")
    histories.see(OffersChanged(at=0.0, offers=(FAST,)), [create, begun("t1/0")])
    histories.see(ended("t1/0", 10.0), NO_COMMANDS)
    assert cost_s(histories.density(VIEW, FIRST), EARLY) == pytest.approx(40.0, rel=0.01)
    histories.see(NodeLost(at=0.0, node_id="n1", reason=""), [begun("t1/1")])
    histories.see(ended("t1/1", 10.0), NO_COMMANDS)
    assert cost_s(histories.density(VIEW, FIRST), EARLY) == pytest.approx(25.0, rel=0.01)


@pytest.mark.parametrize(
    "end",
    [
        PartFailed(at=0.0, part_id="t1/0", attempt=1, reason=""),
        AttemptLost(at=0.0, part_id="t1/0", attempt=1, reason=""),
    ],
)
def test_attempts_that_came_to_nothing_are_forgotten(
    histories: Histories, end: PartFailed | AttemptLost
) -> None:
    histories.see(ended("t0/9", 1.0), [begun("t1/0"), begun("t1/1")])
    histories.see(end, [StopPart(part_id="t1/1", attempt=1)])
    for late in (ended("t1/0", 10.0), ended("t1/1", 10.0), ended("t1/0", 10.0, attempt=2)):
        histories.see(late, NO_COMMANDS)
    assert histories.density(VIEW, FIRST) is None


@pytest.mark.parametrize(
    ("view", "updates"),
    [
        (VIEW, NEWS),
        (replace(VIEW, dataset="far"), FIRST),
        (replace(VIEW, application="other"), FIRST),
    ],
)
def test_parts_speak_only_for_their_kind(
    histories: Histories, view: View, updates: UpdateSpan
) -> None:
    histories.see(ended("t0/9", 1.0), [begun("t1/0")])
    histories.see(ended("t1/0", 10.0), NO_COMMANDS)
    assert histories.density(view, updates) is None


def test_what_nobody_asks_for_is_not_kept() -> None:
    histories = Histories()
    histories.see(ended("t0/9", 1.0), [begun("t1/0")])
    histories.see(ended("t1/0", 10.0), NO_COMMANDS)
    assert histories.density(VIEW, FIRST) is None


def test_a_sample_is_there_before_any_part_and_parts_are_learned_without_their_base() -> None:
    told = (Observation(extent=EARLY, cost_s=2.0), Observation(extent=LATE, cost_s=6.0))
    histories = Histories(
        [Sampled(dataset="near", application="small", base_s=3.0, observations=told)]
    )
    assert histories.density(VIEW, NEWS) is None
    assert histories.density(replace(VIEW, application="other"), FIRST) is None
    known = histories.density(VIEW, FIRST, 500)
    assert known is not None
    assert len(known) == 500
    assert cost_s(known, LATE) == pytest.approx(6.0, rel=0.02)
    assert known.features(LATE).values == 0
    histories.see(ended("t0/9", 1.0), [begun("t1/0", EARLY), begun("t1/1", LATE)])
    histories.see(ended("t1/0", 2.0), NO_COMMANDS)
    histories.see(ended("t1/1", 13.0), NO_COMMANDS)
    assert cost_s(histories.density(VIEW, FIRST), EARLY) == pytest.approx(1.0, rel=0.02)
    assert cost_s(histories.density(VIEW, FIRST), LATE) == pytest.approx(8.0, rel=0.02)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.mark.parametrize("partitioner", ["balanced", "bisecting"])
def test_the_second_task_of_a_dataset_without_an_index_is_cut_in_balance(
    stage: Stage, partitioner: str
) -> None:
    dataset = Unindexed()
    imbalances = []
    for task_id in ("t1", "t2", "t3"):
        cut = stage.outcome(cut_command(task_id, partitioner))
        assert isinstance(cut, TaskCut)
        assert (cut.partitioner, len(cut.parts)) == (partitioner, 16)
        imbalances.append(dataset.imbalance(tuple(part.extent for part in cut.parts)))
        run(cut.parts, dataset, stage.histories, task_id)
    assert imbalances[0] > 2.5
    assert imbalances[1] < 1.1
    assert imbalances[2] < 1.1


def cut_command(task_id: str, partitioner: str) -> CutTask:
    return CutTask(
        task_id=task_id,
        subscription_id="europe",
        version=1,
        selections=(Selection(view=VIEW, updates=FIRST),),
        partitioner=partitioner,
        parts_wanted=16,
        parts_max=100,
        part_s_min=0.5,
        part_s_max=300.0,
        costs=(UnitCosts(base_s=25.0, file_s=0.0, megabyte_s=0.0, value_s=0.0),),
    )


def run(parts: Iterable[PartSpec], dataset: Unindexed, histories: Histories, task_id: str) -> None:
    """Let the service see parts begin, and each end after the time that reading it takes."""
    for number, part in enumerate(parts):
        part_id = f"{task_id}/{number}"
        histories.see(ended("t0/9", 1.0), [begun(part_id, part.extent)])
        histories.see(ended(part_id, dataset.read_s(part.extent)), NO_COMMANDS)
