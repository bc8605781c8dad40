"""`slackwater calibrate`: what reading an archive costs, and how it is best cut."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.calibration.advice import Choice, advised, best_of_each
from controller.calibration.record import place_of, write, write_whole
from controller.calibration.statistics import Correlation
from controller.calibration.study import Order, Study, calibrate
from controller.calibration.table import CHAPTER, Row, Table
from controller.cli import Exit
from controller.cli.calibrate_result import result_of
from controller.cli.display import messages, print_json, results, span, table
from controller.config.settings import ARGO_DOI, Settings, read_settings
from controller.errors import CalibrationError
from controller.ownership import check_names

COLD, WAITING = 1.5, 1.5
"""From here on the first readings, or waiting, took so much longer that it is worth a word."""

REFRESH_PER_S = 2.0
"""Of the progress bar: it must not take time from what is measured."""

WHY_IT_DIFFERS = (
    "The chapter varied the time window and hardly the area: then the length of the window stands "
    "for the number of files, as in the windows of one area above. Where area and parameters vary "
    "too, as in real subscriptions, none of its four traits says much. The files that the index "
    "matches do, so run times are predicted from them.",
    "The end of a window matters as far as an archive grows, for later windows then hold more. "
    "The chapter's 412 parameters have no counterpart: a core file holds two or three, and most "
    "of what a file costs is to open it.",
)
"""What the chapter's Table 1 and this one have in common, and what not."""


def run_calibration(
    *,
    archive: str,
    samples: int,
    seed: int,
    config: Path | None,
    out: Path | None,
    html: Path | None,
    as_json: bool,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    settings = read_settings(config)
    order = Order(
        url=archive, dataset=ARGO_DOI, workers=workers_of(settings), samples=samples, seed=seed
    )
    file = out or place_of(archive, "argo", ARGO_DOI)
    for wanted in filter(None, (file, html)):
        _refuse_unwritable(wanted)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="slackwater-") as folder,
        _progress(messages()) as started,
    ):
        study = calibrate(order, Path(folder), started)
    took_s = time.monotonic() - began
    write(study.calibration, file)
    if html is not None:
        from controller.cli.calibrate_page import page_of  # noqa: PLC0415 - draws with matplotlib

        write_whole(html, page_of(study, order, settings).encode())
    if as_json:
        print_json({**result_of(study, order), "file": str(file)})
        return Exit.OK
    show(study, order, settings, took_s)
    results().print(f"\nKept in {escape(str(file))}", highlight=False, soft_wrap=True)
    if html is not None:
        results().print(f"Report in {escape(str(html))}", highlight=False, soft_wrap=True)
    return Exit.OK


def workers_of(settings: Settings) -> int:
    """Return how many workers may ever stand, as the planner counts them."""
    slots = max(each.slots_max for each in settings.nodes.values())
    return max(1, settings.planner.scaling.nodes_max) * slots


def _refuse_unwritable(file: Path) -> None:
    """Refuse a place that takes no file before any time is spent."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CalibrationError(
            f"{file} cannot be written: {error.strerror}", fix="Name another place"
        ) from error
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        what = "is a folder" if file.is_dir() else "cannot be written: its folder takes no files"
        raise CalibrationError(f"{file} {what}", fix="Name another place")


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Show a bar on a terminal while files are read; it is gone afterwards."""
    bar = Progress(
        TextColumn("reading"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} files"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        refresh_per_second=REFRESH_PER_S,
        disable=not console.is_terminal,
    )

    def started(files: int) -> Callable[[int], None]:
        task = bar.add_task("reading", total=files)
        return lambda more: bar.advance(task, more)

    with bar:
        yield started


def show(study: Study, order: Order, settings: Settings, took_s: float) -> None:
    """Print what was found."""
    console, kept = results(), study.calibration
    console.print(
        f"{len(study.samples)} requests, {kept.files:,} files, each read twice, in {span(took_s)}.",
        highlight=False,
    )
    for one in study.tables:
        console.print()
        console.print(_correlations(one))
    console.print()
    for line in run_time_lines(study):
        console.print(line, highlight=False)
    console.print()
    console.print(_choices(study, order))
    for line in advice_lines(study, order, settings):
        console.print(line, highlight=False)
    console.print(f"\n{snippet(advised(study.choices))}", highlight=False)
    for line in (*warnings(study), *WHY_IT_DIFFERS):
        console.print(f"\n{line}", highlight=False)


def _correlations(one: Table) -> object:
    columns = ("=Execution time with", ">=Chapter", ">=Pearson", ">=Spearman")
    return table(one.title, columns, [table_row(row) for row in one.rows])


def table_row(row: Row) -> tuple[str, str, str, str]:
    """Return one line of Table 1: the trait, what the chapter printed, what was found."""
    chapter = ""
    if row.trait in CHAPTER:
        printed = CHAPTER[row.trait]
        chapter = "not strong" if printed is None else f"{printed:.2f}"
    return row.trait, chapter, _interval(row.pearson), _interval(row.spearman)


def _interval(found: Correlation | None) -> str:
    if found is None:
        return "-"
    return f"{found.value:+.2f} ({found.low:+.2f}..{found.high:+.2f})"


def run_time_lines(study: Study) -> list[str]:
    """Return in words what reading costs and how well that predicts."""
    fit, costs = study.fit, study.fit.costs
    judged, sized = fit.accuracy, fit.accuracy_with_sizes
    return [
        f"A part takes {1e3 * costs.base_s:.2g} ms, {1e3 * costs.file_s:.2g} ms a file and "
        f"{1e3 * costs.value_s:.2g} ms for each parameter that a file holds.",
        f"Of requests that it was not fitted to, this explains {100 * judged.r2:.0f} % of the "
        f"variance; the median error is {100 * judged.median_error:.1f} %, and "
        f"{100 * judged.coverage_90:.0f} % took no longer than the 90 % quantile.",
        f"Scatter of single requests {100 * fit.errors.scatter:.0f} %, error common to all "
        f"{100 * fit.errors.common_error:.0f} %. An index that knew the files' sizes would make "
        f"the median error {100 * sized.median_error:.1f} %.",
    ]


def _choices(study: Study, order: Order) -> object:
    rows = [
        (
            choice.partitioner,
            str(choice.parts_per_worker),
            str(choice.parts),
            f"{choice.ratio:.2f}",
            f"{choice.balance:.2f}",
        )
        for choice in best_of_each(study.choices)
    ]
    columns = ("=Partitioner", ">Parts a worker", ">Parts", ">Time / ideal", ">Largest / mean")
    title = f"The whole archive, {span(study.archive_s)} of work, on {order.workers} workers"
    return table(title, columns, rows)


def advice_lines(study: Study, order: Order, settings: Settings) -> list[str]:
    """Return in words which cut to take, and why."""
    best = advised(study.choices)
    rivals = [
        choice
        for choice in study.choices
        if choice.parts_per_worker == best.parts_per_worker
        and choice.partitioner != best.partitioner
    ]
    others = " and ".join(f"{choice.partitioner} {choice.ratio:.2f}" for choice in rivals)
    lines = [
        f"Advice: {best.partitioner}, {best.parts_per_worker} parts a worker: {best.ratio:.2f} of "
        f"the ideal time, where as many parts cut otherwise take {others}."
    ]
    shortest_s = settings.planner.cutting.part_s_min
    allowed = int(study.archive_s / shortest_s) if shortest_s > 0 else best.parts
    if allowed < best.parts:
        lines.append(
            f"Parts shorter than planner.cutting.part_s_min ({shortest_s:g} s) are not cut, so all "
            f"of this archive is cut into {max(1, allowed)} at most: more workers than that stay "
            "idle, and the choice matters little."
        )
    return lines


def snippet(best: Choice) -> str:
    """Return the settings to paste."""
    return (
        "# slackwater.yaml\nplanner:\n  cutting:\n"
        f"    partitioner: {best.partitioner}\n    parts_per_worker: {best.parts_per_worker}"
    )


def warnings(study: Study) -> list[str]:
    """Return what makes these figures less sure than they look."""
    found = []
    if study.cold > COLD:
        found.append(
            f"First readings took {study.cold:.1f} times as long as later ones: predictions are "
            "for files that the system has read lately; the common error allows for others."
        )
    if study.waiting > WAITING:
        found.append(
            f"Reading took {study.waiting:.1f} times its processor time: the archive is far away, "
            "or this machine has other work. If it has, calibrate again when it is idle."
        )
    left_out, files = sum(sample.left_out for sample in study.samples), study.calibration.files
    if left_out > files / 100:
        found.append(f"{left_out:,} of {files:,} files could not be read and were left out.")
    return found
