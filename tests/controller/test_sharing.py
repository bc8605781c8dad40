"""Subscriptions that overlap: a node reads each file once, and products stay as they were."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.counting import CountingServer, counting_server
from controller import job as jobs
from controller.config.settings import ArchiveSettings, NodeTypeSettings, Settings
from controller.config.subscriptions import read_subscriptions
from controller.demo.archive import UNREADABLE, DemoArchive
from controller.destinations import Destinations
from controller.job import open_job, opening
from controller.wiring import working_folders
from planner.commands import AnyCommand
from planner.events import AnyEvent, PartFinished
from planner.model import NoticeKind
from planner.settings import CuttingSettings, PlannerSettings, ScalingSettings
from tests.controller.runs import delivered

NODES, WORKERS = 2, 2
WANTED = ("TEMP", "PSAL", "TEMP, PSAL", "TEMP", "PRES, TEMP", "PSAL")
WISHES = "subscriptions:\n" + "\n".join(
    f"  - {{id: s{number}, dataset: argo, parameters: [{names}], deadline: PT10M}}"
    for number, names in enumerate(WANTED)
)


def settings(shared_reads_mb: float, read_latency_s: float) -> Settings:
    node = NodeTypeSettings(
        slots=WORKERS, slots_max=WORKERS, nodes_max=NODES, shared_reads_mb=shared_reads_mb
    )
    planner = PlannerSettings(
        scaling=ScalingSettings(nodes_min=NODES, nodes_max=NODES),
        cutting=CuttingSettings(part_s_min=0.0, parts_per_worker=2),
    )
    return Settings(
        planner=planner,
        nodes={"local": node},
        archive=ArchiveSettings(read_latency_s=read_latency_s),
    )


def served(
    folder: Path, server: CountingServer, shared_reads_mb: float
) -> tuple[Counter[str], dict[str, str], list[PartFinished]]:
    """Serve all wishes; return what was read how often, the products' digests, and the parts."""
    folder.mkdir()
    (folder / "wishes.yaml").write_text(WISHES)
    given = settings(shared_reads_mb, read_latency_s=0.005)
    destinations = Destinations(roots=(str(folder / "products"),))
    parts: list[PartFinished] = []

    def watch(event: AnyEvent, _: list[AnyCommand]) -> None:
        if isinstance(event, PartFinished):
            parts.append(event)

    with working_folders(folder) as folders:
        job = open_job(given, server.url, destinations, folders)
        wishes = read_subscriptions(
            folder / "wishes.yaml",
            datasets=job.datasets,
            destinations=destinations,
            now=0.0,
        ).subscriptions
        server.gets.clear()
        results = jobs.run(job, opening(job, wishes), watch=watch)
    assert {task.outcome for task in results.tasks.values()} == {NoticeKind.DELIVERED}
    return server.profile_gets(), delivered(folder / "products"), parts


@pytest.fixture(scope="module")
def ways(
    small_archive: DemoArchive, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Counter[str], dict[str, str], list[PartFinished]]]:
    folder = tmp_path_factory.mktemp("sharing")
    with counting_server(small_archive.folder) as server:
        return {
            "apart": served(folder / "apart", server, 0.0),
            "shared": served(folder / "shared", server, 64.0),
        }


def sound(gets: Counter[str], archive: DemoArchive) -> Counter[str]:
    """Return how often each file was read that can be opened."""
    paths = {f"/dac/{each.path('core')}" for each in archive.listed if each.quirk in UNREADABLE}
    return Counter({path: times for path, times in gets.items() if path not in paths})


def test_each_file_is_read_at_most_once_a_node(
    small_archive: DemoArchive,
    ways: dict[str, tuple[Counter[str], dict[str, str], list[PartFinished]]],
) -> None:
    apart, shared = (sound(ways[way][0], small_archive) for way in ("apart", "shared"))
    assert set(apart.values()) == {len(WANTED)}
    assert {path: times for path, times in shared.items() if times > NODES} == {}
    assert shared.keys() == apart.keys()
    assert len(shared) > 100


def test_products_are_the_same_as_if_each_part_had_read_for_itself(
    ways: dict[str, tuple[Counter[str], dict[str, str], list[PartFinished]]],
) -> None:
    assert ways["shared"][1] == ways["apart"][1]
    assert len(ways["shared"][1]) == len(WANTED)


def test_parts_tell_how_many_files_they_were_spared(
    small_archive: DemoArchive,
    ways: dict[str, tuple[Counter[str], dict[str, str], list[PartFinished]]],
) -> None:
    assert {event.fragment.shared for event in ways["apart"][2]} == {0}
    spared = sum(event.fragment.shared for event in ways["shared"][2])
    apart, shared = (sound(ways[way][0], small_archive) for way in ("apart", "shared"))
    assert spared == apart.total() - shared.total() > 0
