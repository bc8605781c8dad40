"""`slackwater run`: deliver every subscription of a file once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from controller.apps.argo.orders import ArchiveAddress
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, size, slack, span, table
from controller.cli.progress import LiveView
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.destinations import Destinations
from controller.job import Job, argo_job, opening, run
from controller.ownership import check_names
from controller.wiring import working_folders
from partitioners.catalogue import Partitioners
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


def run_job(
    *,
    archive: str,
    subscriptions: Path,
    since: Path | None,
    policy: str | None,
    journal: Path | None,
    config: Path | None,
    out: Path,
    as_json: bool,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    settings = chosen(read_settings(config), policy)
    address = ArchiveAddress(url=archive, read_latency_s=settings.archive.read_latency_s)
    destinations = Destinations(
        roots=(str(out), *settings.delivery.roots), schemes=settings.delivery.schemes
    )
    with stopped_by_sigterm(), working_folders() as folders:
        job = argo_job(settings, address, destinations, folders, since)
        wishes = read_subscriptions(
            subscriptions,
            application=job.application,
            datasets=settings.datasets,
            destinations=destinations,
            now=time.time(),
        )
        for warning in wishes.warnings:
            messages().print(f"[yellow]warning:[/] {warning}", highlight=False)
        if since is None:
            events = opening(job, wishes.subscriptions)
        else:
            events = [*opening(job, _standing(wishes.subscriptions)), *_news(job)]
        with LiveView(messages()) as view:
            outcome = run(job, events, journal=journal, watch=view.see)
    show(outcome, as_json)
    return exit_code(outcome)


def chosen(settings: Settings, policy: str | None) -> Settings:
    """Return settings under the policy that was asked for; an unknown one is refused now."""
    scaling = settings.planner.scaling
    scaling = replace(scaling, policy=policy or scaling.policy)
    _ = Policies()[scaling.policy], Partitioners()[settings.planner.cutting.partitioner]
    return replace(settings, planner=replace(settings.planner, scaling=scaling))


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: everything started is ended, nothing is torn."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
    results().print(
        table(
            "Products",
            ("=Product", ">Rows", ">Size", "Outcome", ">Deadline", ">Slack", "Delivered to"),
            [_row(task) for task in tasks],
        )
    )
    results().print(f"{span(held_s)} of nodes, at most {outcome.fleet.peak()} at a time")


def exit_code(outcome: Results) -> Exit:
    """Return what a script should make of it: a failure outweighs a missed deadline."""
    ends = [task.outcome for task in outcome.tasks.values()]
    if NoticeKind.FAILED in ends:
        return Exit.FAILED
    return Exit.LATE if any(task.missed for task in outcome.tasks.values()) else Exit.OK


def _row(task: TaskResult) -> tuple[str, ...]:
    return (
        task.product_id,
        f"{task.rows:,}",
        size(task.size_bytes),
        OUTCOMES[task.outcome],
        span(task.deadline_s),
        slack(task.slack_s),
        product_path(task) or task.text,
    )


def _standing(wishes: Sequence[Subscription]) -> tuple[Subscription, ...]:
    """Return the same subscriptions as they stood before the news: first deliveries are over."""
    return tuple(replace(wish, backfill=False) for wish in wishes)


def product_path(task: TaskResult) -> str:
    """Return where a product was delivered to, empty when it was not."""
    stem = task.manifest_url.removesuffix(".manifest.json")
    return f"{stem}.nc".removeprefix("file://") if stem else ""


def _news(job: Job) -> list[AnyEvent]:
    update = job.source.look()
    if update is None:
        messages().print("Nothing changed since that index.")
        return []
    count = len(update.observations)
    messages().print(f"{count} new or changed profiles since that index.", highlight=False)
    return [update]
