"""Predicted against measured finish of each task: a plan, and then the run of the same load.

    python -m bench.finish ARCHIVE SUBSCRIPTIONS [SETTINGS]

Timing is what it measures: run it on an idle machine. A plan is made and the load is served with
the same settings, into a folder that goes afterwards; both courses are read by the same code.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from controller.cli.plan import load
from controller.cli.rehearsing import staged
from controller.cli.run import chosen
from controller.config.settings import read_settings
from controller.config.subscriptions import read_subscriptions
from controller.destinations import Destinations
from controller.job import beliefs, open_job, opening, run
from controller.wiring import working_folders
from planner.course import Course
from planner.report import CAUTIOUS, MEDIAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When a task was finished after its arrival [s]: predicted in both cases, and measured.

    `work_s` and `took_s` are the time of workers on its parts, predicted and measured [s].
    """

    product_id: str
    median_s: float
    cautious_s: float
    measured_s: float
    work_s: float
    took_s: float


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
        stage, _ = staged(
            settings.planner, job.applications, load(job, wishes, beliefs(job), first=True)
        )
        planned = [stage.course(quantile=q) for q in (MEDIAN, CAUTIOUS)]
        measured = Course()
        run(job, opening(job, wishes), watch=measured.see)
    usual, slow, real = (_by_product(course) for course in (*planned, measured))
    return [
        Finish(
            product_id=product,
            median_s=usual[product][0],
            cautious_s=slow[product][0],
            measured_s=real[product][0],
            work_s=usual[product][1],
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


def main(arguments: list[str]) -> None:
    """Print the finishes of a load, their median error, and how many the 90 % case covers."""
    archive, subscriptions, *config = arguments
    found = finishes(archive, Path(subscriptions), Path(config[0]) if config else None)
    print(f"{'product':40} {'median':>9} {'90 %':>9} {'measured':>9}   {'work':>9} {'took':>9}")
    for one in found:
        finish = f"{one.median_s:8.1f}s {one.cautious_s:8.1f}s {one.measured_s:8.1f}s"
        print(f"{one.product_id:40} {finish}   {one.work_s:8.1f}s {one.took_s:8.1f}s")
    errors = [abs(one.measured_s / one.median_s - 1.0) for one in found]
    covered = sum(one.measured_s <= one.cautious_s for one in found)
    print(f"median error {median(errors):.1%}, {covered} of {len(found)} within the 90 % case")


if __name__ == "__main__":
    main(sys.argv[1:])
