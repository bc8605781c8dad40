"""Predicted against measured finish of tasks: a plan, and then the run of the same load.

    python -m bench finish                                   (requests of the real subset)
    python -m bench.finish ARCHIVE SUBSCRIPTIONS [SETTINGS]  (a load of yours, with every task)

Timing is what it measures: run it on an idle machine. A plan is made and the load is served with
the same settings, into a folder that goes afterwards; both courses are read by the same code.

On the real subset the plan knows a calibration, which is made first, and each request is one that
the calibration did not draw, served by itself. Files are declared to be far, so that workers wait
side by side rather than contend for the processor.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.accuracy import UNPACK
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.calibration.record import Belief, keep
from controller.calibration.requests import Request, draw_requests
from controller.calibration.study import Order, calibrate
from controller.cli.plan import load
from controller.cli.rehearsing import staged
from controller.cli.run import chosen
from controller.config.settings import (
    ARGO_DOI,
    ArchiveSettings,
    NodeTypeSettings,
    Settings,
    read_settings,
)
from controller.config.subscriptions import read_subscriptions
from controller.destinations import Destinations
from controller.job import Job, beliefs, open_job, opening, run
from controller.wiring import working_folders
from planner.course import Course
from planner.model import Subscription, View
from planner.report import CAUTIOUS, MEDIAN

REQUESTS = 40
"""Held-out requests: the coverage of the 90 % case is then good to five hundredths."""

FILES_MIN = 30
"""Smaller requests are over before a node is up; nothing about them is planned."""

DEADLINE_S = 20.0
READ_LATENCY_S = 0.02

NODES = NodeTypeSettings(slots=2, slots_max=2, boot_s=1.0, nodes_max=4, shared_reads_mb=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When a task was finished after its arrival [s]: predicted in both cases, and measured.

    `work_s` and `took_s` are the time of workers on its parts, predicted and measured [s];
    `work_90_s` is predicted in the 90 % case.
    """

    product_id: str
    median_s: float
    cautious_s: float
    measured_s: float
    work_s: float
    work_90_s: float
    took_s: float


def measure() -> dict[str, float]:
    """Return how held-out requests of the real subset ended against what was planned."""
    if not UNPACK.exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="slackwater-bench-") as folder:
        archive = Path(folder) / "argo"
        subprocess.run(["bash", UNPACK, archive], check=True, capture_output=True)
        calibration = Path(folder) / "calibration.json"
        order = Order(url=str(archive), dataset=ARGO_DOI, workers=8)
        (Path(folder) / "fragments").mkdir()
        keep(calibrate(order, Path(folder) / "fragments").calibration, calibration)
        found = [
            one for wish in _held_out(archive) for one in _served(str(archive), wish, calibration)
        ]
    return _figures(found)


def _held_out(archive: Path) -> list[Subscription]:
    """Return requests of another seed than the calibration's, as subscriptions."""
    catalogue = Catalogue.load(open_archive(ArchiveAddress(url=str(archive))))
    drawn = draw_requests(catalogue, 6 * REQUESTS, seed=2026, area_share=0.0)
    large = [request for request in drawn if request.features.files >= FILES_MIN]
    return [_wish(number, request) for number, request in enumerate(large[:REQUESTS])]


def _wish(number: int, request: Request) -> Subscription:
    view = View(
        dataset=ARGO_DOI,
        application="argo",
        extent=request.extent,
        options=(("kind", str(request.kind)),),
    )
    return Subscription(
        id=f"r{number}", views=(view,), destination="", deadline_s=DEADLINE_S, backfill=True
    )


def _served(archive: str, wish: Subscription, calibration: Path) -> list[Finish]:
    settings = Settings(
        nodes={"local": NODES}, archive=ArchiveSettings(read_latency_s=READ_LATENCY_S)
    )
    with tempfile.TemporaryDirectory() as products, working_folders() as folders:
        job = open_job(chosen(settings, None), archive, Destinations(roots=(products,)), folders)
        job.datasets.application(ARGO_DOI)  # Opens it.
        placed = replace(wish, destination=f"file://{products}")
        return _compared(job, [placed], beliefs(job, calibration))


def finishes(archive: str, subscriptions: Path, config: Path | None) -> list[Finish]:
    """Plan a load, run it, and return what was predicted and measured of each task."""
    settings = chosen(read_settings(config), None)
    with tempfile.TemporaryDirectory() as products, working_folders() as folders:
        destinations = Destinations(roots=(products,))
        job = open_job(settings, archive, destinations, folders)
        wishes = read_subscriptions(
            subscriptions,
            datasets=job.datasets,
            destinations=destinations,
            now=time.time(),
        ).subscriptions
        return _compared(job, wishes, beliefs(job))


def _compared(
    job: Job, wishes: Sequence[Subscription], believed: Mapping[str, Belief]
) -> list[Finish]:
    stage, _ = staged(
        job.settings.planner, job.applications, load(job, wishes, believed, first=True)
    )
    planned = [stage.course(quantile=q) for q in (MEDIAN, CAUTIOUS)]
    measured = Course()
    run(job, opening(job, wishes, believed), watch=measured.see)
    usual, slow, real = (_by_product(course) for course in (*planned, measured))
    return [
        Finish(
            product_id=product,
            median_s=usual[product][0],
            cautious_s=slow[product][0],
            measured_s=real[product][0],
            work_s=usual[product][1],
            work_90_s=slow[product][1],
            took_s=real[product][1],
        )
        for product in sorted(usual.keys() & slow.keys() & real.keys())
    ]


def _by_product(course: Course) -> dict[str, tuple[float, float]]:
    return {
        task.product_id: (task.delivered_at - task.arrived_at, task.worked_s)
        for task in course.tasks.values()
        if task.delivered_at is not None
    }


def _figures(found: Sequence[Finish]) -> dict[str, float]:
    return {
        "finish_requests": len(found),
        "finish_error_median": median(abs(one.measured_s / one.median_s - 1.0) for one in found),
        "finish_coverage_90": _share(found, lambda one: one.measured_s <= one.cautious_s),
        "finish_work_error_median": median(abs(one.took_s / one.work_s - 1.0) for one in found),
        "finish_work_coverage_90": _share(found, lambda one: one.took_s <= one.work_90_s),
    }


def _share(found: Sequence[Finish], holds: Callable[[Finish], bool]) -> float:
    return sum(map(holds, found)) / len(found)


def main(arguments: list[str]) -> None:
    """Print the finishes of a load, their median error, and how many the 90 % case covers."""
    archive, subscriptions, *config = arguments
    found = finishes(archive, Path(subscriptions), Path(config[0]) if config else None)
    print(f"{'product':40} {'median':>9} {'90 %':>9} {'measured':>9}   {'work':>9} {'took':>9}")
    for one in found:
        finish = f"{one.median_s:8.1f}s {one.cautious_s:8.1f}s {one.measured_s:8.1f}s"
        print(f"{one.product_id:40} {finish}   {one.work_s:8.1f}s {one.took_s:8.1f}s")
    for name, figure in _figures(found).items():
        print(f"{name:30} {figure:.3g}")


if __name__ == "__main__":
    main(sys.argv[1:])
