"""`slackwater serve`: the long-lived service."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from controller.api.keys import Keys
from controller.api.offering import entrance, in_clear, offered
from controller.api.server import listener, running_api
from controller.api.tls import Certificate, certificate_of
from controller.cli import Exit
from controller.cli.asking import warn_of
from controller.cli.display import messages
from controller.clock import now
from controller.compacting import compacting
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.datasets import Datasets
from controller.destinations import Destinations
from controller.interruption import Asked, Interrupted, deferred
from controller.leasing import Heart, beating, take
from controller.logs import log_as, log_step
from controller.notifying import notifying
from controller.ownership import check_names
from controller.recording import Recorder, Recovered
from controller.retaining import retaining
from controller.service import both
from controller.serving import (
    Standing,
    address_of,
    data_folders,
    following,
    open_datasets,
    open_store,
    recovered_from,
    serve,
    standing_service,
    wind_down,
)
from controller.snapshotting import Snapshots
from controller.store.store import Store
from controller.sweeping import sweeping
from controller.telemetry import Telemetry
from controller.wiring import destinations_of
from planner.events import SubscriptionAdded

_log = logging.getLogger(__name__)


def serve_until_stopped(
    *,
    archive: str | None,
    subscriptions: Path | None,
    data: Path | None,
    standby: bool,
    config: Path | None,
) -> Exit:
    """Run the command and return its exit code."""
    settings = _settings(config)
    folder = (data or Path(settings.service.data_dir)).absolute()
    folders = data_folders(folder)
    default = () if settings.delivery.roots else (str(folder / "products"),)
    destinations = destinations_of(settings.delivery, *default)
    with (
        deferred() as asked_to_stop,
        open_store(address_of(settings, folder), lambda: bool(asked_to_stop)) as store,
        _lease(store, standby, asked_to_stop) as heart,
        # Engine and nodes would outlive the refusal of a port that is taken.
        closing(listener(settings.service.host, settings.service.port)) as listening,
    ):
        certificate = certificate_of(settings.api)
        recorder, recovered = _recovered(store, settings, certificate)
        datasets = open_datasets(settings, folders, archive, recovered.planner)
        telemetry = Telemetry()
        with (
            notifying(settings.notify, store) as notification,
            standing_service(
                settings=settings,
                recorder=recorder,
                recovered=recovered,
                datasets=datasets,
                destinations=destinations,
                folders=folders,
                watch=both(both(notification.see, telemetry.see), log_step),
            ) as standing,
            _snapshots(settings, folder, recorder) as snapshots,
            sweeping(folders.fragments, folders.staging, store, far=settings.service.fragments_url),
        ):
            telemetry.read(standing.service.board)
            _tell_datasets(standing, datasets)
            if subscriptions:
                _subscribe(standing, subscriptions, datasets, destinations)
            with (
                following(settings, datasets, standing.inbox) as follower,
                retaining(store, destinations, settings.delivery.retention_days),
                compacting(store, standing.inbox, settings.delivery.full_every_days),
                running_api(
                    offered(
                        standing,
                        settings,
                        datasets,
                        destinations,
                        follower=follower,
                        telemetry=telemetry,
                        notification=notification,
                        snapshots=snapshots,
                    ),
                    listening,
                    settings.api.clients_max,
                    certificate=certificate,
                ) as url,
            ):
                _say(settings, f"Serving at {url}; the data folder is {folder}. Ctrl-C ends it.")
                serve(standing, heart, snapshots, lambda: bool(asked_to_stop))
            wind_down(standing, settings.service.drain_s_max)
            _say(settings, "Stopped. The next start goes on from here.")
            asked_to_stop.signal_number = None  # This end is the one that was asked for.
    return Exit.OK


def _settings(config: Path | None) -> Settings:
    """Return the settings, once it is clear that this program may run and how it logs."""
    check_names()
    settings = read_settings(config)
    log_as(settings.service.log_format, settings.service.log_level)
    return settings


def _say(settings: Settings, words: str) -> None:
    """Tell whoever started the service; as a line of the log where programs read that."""
    if settings.service.log_format == "json":
        _log.info("%s", words)
    else:
        messages().print(words, soft_wrap=True)


@contextmanager
def _lease(store: Store, standby: bool, asked_to_stop: Asked) -> Iterator[Heart]:
    """Hold the lease of the store inside the block.

    Raises
    ------
    Fenced
        Another service lives, and this one is not to stand by.
    Interrupted
        Somebody asked to stop while it waited.
    """
    if standby:
        messages().print("Standing by until no other service lives on this store.")
    if not take(store, waits=standby, given_up=lambda: bool(asked_to_stop)):
        raise Interrupted
    with beating(store) as heart:
        yield heart


def _recovered(
    store: Store, settings: Settings, certificate: Certificate | None
) -> tuple[Recorder, Recovered]:
    """Bring the planner back, and see that nothing speaks against offering the service."""
    warn_of(in_clear(settings, certificate))
    found = recovered_from(store, settings)
    now.not_before(store.last_at())
    entrance(settings, Keys(store.database))  # An engine would outlive its refusal.
    return found


@contextmanager
def _snapshots(settings: Settings, folder: Path, recorder: Recorder) -> Iterator[Snapshots]:
    """Have snapshots taken beside the loop, inside the block."""
    snapshots = Snapshots(
        address_of(settings, folder),
        recorder.store,
        folder / "journal",
        steps=settings.service.snapshot_steps,
        done=recorder.kept,
    )
    with closing(snapshots):
        yield snapshots


def _tell_datasets(standing: Standing, datasets: Datasets) -> None:
    """Make datasets known that the planner has not heard of."""
    registry = standing.service.planner.books.registry
    for identifier, dataset in datasets.items():
        if registry.newest(identifier) is None:
            standing.inbox.put(dataset.source.base())


def _subscribe(
    standing: Standing, path: Path, datasets: Datasets, destinations: Destinations
) -> None:
    """Make the subscriptions of a file, or their new versions where they changed."""
    wishes = read_subscriptions(path, datasets=datasets, destinations=destinations, now=now())
    warn_of(wishes.warnings)
    registry = standing.service.planner.books.registry
    for wish in wishes.subscriptions:
        row = registry.row(wish.id)
        if row is None:
            standing.inbox.put(SubscriptionAdded(at=now(), subscription=wish))
        elif replace(wish, version=row.subscription.version) != row.subscription:
            newer = replace(wish, version=row.subscription.version + 1)
            standing.inbox.put(SubscriptionAdded(at=now(), subscription=newer))
