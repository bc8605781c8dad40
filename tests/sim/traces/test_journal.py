"""Journals met again: exactly, and open loop by a planner that decides otherwise."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from planner.commands import CutTask
from planner.events import AnyEvent, PartFinished, SubscriptionAdded, TaskCut, TaskRefused
from planner.extent import Box, Extent, Period
from planner.journal import Header, Step, replay
from planner.model import Features, PartSpec, product_id
from planner.settings import PlannerSettings
from sim.simulator import Run, Trial, simulate
from sim.traces.archive import generate
from sim.traces.journal import OUTSIDE, TraceLoad
from sim.traces.native import packing, steps_of_jobs
from sim.traces.opening import open_trace, outside, write_jobs, write_native
from sim.traces.recutting import told_truth
from sim.workload import Job, JobsLoad, Load
from tests.sim.traces.building import NEW_YEAR, a_month, a_scenario, an_archive

JOBS = (
    Job(
        id="even",
        at=0.0,
        deadline_s=900.0,
        parts_s=(40.0, 40.0),
        true_parts_s=(50.0, 30.0),
        part_bytes=5,
        size_bytes=1000,
    ),
    Job(id="unknown", at=10.0, deadline_s=None, parts_s=(5.0,), priority=2.0),
    Job(id="odd", at=10.0, deadline_s=60.0, parts_s=(1.0, 2.5), true_parts_s=(1.25, 2.25)),
)


def archived() -> TraceLoad:
    archive, month = an_archive(told=True), a_month()
    return TraceLoad(lambda: outside(generate(archive, month)))


def played(load: Load, **trial: object) -> tuple[Run, list[Step]]:
    """Play a load and return the run and its journal."""
    steps: list[Step] = []
    run = simulate(
        a_scenario(),
        Trial(**trial),  # type: ignore[arg-type]
        load=load,
        watch=lambda event, commands: steps.append(Step(event=event, commands=tuple(commands))),
    )
    return run, steps


def test_every_event_comes_from_outside_or_not() -> None:
    assert set(OUTSIDE) == set(get_args(AnyEvent))


def test_a_played_archive_is_cut_by_what_its_updates_told() -> None:
    run, steps = played(archived(), seed=1)
    assert run.outcome.tasks > 30
    assert run.outcome.undelivered == 0
    asked = {c.task_id: c for step in steps for c in step.commands if isinstance(c, CutTask)}
    cuts = [step.event for step in steps if isinstance(step.event, TaskCut)]
    assert len(cuts) == len(asked) == run.outcome.tasks
    assert max(len(cut.parts) for cut in cuts) > 4, "a burst is worth several parts"
    assert not any(cut.fallback for cut in cuts)
    assert all(part.features.files > 0 for cut in cuts for part in cut.parts)


def test_a_record_replays_exactly() -> None:
    run, steps = played(archived(), seed=1)
    header = Header(build="test", settings=run.settings)
    count, difference = replay(header, steps)
    assert difference is None
    assert count == len(steps) > 200


def test_open_loop_under_the_same_settings_repeats_the_record() -> None:
    """Though no truth is drawn in it: run times and cuts are those that the record tells."""
    run, steps = played(archived(), seed=1)
    again, repeated = played(TraceLoad(lambda: steps), seed=1)
    assert again.outcome == run.outcome
    assert repeated == steps


def test_open_loop_under_other_settings_meets_the_same_work() -> None:
    run, steps = played(archived(), seed=1)
    load = TraceLoad(lambda: steps)
    other, _ = played(load, seed=2, policy="static", partitioner="bisecting", nodes_max=3)
    assert other.outcome.tasks == run.outcome.tasks
    for one, two in zip(run.demands, other.demands, strict=True):
        assert two.released_at == one.released_at
        assert two.work_s == pytest.approx(one.work_s)


def test_a_first_delivery_is_cut_anew_by_what_its_parts_told() -> None:
    """No update tells what the archive held, so its load is spread within each recorded part."""
    box = Box(west=0.0, south=0.0, east=10.0, north=10.0)
    edges = (None, 100.0, 150.0, None)
    files, true_parts_s = (10, 500, 0), (3.0, 70.0, math.nan)
    parts = [
        PartSpec(
            extent=Extent(box=box, period=Period(start_at=start, end_at=end)),
            features=Features(files=count, values=3 * count, size_bytes=7),
        )
        for start, end, count in zip(edges[:-1], edges[1:], files, strict=True)
    ]
    truth = told_truth(None, parts, true_parts_s, at=1000.0)
    assert truth.map is not None
    assert truth.map.files.sum() == 510
    assert truth.map.values is not None
    assert truth.map.values.sum() == 1530
    assert truth.map.size_bytes.sum() == 21
    assert truth.of_parts(parts) == [pytest.approx(3.0), pytest.approx(70.0), None]
    half = replace(parts[1], extent=Extent(box=box, period=Period(start_at=100.0, end_at=125.0)))
    assert truth.of_parts([half]) == [pytest.approx(35.0)]


def test_the_truth_of_an_increment_follows_its_profiles() -> None:
    load, rng = archived(), np.random.default_rng(5)
    for event in load.events():
        last = event
    _, steps = played(archived(), seed=1)
    asked = [c for step in steps for c in step.commands if isinstance(c, CutTask)]
    command = max(asked, key=lambda c: _files(load, c))
    density = load._increments.density(command.selections[0])
    assert density is not None
    first = cut_task(command, [KnownLoad(density=density)], BUILT_IN)
    true_parts_s = rng.uniform(1.0, 9.0, len(first.parts)).tolist()
    truth = told_truth(density, first.parts, true_parts_s, at=last.at)
    assert truth.of_parts(first.parts) == pytest.approx(true_parts_s)
    finer = replace(command, parts_wanted=2 * len(first.parts), part_s_min=0.0)
    second = cut_task(finer, [KnownLoad(density=density)], BUILT_IN)
    assert len(second.parts) > len(first.parts) > 2
    found_s = [true_s for true_s in truth.of_parts(second.parts) if true_s is not None]
    assert math.fsum(found_s) == pytest.approx(math.fsum(true_parts_s))


def _files(load: TraceLoad, command: CutTask) -> int:
    density = load._increments.density(command.selections[0])
    return 0 if density is None else len(density)


def test_a_task_that_nobody_tells_of_is_refused() -> None:
    events = list(archived().events())
    wish = next(event for event in events if isinstance(event, SubscriptionAdded))
    eager = replace(wish, subscription=replace(wish.subscription, backfill=True))
    told = [eager if event is wish else event for event in events]
    run, steps = played(TraceLoad(lambda: outside(told)), seed=1)
    refused = [step.event for step in steps if isinstance(step.event, TaskRefused)]
    assert [event.at for event in refused] == [NEW_YEAR]
    assert run.outcome.undelivered == 1


def test_jobs_survive_every_form_of_trace(tmp_path: Path) -> None:
    table, native, back = tmp_path / "a.csv", tmp_path / "b.jsonl.gz", tmp_path / "c.csv"
    header = Header(build="test", settings=PlannerSettings(), record=False)
    with table.open("wb") as out:
        assert write_jobs(out, JOBS) == 3
    with native.open("wb") as out, packing(out, native.name) as packed:
        write_native(packed, header, open_trace(table).steps())
    opened = open_trace(native)
    assert opened.header == header
    with back.open("wb") as out:
        write_jobs(out, opened.jobs())
    assert back.read_text() == table.read_text()


def test_jobs_run_the_same_from_every_form_of_trace(tmp_path: Path) -> None:
    native = tmp_path / "jobs.jsonl"
    header = Header(build="test", settings=PlannerSettings(), record=False)
    with native.open("wb") as out:
        write_native(out, header, steps_of_jobs(JOBS))
    run, steps = played(JobsLoad(lambda: JOBS), seed=1)
    again, repeated = played(open_trace(native).load, seed=1)
    assert again.outcome == run.outcome
    assert repeated == steps
    kinds = Counter(type(step.event) for step in steps)
    assert kinds[PartFinished] == 5


def test_a_job_that_was_withdrawn_is_withdrawn_again() -> None:
    """Unlike the end of its subscription that follows from the end of its task."""
    load = JobsLoad(lambda: JOBS, lambda job: 130.0 if job.id == "even" else None)
    run, steps = played(load, seed=1)
    assert run.outcome.on_time < run.outcome.due
    again, repeated = played(TraceLoad(lambda: steps), seed=1)
    assert again.outcome == run.outcome
    assert repeated == steps


def test_a_record_tells_truth_and_boots() -> None:
    _, steps = played(JobsLoad(lambda: JOBS), seed=1)
    load = TraceLoad(lambda: steps)
    assert load.told.offers
    assert load.told.boots_s
    (kind,) = load.told.boots_s
    assert all(60.0 < boot_s < 240.0 for boot_s in load.told.boots_s[kind])
    task = load.told.tasks["even-v1-to-u0"]
    assert task.true_parts_s == {0: pytest.approx(50.0), 1: pytest.approx(30.0)}
    assert load.settled("even-v1-to-u0").combine_s == task.combine_s
    assert load.size_bytes("even-v1-to-u0") == 1000
    assert task.deadline_s == 900.0
    assert product_id("even", 1, task.command.selections) == "even-v1-to-u0"
