"""`slackwater trace`: make traces by playing, by converting, and from a real archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from controller.apps.storage import replacing
from controller.build import BUILD
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, size
from controller.cli.loads import archive_columns
from controller.cli.pages import refuse_unwritable
from controller.cli.scenarios import UnknownScenario, chosen_scenario
from controller.cli.trials import told, unknown
from controller.config.checked import hint
from controller.ownership import check_names
from planner.commands import AnyCommand
from planner.events import AnyEvent
from planner.journal import Header, Step, encode_header, encode_step
from planner.settings import PlannerSettings
from sim.experiment import policies
from sim.simulator import Trial, simulate
from sim.traces.archive import Wanted, generate
from sim.traces.deadlines import DeadlineRule
from sim.traces.faults import BrokenTrace
from sim.traces.native import packing
from sim.traces.opening import (
    ENDINGS,
    NATIVE,
    TABLE,
    kind_of,
    open_trace,
    outside,
    write_jobs,
    write_native,
)

Value = TypeVar("Value")

STEPS_SHOWN = 1000
"""The count on the terminal moves every so many steps: more often nobody could read it."""


def record_trace(name: str, trial: Trial, *, archive: str | None, out: Path, as_json: bool) -> Exit:
    """Run the command `record` and return its exit code."""
    check_names()
    try:
        chosen = chosen_scenario(name, archive)
    except UnknownScenario as fault:
        told([str(fault)])
        return Exit.USAGE
    asked = [(kind, getattr(trial, kind)) for kind in ("policy", "partitioner", "order")]
    if told([fault for kind, one in asked for fault in unknown(kind, f"--{kind}", [one])]):
        return Exit.USAGE
    if told(_unfit(out, (NATIVE,))):
        return Exit.USAGE
    header = Header(build=BUILD, settings=trial.settings(chosen.scenario))
    load = chosen.open_load(chosen.scenario, trial.seed)
    with _writing(out) as file, _counting("playing", "steps") as count:
        file.write(encode_header(header))

        def write(event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
            file.write(encode_step(event, commands))
            count.add()

        run = simulate(
            chosen.scenario,
            trial,
            load=load,
            policies=policies(),
            with_demands=False,
            watch=write,
        )
    outcome = run.outcome
    _tell(
        out,
        f"{count.count:,} steps, {outcome.tasks:,} tasks, {outcome.on_time:,} of"
        f" {outcome.due:,} deadlines met",
        {"steps": count.count, "tasks": outcome.tasks, "on_time": outcome.on_time},
        as_json=as_json,
    )
    return Exit.OK


def convert_trace(source: Path, target: Path, rule: DeadlineRule, *, as_json: bool) -> Exit:
    """Run the command `convert` and return its exit code."""
    if told([*_unfit(source, None), *_unfit(target, (NATIVE, TABLE))]):
        return Exit.USAGE
    trace = open_trace(source, rule)
    with _writing(target) as file, _counting("converting", "written") as count:
        if kind_of(target) == NATIVE:
            header = trace.header or _made(PlannerSettings())
            what = "steps"
            write_native(file, header, count.over(trace.steps()))
        else:
            what = "jobs"
            write_jobs(file, count.over(trace.jobs()))
    for line in trace.left_out.told():
        messages().print(
            f"[yellow]warning:[/] {escape(str(source))}: {escape(line)}",
            highlight=False,
            soft_wrap=True,
        )
    left_out = sum(trace.left_out.counts.values())
    data = {what: count.count, "left_out": left_out}
    _tell(target, f"{count.count:,} {what}", data, as_json=as_json)
    return Exit.OK


def generate_trace(archive: str, wanted: Wanted, *, out: Path, as_json: bool) -> Exit:
    """Run the command `generate` and return its exit code."""
    if told(_unfit(out, (NATIVE,))):
        return Exit.USAGE
    columns = archive_columns(archive)
    updates = profiles = 0
    with _writing(out) as file, _counting("generating", "steps") as count:

        def counted(steps: Iterable[Step]) -> Iterator[Step]:
            nonlocal updates, profiles
            for step in count.over(steps):
                seen = getattr(step.event, "observations", None)
                if seen is not None:
                    updates, profiles = updates + 1, profiles + len(seen)
                yield step

        write_native(file, _made(PlannerSettings()), counted(outside(generate(columns, wanted))))
    data = {
        "subscriptions": wanted.subscriptions,
        "updates": updates,
        "profiles": profiles,
    }
    text = f"{updates:,} updates of {profiles:,} profiles, {wanted.subscriptions:,} subscriptions"
    _tell(out, text, data, as_json=as_json)
    return Exit.OK


def _made(settings: PlannerSettings) -> Header:
    """Return the header of a trace that is no record."""
    return Header(build=BUILD, settings=settings, record=False)


def _unfit(path: Path, kinds: Sequence[str] | None) -> list[str]:
    """Return in words why a file cannot be a trace of these kinds; None is of any."""
    try:
        kind = kind_of(path)
    except BrokenTrace as error:
        ending = "".join(path.suffixes) or path.name
        return [f"{path}: {error.faults[0]}. {hint(ending, ENDINGS)}"]
    if kinds is not None and kind not in kinds:
        wanted = " or ".join(ending for ending in ENDINGS if ENDINGS[ending] in kinds)
        return [f"{path}: it cannot be written as {kind}; let its name end with {wanted}"]
    return []


@contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a trace to write: there whole or not at all, and packed where its name says so."""
    refuse_unwritable(path)
    with replacing(str(path)) as raw, packing(raw, path.name) as packed:
        yield packed


class _Count:
    """Counts what passes, and shows it on a terminal."""

    def __init__(self, progress: Progress, what: str) -> None:
        self.count = 0
        self._progress = progress
        self._bar = progress.add_task("", counted="0")
        self._what = what

    def add(self) -> None:
        """Count one more."""
        self.count += 1
        if self.count % STEPS_SHOWN == 0:
            self._progress.update(self._bar, counted=f"{self.count:,} {self._what}")

    def over(self, values: Iterable[Value]) -> Iterator[Value]:
        """Pass values on, and count them."""
        for value in values:
            self.add()
            yield value


@contextmanager
def _counting(doing: str, what: str) -> Iterator[_Count]:
    console = messages()
    progress = Progress(
        SpinnerColumn(),
        TextColumn(doing),
        TextColumn("{task.fields[counted]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        yield _Count(progress, what)


def _tell(path: Path, text: str, data: dict[str, int], *, as_json: bool) -> None:
    size_bytes = path.stat().st_size
    if as_json:
        print_json({"file": str(path), "size_bytes": size_bytes, **data})
    else:
        results().print(
            f"{escape(str(path))}: {text}, {size(size_bytes)}", highlight=False, soft_wrap=True
        )
