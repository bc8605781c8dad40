"""`slackwater plan`: what a load will take and which deadlines will slip, before anything runs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.markup import escape

from controller.build import BUILD
from controller.calibration.record import Belief
from controller.cli import Exit
from controller.cli.asking import warn_of
from controller.cli.display import fitting, messages, print_json, results, short_span, slack, span
from controller.cli.pages import command_line, refuse_unwritable, write
from controller.cli.planned import Plan, as_data, costs, foremost, saving_line, sparks, verdict
from controller.cli.rehearsing import staged
from controller.cli.run import arriving, chosen, tell
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.cutting import CuttingProcess
from controller.destinations import without_user
from controller.job import Job, beliefs, histories_of, open_job
from controller.nodes.opening import offers
from controller.ownership import check_names
from controller.wiring import destinations_of, working_folders
from partitioners.catalogue import BUILT_IN, Partitioners
from planner.events import AnyEvent, OffersChanged
from planner.model import Subscription
from planner.report import CAUTIOUS, MEDIAN, Report, State, TaskReport, report_of
from planner.savings import one_worker_is_enough, savings_of
from sim.stage import Stage

ROWS_TOLD_MAX = 40
"""Tasks shown on a terminal; those that are late or at risk come first where there are more."""

SPARK_WIDTH_MAX = 60
"""Characters of a line of workers over time."""

_USER = re.compile(r"(?<=://)[^/\s@]*@")

COLOURS = {
    State.ON_TIME: "green",
    State.AT_RISK: "yellow",
    State.LATE: "red",
    State.BEST_EFFORT: "default",
    State.NOTHING: "default",
}


def show_plan(  # noqa: PLR0913 - one for each option of the command
    *,
    archive: str | None,
    subscriptions: Path,
    since: Path | None,
    policy: str | None,
    config: Path | None,
    calibration: Path | None,
    out: Path,
    html: Path | None,
    as_json: bool,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    refuse_unwritable(html)
    settings = chosen(read_settings(config), policy)
    destinations = destinations_of(settings.delivery, str(out))
    with working_folders() as folders, CuttingProcess() as cutting:
        job = open_job(settings, archive, destinations, folders, since)
        wishes = read_subscriptions(
            subscriptions,
            datasets=job.datasets,
            destinations=destinations,
            now=time.time(),
        )
        job.datasets.refuse_unused_index()
        warn_of(wishes.warnings)
        believed = beliefs(job, calibration)
        tell(believed.values())
        with messages().status("rehearsing"):
            made = made_plan(
                settings,
                *staged(
                    settings.planner,
                    job.applications,
                    load(job, wishes.subscriptions, believed, first=since is None),
                    partitioners=Partitioners(),
                    run=cutting,
                    histories=histories_of(job, believed),
                ),
            )
        warn_of(fault for dataset in job.datasets.values() for fault in dataset.source.faults())
        facts = _facts(job, since)
    if html is not None:
        from controller.cli.plan_page import page_of  # noqa: PLC0415 - matplotlib takes seconds

        write(html, page_of(made, _inputs(subscriptions, config, settings, facts)))
    show(made, as_json)
    return exit_code(made.report)


def load(
    job: Job, wishes: Sequence[Subscription], believed: Mapping[str, Belief], *, first: bool
) -> list[AnyEvent]:
    """Return all that comes from outside: nodes on offer, and first deliveries or an update."""
    events = arriving(job, wishes, believed, first=first)
    return [OffersChanged(at=events[0].at, offers=offers(job.settings)), *events]


def made_plan(settings: Settings, stage: Stage, notes: Sequence[str]) -> Plan:
    """Rehearse a load in both cases, and look for what would save what is in trouble."""
    report = report_of(
        stage.course(quantile=MEDIAN),
        stage.course(quantile=CAUTIOUS),
        believed=stage.believed,
        power_w={name: each.power_w for name, each in settings.nodes.items()},
        notes=notes,
    )
    return Plan(
        report=report,
        savings=savings_of(
            report, stage.course, believed=stage.believed, partitioners=tuple(BUILT_IN)
        ),
        one_worker=one_worker_is_enough(report, stage.course, stage.believed),
    )


def exit_code(report: Report) -> Exit:
    """Return what a script should make of it: late and at risk are both worth a look."""
    return Exit.LATE if report.troubled else Exit.OK


def show(made: Plan, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        print_json(as_data(made))
        return
    report, console = made.report, results()
    if not report.tasks:
        console.print("Nothing to deliver.")
        return
    shown = foremost(report.tasks, ROWS_TOLD_MAX)
    console.print(fitting("Tasks, as they would run", _COLUMNS, shown, console.width))
    if len(shown) < len(report.tasks):
        left = len(report.tasks) - len(shown)
        console.print(f"... and {left:,} more; --json and --html hold them all.")
    for line in (*_fleet_lines(report, console.width), *_verdict(made)):
        console.print(line, highlight=False, soft_wrap=True)


_COLUMNS = (
    ("=Subscription", 0, lambda t: t.subscription_id),
    (">Imp", 4, lambda t: f"{t.importance:.4g}"),
    (">Parts", 3, lambda t: f"{t.parts:,}"),
    (">Run time", 1, lambda t: short_span(t.work_s)),
    (">90 %", 2, lambda t: short_span(t.work_90_s)),
    (">Workers", 2, lambda t: "none" if t.workers is None else f"{t.workers:,}"),
    (">Finish", 0, lambda t: span(t.finish_s)),
    (">Deadline", 1, lambda t: span(t.deadline_s)),
    (">Slack", 0, lambda t: slack(t.slack_s)),
    ("=State", 0, lambda t: f"[{COLOURS[t.state]}]{t.state}[/]{_chance(t)}"),
)
"""Columns of the table, how readily each is dropped where there is no room, and its cells."""


def _chance(task: TaskReport) -> str:
    return f" P(late) {task.late_chance:.2f}" if task.state is State.AT_RISK else ""


def _fleet_lines(report: Report, width: int) -> list[str]:
    most = max(report.median.workers, report.cautious.workers)
    cells = max(10, min(SPARK_WIDTH_MAX, width - 40))
    lines = [""]
    for name, usage in (("median", report.median), ("90 %", report.cautious)):
        line = sparks(usage.moments, usage.span_s, most, cells)
        peak = f"peak {usage.workers} of {report.workers_max}"
        lines.append(f"Workers, {name:>6}  0 [cyan]{line}[/] {span(usage.span_s)}  {peak}")
    return [*lines, costs(report)]


def _verdict(made: Plan) -> list[str]:
    report = made.report
    colour = "red" if report.counted(State.LATE) else "yellow" if report.troubled else "green"
    lines = ["", f"[{colour}]{escape(verdict(made))}[/]"]
    lines += [made.one_worker] if made.one_worker else []
    troubled = {task.product_id: task for task in report.troubled}
    for saving in made.savings.tasks[:ROWS_TOLD_MAX]:
        task = troubled[saving.product_id]
        told = saving_line(saving, task, made.savings.nodes_sought_max)
        lines.append(f"  [bold]{saving.subscription_id}[/]: {escape(told)}")
    return [*lines, *(f"Note: {note}." for note in made.notes)]


def _facts(job: Job, since: Path | None) -> dict[str, object]:
    datasets = {
        dataset.alias: {
            "identifier": dataset.identifier,
            "application": dataset.application.name,
            "url": without_user(dataset.archive),
            "read_latency_s": dataset.read_latency_s,
        }
        for dataset in job.datasets.values()
    }
    return {"datasets": datasets, "since": None if since is None else str(since)}


def _inputs(
    subscriptions: Path, config: Path | None, settings: Settings, facts: dict[str, object]
) -> dict[str, object]:
    return {
        "command": command_line(),
        "build": BUILD,
        "archive": facts,
        "subscriptions": _text(subscriptions),
        "config": None if config is None else _text(config),
        "settings": _without_users(asdict(settings)),
    }


def _text(path: Path) -> str:
    return str(_without_users(path.read_text("utf-8", "replace")))


def _without_users(said: Any) -> Any:
    """Return what was written without the users and passwords of URLs."""
    match said:
        case str():
            return _USER.sub("", said)
        case dict():
            return {key: _without_users(value) for key, value in said.items()}
        case list() | tuple():
            return [_without_users(value) for value in said]
        case SecretStr():
            return "set"
    return said
