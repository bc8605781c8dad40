"""`slackwater plan` of 10,000 subscriptions over the global index of 2.9 million profiles.

Boxes are those of `bench.matching`, of 2 to 40 degrees all over the globe; periods, parameters and
deadlines vary, all from one seed. Everything that the command does is in it, from reading the files
to the report. Wants the real index beside the project; without it there is nothing to measure.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.index import INDEX, memory_mb
from controller.cli.plan import load, made_plan
from controller.cli.planned import Plan
from controller.cli.rehearsing import staged
from controller.cli.run import chosen
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.destinations import Destinations
from controller.job import beliefs, open_job
from controller.wiring import working_folders
from planner.report import State

SUBSCRIPTIONS = 10_000
WIDTH_DEG = (2.0, 40.0)
PARAMETERS = ("[TEMP, PSAL]", "TEMP", "PSAL")
HOURS = (0.5, 8.0)
SETTINGS = """
nodes: {vm: {slots: 2, slots_max: 2, boot_s: 120, price_per_h: 0.1, power_w: 150, nodes_max: 16}}
planner: {scaling: {nodes_max: 16}}
"""
"""A fleet that is pressed by this load: some deadlines are met, some are not."""


def measure() -> dict[str, float]:
    """Return the times of each step and of all; empty where the real index is absent."""
    if not INDEX.exists():
        return {}
    # In a process of its own, so that memory is the plan's alone.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure)


def _measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _prepare(place)
        began = time.perf_counter()
        made = _planned(place, figures)
        figures["plan_10000_s"] = time.perf_counter() - began
    report = made.report
    figures["plan_10000_parts"] = sum(task.parts for task in report.tasks)
    figures["plan_10000_late"] = report.counted(State.LATE)
    figures["plan_10000_at_risk"] = report.counted(State.AT_RISK)
    figures["plan_10000_peak_mb"] = memory_mb("VmHWM")
    return figures


def _prepare(place: Path) -> None:
    (place / "archive").mkdir()
    shutil.copy(INDEX, place / "archive" / "ar_index_global_prof.txt.gz")
    (place / "slackwater.yaml").write_text(SETTINGS)
    (place / "subscriptions.yaml").write_text("\n".join(["subscriptions:", *_wishes()]))


def _wishes() -> Iterator[str]:
    draw = np.random.default_rng(2)
    width, height = draw.uniform(*WIDTH_DEG, (2, SUBSCRIPTIONS))
    west = draw.uniform(-180.0, 180.0 - width)
    south = draw.uniform(-90.0, 90.0 - height)
    hours = draw.uniform(*HOURS, SUBSCRIPTIONS)
    years = draw.integers(2000, 2024, SUBSCRIPTIONS)
    for n in range(SUBSCRIPTIONS):
        box = [west[n], south[n], west[n] + width[n], south[n] + height[n]]
        yield f"  - id: wish-{n}"
        yield "    dataset: argo"
        yield f"    bbox: {','.join(f'{edge:.3f}' for edge in box)}"
        yield f"    parameters: {PARAMETERS[n % len(PARAMETERS)]}"
        if n % 3:
            yield f"    time: {years[n]}-01-01/.."
        if n % 10:
            yield f"    deadline: PT{round(hours[n] * 60)}M"


def _planned(place: Path, figures: dict[str, float]) -> Plan:
    settings: Settings = chosen(read_settings(place / "slackwater.yaml"), None)
    destinations = Destinations(roots=(str(place / "products"),))
    with working_folders() as folders:
        with _timed(figures, "plan_index_and_subscriptions_s"):
            job = open_job(settings, str(place / "archive"), destinations, folders)
            wishes = read_subscriptions(
                place / "subscriptions.yaml",
                datasets=job.datasets,
                destinations=destinations,
                now=time.time(),
            )
        with _timed(figures, "plan_load_maps_s"):
            events = load(job, wishes.subscriptions, beliefs(job), first=True)
            stage, notes = staged(settings.planner, job.applications, events)
        with _timed(figures, "plan_rehearsing_s"):
            made = made_plan(settings, stage, notes)
    for note in made.report.notes:
        print(note, file=sys.stderr)
    return made


@contextmanager
def _timed(figures: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures[name] = time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
