"""A job serves what its events ask for, the same whichever way it is cut and scaled, and ends."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import netCDF4
import psutil
import pytest

from controller import job as jobs
from controller.config.settings import (
    ARGO_DOI,
    ArchiveSettings,
    DatasetSettings,
    NodeTypeSettings,
    Settings,
)
from controller.config.subscriptions import read_subscriptions
from controller.demo.archive import DemoArchive, make_archive, reprocess
from controller.destinations import Destinations
from controller.errors import ArchiveError, NodeError
from controller.interruption import SIGNALS, Interrupted, interruptible
from controller.job import BOOTS_FAILED_MAX, Job, open_job, opening
from controller.wiring import working_folders
from planner.commands import AnyCommand, RunPart
from planner.events import AnyEvent, NodeLost, TaskCut
from planner.journal import decode_header, read_steps, replay
from planner.model import NoticeKind, Subscription
from planner.results import Results
from planner.settings import (
    CuttingSettings,
    DispatchSettings,
    PlannerSettings,
    ScalingSettings,
)
from tests.controller.runs import PRODUCTS, WISHES, command_line, delivered, runs

LOCAL = NodeTypeSettings(slots=2, nodes_max=2)


# Parts are cut however short they are, and the policies of the chapter find all deadlines near.
BASE = PlannerSettings(
    scaling=ScalingSettings(nodes_max=LOCAL.nodes_max, threshold_s=590.0),
    cutting=CuttingSettings(part_s_min=0.0),
)


def settings(planner: PlannerSettings = BASE, read_latency_s: float = 0.0) -> Settings:
    archive = ArchiveSettings(read_latency_s=read_latency_s)
    return Settings(planner=planner, nodes={"local": LOCAL}, archive=archive)


@contextmanager
def opened(
    folder: Path, archive: Path, given: Settings, wishes: str = WISHES
) -> Iterator[tuple[Job, tuple[Subscription, ...]]]:
    """Open a job, all that it writes in one folder."""
    folder.mkdir(exist_ok=True)
    destinations = Destinations(roots=(str(folder / "products"),))
    (folder / "wishes.yaml").write_text(wishes)
    with working_folders(folder) as folders:
        job = open_job(given, str(archive), destinations, folders)
        found = read_subscriptions(
            folder / "wishes.yaml",
            datasets=job.datasets,
            destinations=destinations,
            now=time.time(),
        )
        yield job, found.subscriptions


class Story:
    """What a job's watch was shown."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.commands: list[AnyCommand] = []

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        self.events.append(event)
        self.commands += commands

    @property
    def parts(self) -> int:
        return sum(isinstance(command, RunPart) for command in self.commands)


def served(folder: Path, archive: Path, given: Settings) -> tuple[Results, Story]:
    story = Story()
    with opened(folder, archive, given) as (job, wishes):
        return jobs.run(job, opening(job, wishes), watch=story.see), story


@pytest.fixture(scope="module")
def digests(small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the products hold when all is as by default."""
    folder = tmp_path_factory.mktemp("default")
    served(folder, small_archive.folder, settings())
    return delivered(folder / "products")


@pytest.mark.parametrize(
    "way",
    [("none", "linear", 1), ("static", "logarithmic", 7), ("dynamic", "balanced", 2)],
    ids=lambda way: "-".join(map(str, way)),
)
def test_products_are_the_same_however_they_are_cut_and_nodes_are_added(
    way: tuple[str, str, int], small_archive: DemoArchive, digests: dict[str, str], tmp_path: Path
) -> None:
    policy, partitioner, parts_per_worker = way
    scaling = replace(BASE.scaling, policy=policy)
    cutting = replace(BASE.cutting, partitioner=partitioner, parts_per_worker=parts_per_worker)
    given = replace(BASE, scaling=scaling, cutting=cutting)
    results, story = served(tmp_path / "job", small_archive.folder, settings(given))
    assert {task.outcome for task in results.tasks.values()} == {NoticeKind.DELIVERED}
    assert delivered(tmp_path / "job" / "products") == digests
    assert digests.keys() == PRODUCTS
    cuts = [event for event in story.events if isinstance(event, TaskCut)]
    assert {cut.partitioner for cut in cuts} == {partitioner}
    assert {cut.fallback for cut in cuts} == {""}
    assert story.parts == sum(len(cut.parts) for cut in cuts) > 2


TWO_ARCHIVES = """
subscriptions:
  - id: both
    dataset: [argo, argo-north]
    parameters: [TEMP, PSAL]
    deadline: PT10M
"""


def test_two_archives_make_one_product_that_says_which_file_came_from_where(
    tmp_path: Path,
) -> None:
    south = make_archive(tmp_path / "south", profiles=150, seed=3)
    north = make_archive(tmp_path / "north", profiles=150, seed=4)
    identifier = f"{ARGO_DOI}#north"
    datasets = {
        "argo": DatasetSettings(identifier=ARGO_DOI),
        "argo-north": DatasetSettings(identifier=identifier, archive=str(north.folder)),
    }
    scaling = replace(BASE.scaling, put_off_launches=False)
    given = replace(settings(replace(BASE, scaling=scaling)), datasets=datasets)
    with opened(tmp_path / "job", south.folder, given, TWO_ARCHIVES) as (job, wishes):

        def wave() -> Sequence[AnyEvent] | None:
            reprocess(north, profiles=20)
            update = job.datasets[identifier].source.look()
            return [update] if update else []

        results = jobs.run(job, opening(job, wishes), waves=(wave,))
    first, second = (results.tasks[t] for t in sorted(results.tasks))
    assert (first.product_id, second.product_id) == ("both-v1-to-u0-d2-to-u0", "both-v1-d2-u1")
    manifests = [
        json.loads((tmp_path / f"job/products/both/{each.product_id}.manifest.json").read_text())
        for each in (first, second)
    ]
    origins = [{source["dataset"] for source in said["sources"]} for said in manifests]
    assert origins == [{ARGO_DOI, identifier}, {identifier}]
    assert [len(said["selections"]) for said in manifests] == [2, 1]
    product = tmp_path / f"job/products/both/{first.product_id}.nc"
    with netCDF4.Dataset(product) as dataset:
        told = set(dataset["profiles/dataset"][:].tolist())
        assert told == {ARGO_DOI, identifier}
        assert dataset.doi == f"{ARGO_DOI} {identifier}"


ONE_AND_BOTH = """
subscriptions:
  - {id: both, dataset: [argo, argo-north], parameters: TEMP}
  - {id: one, dataset: argo, parameters: TEMP}
"""


def test_an_archive_that_goes_away_fails_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    south = make_archive(tmp_path / "south", profiles=150, seed=3)
    north = make_archive(tmp_path / "north", profiles=150, seed=4)
    datasets = {
        "argo": DatasetSettings(identifier=ARGO_DOI),
        "argo-north": DatasetSettings(identifier="north", archive=str(north.folder)),
    }
    planner = replace(
        BASE,
        scaling=replace(BASE.scaling, put_off_launches=False),
        dispatch=DispatchSettings(attempts_max=2, retry_s=0.1, retry_s_max=0.1),
    )
    given = replace(settings(planner), datasets=datasets)
    with opened(tmp_path / "job", south.folder, given, ONE_AND_BOTH) as (job, wishes):
        events = opening(job, wishes)
        north.folder.rename(tmp_path / "away")
        results = jobs.run(job, events)
    ends = {task.subscription_id: task for task in results.tasks.values()}
    assert ends["one"].outcome is NoticeKind.DELIVERED
    assert ends["both"].outcome is NoticeKind.FAILED
    assert "failed after 2 attempts: the archive" in ends["both"].text
    assert not (tmp_path / "job/products/both").exists()


def test_a_wave_in_the_middle_becomes_increments_and_the_journal_replays(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", profiles=150, seed=9)
    journal = tmp_path / "journal.jsonl"
    story = Story()
    with opened(tmp_path / "job", archive.folder, settings()) as (job, wishes):

        def wave() -> Sequence[AnyEvent] | None:
            if not story.parts:
                return None
            reprocess(archive, profiles=40)
            (argo,) = job.datasets.values()
            update = argo.source.look()
            assert update is not None
            return [update]

        results = jobs.run(
            job, opening(job, wishes), waves=(wave,), journal=journal, watch=story.see
        )
    ids = {task.product_id for task in results.tasks.values() if task.outcome is not None}
    assert ids >= PRODUCTS | {"world-v1-u1"}
    assert delivered(tmp_path / "job" / "products").keys() == ids
    with journal.open("rb") as lines:
        steps, difference = replay(decode_header(lines.readline()), read_steps(lines))
    assert difference is None
    assert steps == len(story.events)


def test_a_job_without_subscriptions_ends_at_once(
    small_archive: DemoArchive, tmp_path: Path
) -> None:
    with opened(tmp_path / "job", small_archive.folder, settings()) as (job, _):
        results = jobs.run(job, opening(job, ()))
    assert results.tasks == {}
    assert results.fleet.peak() == 0


def test_nodes_that_never_come_up_end_the_job_with_their_reason(
    small_archive: DemoArchive, tmp_path: Path
) -> None:
    retry_s = 0.1
    # One node at a time, however the deadline presses on a busy machine.
    scaling = replace(BASE.scaling, nodes_max=1)
    given = settings(replace(BASE, scaling=scaling, dispatch=DispatchSettings(retry_s=retry_s)))
    story = Story()
    with opened(tmp_path / "job", small_archive.folder, given) as (job, wishes):
        # Workers look for the fragments' folder before they join, and do not find it.
        job.folders.fragments.rmdir()
        with pytest.raises(NodeError, match="6 nodes in a row did not come up") as caught:
            jobs.run(job, opening(job, wishes), watch=story.see)
    assert "does not exist as its workers see it" in str(caught.value)
    lost = [event.at for event in story.events if isinstance(event, NodeLost)]
    pauses = [after - before for before, after in pairwise(lost)]
    assert len(lost) == BOOTS_FAILED_MAX
    assert all(pause >= retry_s * 2**number for number, pause in enumerate(pauses))
    assert not (tmp_path / "job" / "products").exists()


@pytest.fixture
def handlers() -> Iterator[None]:
    """Leave signals as they were: who was interrupted goes on ignoring them."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_job_that_is_asked_to_stop_takes_down_what_it_has_started(
    number: signal.Signals, small_archive: DemoArchive, tmp_path: Path
) -> None:
    given = settings(read_latency_s=0.1)
    before = set(psutil.Process().children(recursive=True))
    begun: set[psutil.Process] = set()

    def interrupt(event: AnyEvent, commands: list[AnyCommand]) -> None:
        if not begun and any(isinstance(command, RunPart) for command in commands):
            begun.update(set(psutil.Process().children(recursive=True)) - before)
            signal.raise_signal(number)

    with (
        pytest.raises(Interrupted),
        interruptible(),
        opened(tmp_path / "job", small_archive.folder, given) as (job, wishes),
    ):
        jobs.run(job, opening(job, wishes), watch=interrupt)
    # The fork server of this test's own process stands until that ends.
    ours = [each for each in begun if "forkserver" not in " ".join(command_line(each))]
    assert len(ours) >= 4
    assert [each for each in ours if runs(each) and "tracker" not in str(command_line(each))] == []
    assert {path.name for path in (tmp_path / "job").iterdir()} == {"wishes.yaml"}


def test_an_older_index_must_be_of_an_archive_that_is_named(tmp_path: Path) -> None:
    own = DatasetSettings(identifier=ARGO_DOI, archive=str(tmp_path))
    with working_folders(tmp_path) as folders, pytest.raises(ArchiveError, match="older index of"):
        open_job(
            replace(settings(), datasets={"argo": own}),
            None,
            Destinations(roots=(str(tmp_path),)),
            folders,
            since=tmp_path / "older.txt",
        )


def test_an_older_index_of_a_dataset_that_nobody_wants_is_refused(tmp_path: Path) -> None:
    destinations = Destinations(roots=(str(tmp_path),))
    with working_folders(tmp_path) as folders:
        older = tmp_path / "older.txt"
        job = open_job(settings(), str(tmp_path), destinations, folders, since=older)
        with pytest.raises(ArchiveError, match=r"dataset argo, of which .*older\.txt"):
            job.datasets.refuse_unused_index()
        open_job(settings(), str(tmp_path), destinations, folders).datasets.refuse_unused_index()
