"""`slackwater demo`: the whole story on one machine, measured, beside what was forecast."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import profile_indexes
from controller.apps.argo.orders import ArchiveAddress
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, slack, span, table
from controller.cli.progress import LiveView
from controller.cli.rehearsing import staged
from controller.cli.run import chosen, exit_code, product_path
from controller.config.settings import ArchiveSettings, NodeTypeSettings, Settings
from controller.config.subscriptions import read_subscriptions
from controller.demo.load import PROFILES, GivenLoad, Load, OwnLoad
from controller.destinations import Destinations
from controller.job import Job, beliefs, open_job, opening, run
from controller.nodes.opening import offers
from controller.ownership import check_names
from controller.wiring import working_folders
from planner.durations import DEFAULT_COSTS
from planner.errors import SlackwaterError
from planner.events import AnyEvent, OffersChanged
from planner.model import Subscription, UpdateSpan
from planner.results import Results

WORK_S = 95.0
"""All the demo's work on one worker [s]: the declared latency is chosen to make it so."""

WAVE_AFTER_S = 8.0
"""The reprocessing wave arrives this long [s] after the start, in the middle of the work."""

LATENCY_S_MAX = 0.5
"""Largest latency that is declared for an archive [s a file]."""

NODES = NodeTypeSettings(
    slots=2, slots_max=2, boot_s=1.5, price_per_h=0.10, nodes_max=6, shared_reads_mb=0
)
"""The demo's nodes: two workers each, a boot that can be felt, a price that can be compared. They
do not share reads: the work must be what the forecast holds it to be."""

WIDE = 130
"""From this many columns on, a terminal has room for the products' whole paths."""

MARKER = ".slackwater-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to serve the load."""

    settings: Settings
    wishes: Path
    products: Path
    journal: Path
    read_latency_s: float = 0.0

    @property
    def policy(self) -> str:
        """Name of the scaling policy."""
        return self.settings.planner.scaling.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was forecast for a way, and what was measured."""

    policy: str
    forecast: Results
    measured: Results


def run_demo(*, archive: str | None, out: Path, policy: str, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    ways = [_way(name, out) for name in dict.fromkeys((policy, "none"))]
    if archive is not None:
        profile_indexes(
            open_archive(ArchiveAddress(url=archive))
        )  # Refuse it before making a place.
    make_place(out)
    load = _load(archive, out)
    shutil.copy(str(files("controller.demo") / "subscriptions.yaml"), ways[0].wishes)
    latency_s = _latency(load, ways[0])
    ways = [replace(way, read_latency_s=latency_s) for way in ways]
    messages().print(_introduction(latency_s), highlight=False)
    trials = [_try(way, load) for way in ways]
    _show(trials, out, as_json)
    return exit_code(trials[0].measured)


def _introduction(latency_s: float) -> str:
    return (
        f"The archive is declared far away, {latency_s * 1000:.0f} ms a file, which makes"
        f" {WORK_S:.0f} s of work for one worker.\nA node has {NODES.slots} workers."
    )


def _way(policy: str, out: Path) -> Way:
    settings = replace(Settings(), nodes={"local": NODES})
    scaling = replace(settings.planner.scaling, nodes_max=NODES.nodes_max)
    settings = replace(settings, planner=replace(settings.planner, scaling=scaling))
    return Way(
        settings=chosen(settings, policy),
        wishes=out / "subscriptions.yaml",
        products=out / "products" / policy,
        journal=out / f"{policy}.jsonl",
    )


def _try(way: Way, load: Load) -> Trial:
    forecast = _forecast(way, load)
    messages().print(
        f"\n[bold]policy {way.policy}[/]. Forecast: {_brief(forecast)}. Now for real:",
        highlight=False,
        soft_wrap=True,
    )
    return Trial(policy=way.policy, forecast=forecast, measured=_measure(way, load))


def make_place(out: Path) -> None:
    """Make the demo's folder anew; a folder that no demo made is left alone.

    Raises
    ------
    SlackwaterError
        The folder is somebody else's.
    """
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise SlackwaterError(
            f"{out} is not empty and was not made by a demo", fix="Name another folder with --out"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARKER).touch()


def _load(archive: str | None, out: Path) -> Load:
    if archive is not None:
        return GivenLoad(archive, out)
    with messages().status(f"making an Argo-like archive of {PROFILES:,} profiles"):
        return OwnLoad(out / "archive")


@contextmanager
def _opened(way: Way, load: Load) -> Iterator[tuple[Job, tuple[Subscription, ...], str]]:
    """Prepare everything for serving the load once, in folders that go afterwards."""
    with working_folders() as folders:
        url, since = load.prepare(folders.parent)
        settings = replace(way.settings, archive=ArchiveSettings(read_latency_s=way.read_latency_s))
        destinations = Destinations(roots=(str(way.products),))
        job = open_job(settings, url, destinations, folders, since)
        wishes = read_subscriptions(
            way.wishes,
            datasets=job.datasets,
            destinations=destinations,
            now=time.time(),
        )
        yield job, wishes.subscriptions, url


def _forecast(way: Way, load: Load) -> Results:
    """Rehearse a load in virtual time: the same planner, predicted durations."""
    with _opened(way, load) as (job, wishes, url):
        load.change(url)
        (argo,) = job.datasets.values()
        update = argo.source.look()
        believed = beliefs(job)
        began = opening(job, wishes, believed)
        arriving = [replace(update, at=began[0].at + WAVE_AFTER_S)] if update else []
        offered = OffersChanged(at=began[0].at, offers=offers(way.settings))
        stage, _ = staged(way.settings.planner, job.applications, [offered, *began, *arriving])
        return stage.rehearse()


def _measure(way: Way, load: Load) -> Results:
    """Serve a load for real."""
    with _opened(way, load) as (job, wishes, url), ThreadPoolExecutor(1) as later:
        stop = threading.Event()

        def reprocessed() -> list[AnyEvent]:
            stop.wait(WAVE_AFTER_S)
            load.change(url)
            (argo,) = job.datasets.values()
            update = argo.source.look()
            return [update] if update else []

        arriving = later.submit(reprocessed)
        try:
            with LiveView(messages()) as view:
                return run(
                    job,
                    opening(job, wishes),
                    waves=(lambda: arriving.result() if arriving.done() else None,),
                    journal=way.journal,
                    watch=view.see,
                )
        finally:
            stop.set()


def _latency(load: Load, way: Way) -> float:
    """Return the latency [s a file] that makes first deliveries and wave `WORK_S` of work."""
    with _opened(way, load) as (job, wishes, url):
        load.change(url)
        (argo,) = job.datasets.values()
        argo.source.look()
        spans = UpdateSpan(after=None, upto=0), UpdateSpan(after=0, upto=1)
        files = sum(
            density.files.sum()
            for wish in wishes
            for span in spans
            if (density := argo.application.density(wish.views[0], span)) is not None
        )
    bare_s = DEFAULT_COSTS.file_s
    return float(min(LATENCY_S_MAX, max(0.0, WORK_S / max(1.0, files) - bare_s)))


def _show(trials: list[Trial], out: Path, as_json: bool) -> None:
    if as_json:
        print_json([asdict(trial) for trial in trials])
        return
    first, wide = trials[0], results().width >= WIDE
    by_product = [
        {task.product_id: task for task in outcome.tasks.values()}
        for trial in trials
        for outcome in (trial.forecast, trial.measured)
    ]
    rows = [
        (
            product_path(task) if wide and task.manifest_url else task.file or product,
            span(task.deadline_s),
            *(slack(found[product].slack_s) if product in found else "-" for found in by_product),
        )
        for product, task in sorted(by_product[1].items())
    ]
    heads = [f">{t.policy}\n{what}" for t in trials for what in ("forecast", "measured")]
    title = "Slack: the time left before each deadline"
    results().print(table(title, ("=Product", ">Deadline", *heads), rows))
    for trial in trials:
        results().print(_summary(trial), highlight=False, soft_wrap=True)
    if words := _shortfall(first):
        messages().print(words, highlight=False, soft_wrap=True)
    journal = out / f"{first.policy}.jsonl"
    results().print(
        f"\nProducts are in {out / 'products' / first.policy}, a folder for each subscription.\n"
        f"  slackwater replay {journal}           tells each decision and why\n"
        f"  slackwater replay {journal} --exact   proves that it would decide so again",
        highlight=False,
        soft_wrap=True,
    )


def _summary(trial: Trial) -> str:
    return f"{trial.policy}: measured {_brief(trial.measured)}; forecast {_brief(trial.forecast)}"


def _shortfall(trial: Trial) -> str:
    """Say why less was met than forecast, and what follows; empty where it was not so."""
    (met, count), (forecast, _) = _met(trial.measured), _met(trial.forecast)
    if met >= forecast:
        return ""
    return (
        f"\n[yellow]{forecast - met} of {count} deadlines were met in the forecast and missed for"
        f" real:[/] other programs kept this machine's processors busy, or it is slower than the"
        " demo's deadlines, of some seconds, allow for. The exit code is 3, as after every missed"
        " deadline."
    )


def _met(outcome: Results) -> tuple[int, int]:
    """Return how many deadlines were met, and of how many."""
    due = [task for task in outcome.tasks.values() if task.deadline_s is not None]
    return sum(task.slack_s is not None and task.slack_s >= 0 for task in due), len(due)


def _brief(outcome: Results) -> str:
    met, count = _met(outcome)
    held_s = outcome.fleet.node_seconds(outcome.ended_at)
    cost = held_s / 3600.0 * NODES.price_per_h
    nodes = outcome.fleet.peak()
    held = f"{held_s:.0f} node-s, cost {cost:.4f}"
    return f"{met} of {count} deadlines met, up to {nodes} nodes, {held}"
