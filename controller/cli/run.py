"""`slackwater run`: deliver every subscription of a file once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.markup import escape

from controller.calibration.record import Belief
from controller.cli import Exit
from controller.cli.asking import warn_of
from controller.cli.display import messages, print_json, results, size, slack, span, table
from controller.cli.progress import LiveView
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.delivery import fault_of_folder
from controller.errors import FileFault
from controller.job import Job, beliefs, histories_of, open_job, opening, run
from controller.ownership import check_names
from controller.product_files import beside
from controller.wiring import destinations_of, working_folders
from partitioners.catalogue import Partitioners
from planner.errors import UnknownPlugin
from planner.events import AnyEvent
from planner.model import NoticeKind, Subscription
from planner.results import Results, TaskResult
from planner.scaling.catalogue import Policies

OUTCOMES = {
    NoticeKind.DELIVERED: "[green]on time[/]",
    NoticeKind.LATE: "[red]late[/]",
    NoticeKind.EXPIRED: "[red]expired[/]",
    NoticeKind.FAILED: "[red]failed[/]",
    None: "nothing new",
}


def run_job(  # noqa: PLR0913 - one for each option of the command
    *,
    archive: str | None,
    subscriptions: Path,
    since: Path | None,
    policy: str | None,
    journal: Path | None,
    config: Path | None,
    calibration: Path | None,
    out: Path,
    as_json: bool,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    settings = chosen(read_settings(config), policy)
    destinations = destinations_of(settings.delivery, str(out))
    with working_folders() as folders:
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
        _refuse_unwritable(subscriptions, wishes.subscriptions)
        events = arriving(job, wishes.subscriptions, believed, first=since is None)
        with LiveView(messages()) as view:
            known = histories_of(job, believed)
            outcome = run(job, events, journal=journal, watch=view.see, histories=known)
        warn_of(fault for dataset in job.datasets.values() for fault in dataset.source.faults())
    show(outcome, as_json)
    return exit_code(outcome)


def chosen(settings: Settings, policy: str | None) -> Settings:
    """Return a job's settings, under the policy that was asked for; unknown names are refused."""
    scaling = settings.planner.scaling
    # A job knows all that will arrive: to wait for more would only delay it.
    scaling = replace(scaling, policy=policy or scaling.policy, put_off_launches=False)
    _must_be_known("--policy" if policy else "planner.scaling.policy", Policies(), scaling.policy)
    partitioner = settings.planner.cutting.partitioner
    _must_be_known("planner.cutting.partitioner", Partitioners(), partitioner)
    return replace(settings, planner=replace(settings.planner, scaling=scaling))


def _must_be_known(place: str, plugins: Mapping[str, object], name: str) -> None:
    try:
        _ = plugins[name]
    except UnknownPlugin as error:
        raise UnknownPlugin(f"{place}: {error.what}", fix=error.fix) from None


def show(outcome: Results, as_json: bool) -> None:
    """Print what became of each task."""
    tasks = sorted(outcome.tasks.values(), key=lambda task: task.product_id)
    held_s = outcome.fleet.node_seconds(outcome.ended_at)
    if as_json:
        print_json(
            {
                "tasks": [{**asdict(task), "missed": task.missed} for task in tasks],
                "node_seconds": held_s,
                "peak_nodes": outcome.fleet.peak(),
            }
        )
        return
    if not tasks:
        results().print("Nothing to deliver.")
        return
    results().print(
        table(
            "Products",
            ("=Product", ">Rows", ">Size", "Outcome", ">Deadline", ">Slack"),
            [_row(task) for task in tasks],
        )
    )
    for task in tasks:
        results().print(_whereabouts(task), highlight=False, soft_wrap=True)
    results().print(
        f"Nodes were held for {span(held_s)} in all, at most {outcome.fleet.peak()} at a time."
    )


def exit_code(outcome: Results) -> Exit:
    """Return what a script should make of it: a failure outweighs a missed deadline."""
    ends = [task.outcome for task in outcome.tasks.values()]
    if NoticeKind.FAILED in ends:
        return Exit.FAILED
    return Exit.LATE if any(task.missed for task in outcome.tasks.values()) else Exit.OK


def product_path(task: TaskResult) -> str:
    """Return where a product was delivered to, empty when it was not."""
    if not task.manifest_url:
        return ""
    return beside(task.manifest_url, task.file).removeprefix("file://")


def _row(task: TaskResult) -> tuple[str, ...]:
    return (
        task.product_id,
        f"{task.rows:,}",
        size(task.size_bytes),
        OUTCOMES[task.outcome],
        span(task.deadline_s),
        slack(task.slack_s),
    )


def _whereabouts(task: TaskResult) -> str:
    """Return where a product lies, or why there is none; one without rows is worth a word."""
    if not task.manifest_url:
        return f"{task.product_id}: {escape(task.text) or 'nothing new for it'}"
    nothing = "" if task.rows else "  [yellow](nothing matched: 0 rows)[/]"
    return f"{escape(product_path(task))}{nothing}"


def tell(believed: Iterable[Belief]) -> None:
    """Say where predictions come from, or why not from where they were expected."""
    for belief in believed:
        if belief.warning:
            warn_of([belief.warning])
        if belief.source:
            messages().print(escape(belief.source), highlight=False, soft_wrap=True)


def _refuse_unwritable(path: Path, wishes: Sequence[Subscription]) -> None:
    """Refuse destinations that take nothing before any work is done for them."""
    faults = [
        f"subscription {wish.id}: {fault}"
        for wish in wishes
        if (fault := fault_of_folder(wish.destination))
    ]
    if faults:
        raise FileFault(str(path), faults)


def arriving(
    job: Job, wishes: Sequence[Subscription], believed: Mapping[str, Belief], *, first: bool
) -> list[AnyEvent]:
    """Return all that a job is told at its beginning: first deliveries, or what is news since."""
    if first:
        return opening(job, wishes, believed)
    return [*opening(job, _standing(wishes), believed), *_news(job)]


def _standing(wishes: Sequence[Subscription]) -> tuple[Subscription, ...]:
    """Return the same subscriptions as they stood before the news: first deliveries are over."""
    return tuple(replace(wish, backfill=False) for wish in wishes)


def _news(job: Job) -> list[AnyEvent]:
    """Return what changed since the index that a job began from, and tell how much that is."""
    updates = [update for each in job.datasets.values() if (update := each.source.look())]
    if not updates:
        messages().print("Nothing changed since that index.")
    for update in updates:
        if update.observations is not None:
            count = len(update.observations)
            messages().print(f"{count} new or changed profiles since that index.", highlight=False)
    return list(updates)
