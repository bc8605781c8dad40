"""`slackwater partition`: the cuts of one request by every strategy, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.request import request as told_request
from controller.calibration.record import calibrated
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, short_span, table
from controller.cli.pages import command_line, refuse_unwritable, write
from controller.cli.run import tell
from controller.config.bbox import parse_bbox
from controller.config.checked import hint
from controller.config.iso8601 import parse_interval
from controller.destinations import without_user
from controller.partition import Request, asked, cut_by, measured, opened, view_of, warm_up
from partitioners.catalogue import Partitioners
from partitioners.comparison import Times, Trial
from planner.errors import SlackwaterError
from planner.extent import ALWAYS, GLOBE, Extent
from planner.model import PartSpec, View

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands on the command line, as it was written."""

    archive: str
    bbox: str | None
    time: str | None
    parameters: str | None
    options: Sequence[str]
    parts: int
    workers: int
    strategies: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where results go."""

    as_json: bool
    html: Path | None
    svg: Path | None


def show_cuts(wish: Asked, *, run: bool, output: Output) -> Exit:
    """Run the command and return its exit code."""
    refuse_unwritable(output.html, output.svg)
    with tempfile.TemporaryDirectory(prefix="slackwater-") as folder:
        application = opened(wish.archive, Path(folder))
        reading = _Reading(wish, application)
        view, strategies = reading.view(), reading.strategies()
        if view is None or reading.faults:
            for fault in reading.faults:
                messages().print(f"[red]error:[/] {escape(fault)}", highlight=False)
            return Exit.USAGE
        believed = calibrated(ArchiveAddress(url=wish.archive), application.name)
        request = asked(application, view, wish.parts, believed.costs)
        tell([believed])
        trials = cut_by(request, strategies)
        _warn(trials)
        if run:
            trials = _measured(request, trials)
    result = _result(request, trials, wish)
    _draw(request, trials, wish, result, output)
    if output.as_json:
        print_json(result)
    else:
        _print(request, trials, wish.workers)
    return Exit.OK


class _Reading:
    """Reads a request off the command line, and notes all that is wrong with it."""

    def __init__(self, wish: Asked, application: ArgoApplication) -> None:
        self.faults: list[str] = []
        self._wish = wish
        self._application = application

    def view(self) -> View | None:
        wish = self._wish
        box = self._read("--bbox", parse_bbox, wish.bbox, GLOBE)
        period = self._read("--time", parse_interval, wish.time, ALWAYS)
        extent = Extent(box=box, period=period, parameters=self._parameters())
        options = self._options()
        try:
            return view_of(self._application, extent, {} if self.faults else options)
        except SlackwaterError as fault:
            if not any(str(fault) in told for told in self.faults):
                self.faults.append(str(fault))
            return None

    def strategies(self) -> list[str]:
        known = list(Partitioners())
        for name in self._wish.strategies:
            if name not in known:
                self.faults.append(f"--strategy: unknown {name!r}. {hint(name, known)}")
        return list(dict.fromkeys(self._wish.strategies)) or known

    def _parameters(self) -> tuple[str, ...]:
        names = (self._wish.parameters or "").replace(",", " ").split()
        known = self._application.parameters()
        for name in names:
            if name not in known:
                self.faults.append(f"--parameters: unknown {name!r}. {hint(name, known)}")
        return tuple(names)

    def _options(self) -> dict[str, str]:
        pairs = [option.partition("=") for option in self._wish.options]
        self.faults += [
            f"--options: {name!r} has no value. Write name=value"
            for name, sign, _ in pairs
            if not sign
        ]
        options = {name: value for name, sign, value in pairs if sign}
        try:
            self._application.check_options(tuple(sorted(options.items())))
        except SlackwaterError as fault:
            self.faults.append(f"--options: {fault}")
        return options

    def _read(
        self, option: str, parse: Callable[[str], Value], text: str | None, default: Value
    ) -> Value:
        try:
            return default if text is None else parse(text)
        except ValueError as fault:
            self.faults.append(f"{option}: {fault}")
            return default


def _warn(trials: Sequence[Trial]) -> None:
    for trial in trials:
        if trial.fallback:
            messages().print(
                f"[yellow]warning:[/] cut linearly: {escape(trial.fallback)}", highlight=False
            )


def _measured(request: Request, trials: Sequence[Trial]) -> list[Trial]:
    console = messages()
    progress = Progress(
        TextColumn("reading {task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("parts"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    warm_up(request, trials[0])
    found = []
    with progress:
        for trial in trials:
            bar = progress.add_task(trial.strategy, total=len(trial.parts))
            found.append(measured(request, trial, partial(progress.advance, bar)))
    return found


def _print(request: Request, trials: Sequence[Trial], workers: int) -> None:
    files = round(float(request.density.files.sum()))
    work_s = min(trial.predicted.total_s for trial in trials)
    results().print(
        f"{files:,} files, {short_span(work_s)} of predicted work, in {request.parts} parts"
        f" for {workers} workers",
        highlight=False,
    )
    has_run = any(trial.measured for trial in trials)
    columns = ["=Strategy", ">Parts", ">Predicted max/mean"]
    columns += [">over ideal", ">Measured max/mean"] if has_run else [">Longest part"]
    columns += [">Makespan", ">over ideal"]
    rows = [_row(trial, workers) for trial in _best_first(trials)]
    results().print(table("", columns, rows))
    if has_run:
        results().print("Measured: CPU time of reading each part here, one after the other.")


def _best_first(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: (trial.measured or trial.predicted).imbalance)


def _row(trial: Trial, workers: int) -> tuple[str, ...]:
    predicted, found = trial.predicted, trial.measured or trial.predicted
    name = f"{trial.strategy} (linear)" if trial.fallback else trial.strategy
    cells = [name, str(len(trial.parts)), f"{predicted.imbalance:.2f}"]
    if trial.measured:
        cells += [_over_ideal(predicted, workers), f"{found.imbalance:.2f}"]
    else:
        cells += [short_span(max(predicted.parts_s))]
    return (*cells, short_span(found.makespan_s(workers)), _over_ideal(found, workers))


def _over_ideal(times: Times, workers: int) -> str:
    ideal_s = times.ideal_s(workers)
    return f"{times.makespan_s(workers) / ideal_s - 1:+.0%}" if ideal_s else "-"


def _result(request: Request, trials: Sequence[Trial], wish: Asked) -> dict[str, Any]:
    """Return all numbers, fit for JSON."""
    return {
        "archive": without_user(wish.archive),
        "request": told_request(request.view),
        "files": round(float(request.density.files.sum())),
        "parts_wanted": request.parts,
        "workers": wish.workers,
        "costs": asdict(request.costs),
        "strategies": [_told(trial, request.view, wish.workers) for trial in trials],
    }


def _told(trial: Trial, view: View, workers: int) -> dict[str, Any]:
    return {
        "name": trial.strategy,
        "version": trial.version,
        "fallback": trial.fallback,
        "predicted": _told_times(trial.predicted, workers),
        "measured": trial.measured and _told_times(trial.measured, workers),
        "parts": [
            {
                **_told_part(part, view),
                "predicted_s": trial.predicted.parts_s[number],
                "measured_s": trial.measured and trial.measured.parts_s[number],
                "elapsed_s": trial.elapsed_s[number] if trial.measured else None,
            }
            for number, part in enumerate(trial.parts)
        ],
    }


def _told_times(times: Times, workers: int) -> dict[str, float]:
    return {
        "total_s": times.total_s,
        "max_to_mean": times.imbalance,
        "makespan_s": times.makespan_s(workers),
        "ideal_s": times.ideal_s(workers),
    }


def _told_part(part: PartSpec, view: View) -> dict[str, Any]:
    told = told_request(View(dataset="", application="", extent=part.extent))
    return {"bbox": told["bbox"], "datetime": told["datetime"], "files": part.features.files}


def _draw(
    request: Request, trials: Sequence[Trial], wish: Asked, result: dict[str, Any], output: Output
) -> None:
    if output.html is None and output.svg is None:
        return
    from sim.cuts import Load, cuts_page, cuts_svg  # noqa: PLC0415 - matplotlib takes seconds

    extent = request.view.extent
    cost_s = request.density.cost_s(request.costs, extent)
    load = Load(density=request.density, cost_s=cost_s, extent=extent)
    if output.svg:
        write(output.svg, cuts_svg(load, trials))
    if output.html:
        write(output.html, cuts_page(load, trials, wish.workers, command_line(), result))
