"""A job's load on the stage: cut as it would be, and coarsened by named limits, which it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli import rehearsing
from controller.cli.plan import load
from controller.cli.rehearsing import Cutter, staged
from controller.config.settings import ARGO_DOI, ArchiveSettings, NodeTypeSettings, Settings
from controller.demo.archive import DemoArchive
from controller.destinations import Destinations
from controller.job import Job, beliefs, open_job
from controller.wiring import working_folders
from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from planner.course import Course
from planner.events import AnyEvent
from planner.extent import Box, Extent
from planner.model import Subscription, View

SUBSCRIPTIONS = 20


@pytest.fixture(name="job", scope="module")
def far_job(small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """Return a job on a far archive: a file takes 0.4 s."""
    settings = Settings(
        nodes={"vm": NodeTypeSettings(slots=2, slots_max=2, boot_s=2.0)},
        archive=ArchiveSettings(read_latency_s=0.4),
    )
    with working_folders(tmp_path_factory.mktemp("work")) as folders:
        destinations = Destinations(roots=(str(Path(folders.parent) / "products"),))
        job = open_job(settings, str(small_archive.folder), destinations, folders)
        assert job.datasets[ARGO_DOI].read_latency_s == 0.4
        yield job


@pytest.fixture(name="events", scope="module")
def first_deliveries(job: Job) -> list[AnyEvent]:
    """Return the events of as many subscriptions as there are bands of longitude."""
    width = 360.0 / SUBSCRIPTIONS
    wishes = [
        Subscription(
            id=f"band-{n}",
            views=(
                View(
                    dataset="10.17882/42182",
                    application="argo",
                    extent=Extent(
                        box=Box(
                            west=-180 + n * width, east=-180 + (n + 1) * width, south=-90, north=90
                        ),
                        parameters=("PSAL", "TEMP"),
                    ),
                ),
            ),
            destination="nowhere",
            deadline_s=600.0,
            backfill=True,
        )
        for n in range(SUBSCRIPTIONS)
    ]
    return load(job, wishes, beliefs(job), first=True)


def played(job: Job, events: list[AnyEvent]) -> tuple[Course, tuple[str, ...]]:
    stage, notes = staged(job.settings.planner, job.applications, events)
    return stage.course(), notes


def counts(course: Course) -> tuple[int, int]:
    features = [each for task in course.tasks.values() for each in task.features]
    return len(features), sum(each.files for each in features)


def test_a_small_load_is_cut_as_it_would_be_and_nothing_is_noted(
    job: Job, events: list[AnyEvent]
) -> None:
    stage, notes = staged(job.settings.planner, job.applications, events)
    assert notes == ()
    cutter = Cutter(job.applications)
    for command in stage.tasks():
        (selection,) = command.selections
        density = job.applications[ARGO_DOI].density(selection.view, selection.updates)
        real = cut_task(command, [KnownLoad(density=density)], BUILT_IN)
        assert cutter(command, 1.0) == real.event(1.0)
        again = replace(command, task_id="other")
        assert cutter(again, 2.0).parts == cutter(command, 1.0).parts
        assert cutter(again, 2.0).task_id == "other"


def test_a_large_load_is_coarsened_and_says_how(
    job: Job, events: list[AnyEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    course, _ = played(job, events)
    parts, files = counts(course)
    assert parts > 60
    monkeypatch.setattr(rehearsing, "PARTS_PLANNED_MAX", 20)
    monkeypatch.setattr(rehearsing, "TASKS_JUDGED_MAX", 10)
    monkeypatch.setattr(rehearsing, "MASSES_PLANNED_MAX", 100)
    monkeypatch.setattr(rehearsing, "MASSES_PLANNED_MIN", 5)
    coarse, notes = played(job, events)
    fewer, as_many_files = counts(coarse)
    assert fewer <= 20 + SUBSCRIPTIONS
    assert as_many_files == files, "how many files there are stays exact"
    assert len(notes) == 3
    assert "a sample of 5" in notes[0]
    assert f"{parts} parts are too many" in notes[1]
    assert "judged every" in notes[2]
    ends = [task.delivered_at for task in course.tasks.values()]
    rough = [task.delivered_at for task in coarse.tasks.values()]
    assert all(ends)
    assert all(rough)
    last, roughly = (max(e for e in each if e) - course.began_at for each in (ends, rough))
    assert roughly == pytest.approx(last, rel=0.5)
