"""`slackwater calibrate`: what reading an archive costs, and how it is best cut."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.apps.argo.application import ArgoApplication
from controller.calibration.advice import advised, best_of_each
from controller.calibration.record import keep, place_of
from controller.calibration.study import Order, Study, calibrate
from controller.calibration.table import Table
from controller.cli import Exit
from controller.cli.calibrate_result import result_of
from controller.cli.calibrated import (
    WHY_IT_DIFFERS,
    advice_lines,
    run_time_lines,
    snippet,
    table_row,
    warnings,
)
from controller.cli.display import messages, print_json, results, span, table
from controller.cli.pages import refuse_unwritable, write
from controller.cli.sampling import Wanted, run_sampling
from controller.config.checked import hint
from controller.config.settings import ARGO_DOI, DatasetSettings, Settings, read_settings
from controller.errors import CalibrationError
from controller.ownership import check_names

REFRESH_PER_S = 2.0
"""Of the progress bar: it must not take time from what is measured."""


def run_calibration(  # noqa: PLR0913 - one for each option of the command
    *,
    archive: str | None,
    dataset: str | None,
    bbox: str | None,
    time: str | None,
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
    argo = dataset is None or _known(dataset, settings).application == ArgoApplication.name
    if fault := _misused(archive, dataset, argo=argo, place=bbox or time, html=html):
        messages().print(f"[red]error:[/] {escape(fault)}", highlight=False, soft_wrap=True)
        return Exit.USAGE
    if not argo:
        assert dataset is not None
        return run_sampling(
            Wanted(
                alias=dataset, archive=archive, bbox=bbox, time=time, samples=samples, seed=seed
            ),
            settings,
            out=out,
            as_json=as_json,
        )
    order = Order(
        url=_archive_of(dataset, settings) or archive or "",
        dataset=settings.datasets[dataset].identifier if dataset else ARGO_DOI,
        workers=workers_of(settings),
        samples=samples,
        seed=seed,
    )
    return _calibrate_argo(order, settings, out=out, html=html, as_json=as_json)


def _known(alias: str, settings: Settings) -> DatasetSettings:
    if alias not in settings.datasets:
        raise CalibrationError(
            f"--dataset: the settings have no dataset {alias!r}",
            fix=hint(alias, tuple(settings.datasets)),
        )
    return settings.datasets[alias]


def _archive_of(alias: str | None, settings: Settings) -> str:
    return settings.datasets[alias].archive if alias else ""


def _misused(
    archive: str | None, dataset: str | None, *, argo: bool, place: str | None, html: Path | None
) -> str:
    """Return in words which options do not go together, empty where all is well."""
    if archive is None and dataset is None:
        return "give --archive, or --dataset with the settings that describe it"
    if argo and place:
        return "--bbox and --time are for a dataset without an index: Argo's requests are drawn"
    if not argo and html:
        return "--html is for Argo archives; --json has all that is known of a dataset"
    return ""


def _calibrate_argo(
    order: Order, settings: Settings, *, out: Path | None, html: Path | None, as_json: bool
) -> Exit:
    if not order.url:
        raise CalibrationError(
            "the settings name no archive for this dataset", fix="Give --archive too"
        )
    file = out or place_of(order.url, ArgoApplication.name, order.dataset)
    with suppress(OSError):  # What cannot be made is told as missing.
        file.parent.mkdir(parents=True, exist_ok=True)
    refuse_unwritable(file, html)
    began = monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="slackwater-") as folder,
        _progress(messages()) as started,
    ):
        study = calibrate(order, Path(folder), started)
    took_s = monotonic() - began
    keep(study.calibration, file)
    if html is not None:
        from controller.cli.calibrate_page import page_of  # noqa: PLC0415 - draws with matplotlib

        write(html, page_of(study, order, settings))
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
