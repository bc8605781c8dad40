"""`slackwater calibrate --dataset`: what a dataset without an index costs, and where."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from controller.apps.request import iso_instant
from controller.calibration.probing import Sampling, sample
from controller.calibration.record import keep, place_of
from controller.calibration.requests import BASE
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, span
from controller.cli.pages import refuse_unwritable
from controller.config.bbox import parse_bbox
from controller.config.iso8601 import parse_interval
from controller.config.settings import Settings
from controller.datasets import Datasets, Places
from controller.errors import CalibrationError
from controller.ports import Dataset
from partitioners.history import OBSERVATIONS_MAX
from planner.errors import InvalidExtent
from planner.extent import ALWAYS, GLOBE, Box, Extent, Period

Value = TypeVar("Value")
Default = TypeVar("Default")

TRUST_MIN = 0.5
"""Below, most of the differences between strata are chance, which is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What stands on the command line, as it was written."""

    alias: str
    archive: str | None
    bbox: str | None
    time: str | None
    samples: int
    seed: int


def run_sampling(
    wanted: Wanted,
    settings: Settings,
    *,
    out: Path | None,
    as_json: bool,
) -> Exit:
    """Run the command for a dataset without an index and return its exit code."""
    if wanted.samples > OBSERVATIONS_MAX:
        raise CalibrationError(
            f"{wanted.samples:,} strata are more than are remembered",
            fix=f"Ask for {OBSERVATIONS_MAX:,} --samples at most",
        )
    box = _read("--bbox", parse_bbox, wanted.bbox, GLOBE)
    asked = _read("--time", parse_interval, wanted.time, None)
    identifier = settings.datasets[wanted.alias].identifier
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slackwater-") as folder:
        places = Places(archive=wanted.archive, fragments_url=folder, staging_url=folder)
        dataset = Datasets(settings, places)[identifier]
        extent = _extent(dataset, box, asked)
        file = out or place_of(dataset.archive, dataset.application.name, identifier)
        with suppress(OSError):  # What cannot be made is told as missing.
            file.parent.mkdir(parents=True, exist_ok=True)
        refuse_unwritable(file)
        with _progress(messages()) as planned:
            found = sample(
                dataset,
                extent,
                wanted.samples,
                folder=Path(folder),
                seed=wanted.seed,
                planned=planned,
            )
    took_s = time.monotonic() - began
    keep(found.calibration, file)
    if as_json:
        print_json({**result_of(found, extent, wanted), "file": str(file)})
        return Exit.OK
    for line in told(found, took_s):
        results().print(line, highlight=False)
    results().print(f"\nKept in {escape(str(file))}", highlight=False, soft_wrap=True)
    return Exit.OK


def _read(
    option: str, parse: Callable[[str], Value], text: str | None, default: Default
) -> Value | Default:
    try:
        return default if text is None else parse(text)
    except (ValueError, InvalidExtent) as fault:
        raise CalibrationError(f"{option}: {fault}") from fault


def _extent(dataset: Dataset, box: Box, asked: Period | None) -> Extent:
    """Return what is sampled; an end that is open is now.

    Raises
    ------
    CalibrationError
        The dataset has an index, or nobody says when its data begin.
    """
    declared = dataset.application.period() or ALWAYS
    period = asked or declared
    start = declared.start_at if period.start_at is None else period.start_at
    end = declared.end_at if period.end_at is None else period.end_at
    view = dataset.application.view(box, period, (), ())
    if dataset.application.density(view, BASE) is not None:
        raise CalibrationError(
            f"dataset {dataset.alias} has an index, which tells where its load lies",
            fix="There is nothing to sample: a run cuts by the index, and learns what files cost",
        )
    if start is None:
        raise CalibrationError(
            f"nobody says when the data of dataset {dataset.alias} begin",
            fix=f"Give --time start/end, or write datasets.{dataset.alias}.command.period",
        )
    end = time.time() if end is None else end
    if start >= end:
        raise CalibrationError(
            f"dataset {dataset.alias} holds nothing of --time", fix="Give a period of its data"
        )
    return replace(view.extent, period=Period(start_at=start, end_at=end))


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Show a bar on a terminal while parts are read; it is gone afterwards."""
    bar = Progress(
        TextColumn("reading"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("parts"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("reading", total=0)
    total = 0

    def planned(parts: int) -> Callable[[int], None]:
        nonlocal total
        total += parts
        bar.update(task, total=total)
        return lambda more: bar.advance(task, more)

    with bar:
        yield planned


def told(found: Sampling, took_s: float) -> list[str]:
    """Return in words what was found."""
    strata, judged = len(found.probes), found.calibration.accuracy
    lines = [
        f"{found.readings:,} parts read in {span(took_s)}, the last of them "
        f"{100 * found.share:.2g} % of each of {strata:,} strata of time and place.",
        f"A part takes {1e3 * found.base_s:,.0f} ms whatever it holds; all that they hold takes "
        f"{span(found.work_s)} of one worker, {100 * found.heaviest_tenth:.0f} % of it in a tenth "
        "of the strata.",
        f"Of {judged.requests} other parts the median error is {100 * judged.median_error:.0f} %, "
        f"and {100 * judged.coverage_90:.0f} % took no longer than the 90 % quantile; error common "
        f"to all {100 * found.calibration.common_error:.0f} %.",
    ]
    if found.trust < TRUST_MIN:
        lines.append(
            "Strata hardly differ more than empty parts do, so they are held to be nearly alike. If"
            " this machine had other work, calibrate again when it is idle."
        )
    if found.work_s < strata * found.base_s / 10:
        lines.append(
            "What a part holds hardly matters beside what every part costs: few parts are best, and"
            " the first deliveries will have few."
        )
    return lines


def result_of(found: Sampling, extent: Extent, wanted: Wanted) -> Mapping[str, Any]:
    """Return all that was found, fit for JSON."""
    return {
        "order": {
            "dataset": wanted.alias,
            **_place(extent),
            "samples": wanted.samples,
            "seed": wanted.seed,
        },
        "calibration": msgspec.to_builtins(found.calibration),
        "readings": found.readings,
        "trust": found.trust,
        "share": found.share,
        "work_s": found.work_s,
        "heaviest_tenth": found.heaviest_tenth,
        "probes": [
            {"of": [_place(each.extent) for each in pair], "run_s": run_s}
            for *pair, run_s in found.probes
        ],
        "checks": [
            {**_place(each.extent), "run_s": each.run_s, "predicted_s": each.predicted_s}
            for each in found.checks
        ],
    }


def _place(extent: Extent) -> dict[str, Any]:
    box, period = extent.box, extent.period
    assert period.start_at is not None
    assert period.end_at is not None
    return {
        "bbox": [box.west, box.south, box.east, box.north],
        "datetime": f"{iso_instant(period.start_at)}/{iso_instant(period.end_at)}",
    }
