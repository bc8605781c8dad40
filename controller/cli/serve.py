"""`slackwater serve`: the long-lived service."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from controller.api.app import api
from controller.api.door import Door, Health
from controller.api.server import is_loopback, running_api
from controller.cli import Exit
from controller.cli.display import messages
from controller.cli.run import warn
from controller.config.settings import Settings, read_settings
from controller.config.subscriptions import read_subscriptions
from controller.datasets import Datasets, Places
from controller.destinations import Destinations
from controller.errors import ApiError
from controller.interruption import Asked, Interrupted, deferred
from controller.leasing import Heart, beating, take
from controller.ownership import check_names
from controller.service import Letter
from controller.serving import (
    Standing,
    address_of,
    data_folders,
    open_store,
    serve,
    standing_service,
    wind_down,
)
from controller.snapshotting import ARCHIVE, Snapshots
from controller.store.store import Store
from planner.events import SubscriptionAdded
from planner.model import Subscription


def serve_until_stopped(
    *,
    archive: str | None,
    subscriptions: Path | None,
    data: Path | None,
    standby: bool,
    config: Path | None,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = read_settings(config)
    folder = (data or Path(settings.service.data_dir)).absolute()
    folders = data_folders(folder)
    destinations = Destinations(
        roots=settings.delivery.roots or (str(folder / "products"),),
        schemes=settings.delivery.schemes,
    )
    datasets = Datasets(
        settings,
        Places(
            archive=archive,
            fragments_url=str(folders.fragments),
            staging_url=str(folders.staging),
        ),
    )
    for identifier in datasets.identifiers().values():
        datasets.application(identifier)
    with (
        deferred() as asked_to_stop,
        open_store(address_of(settings, folder)) as store,
        _lease(store, standby, asked_to_stop) as heart,
        standing_service(
            settings=settings,
            store=store,
            datasets=datasets,
            destinations=destinations,
            folders=folders,
        ) as standing,
    ):
        _tell_datasets(standing, datasets)
        if subscriptions:
            _subscribe(standing, subscriptions, datasets, destinations)
        recorder = standing.recorder
        snapshots = Snapshots(
            address_of(settings, folder),
            store,
            folder / ARCHIVE,
            steps=settings.service.snapshot_steps,
            done=recorder.kept,
        )
        with (
            closing(snapshots),
            _api(standing, settings, datasets, destinations) as url,
        ):
            messages().print(
                f"Serving at {url}; the data folder is {folder}. Ctrl-C ends it.", soft_wrap=True
            )
            serve(standing, heart, snapshots, lambda: bool(asked_to_stop))
        wind_down(standing, settings.service.drain_s_max)
        asked_to_stop.signal_number = None  # It was heard: this end is the one that was asked for.
    return Exit.OK


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


def _api(
    standing: Standing, settings: Settings, datasets: Datasets, destinations: Destinations
) -> AbstractContextManager[str]:
    """Offer the API; on this machine only, as long as nobody needs a key.

    Raises
    ------
    ApiError
        It would be open to everybody, or its address is taken.
    """
    host = settings.service.host
    if not is_loopback(host):
        raise ApiError(
            f"service.host is {host}, where everybody could ask, and no keys are configured",
            fix="Make a key (`slackwater keys add`), or listen on 127.0.0.1",
        )

    def health() -> Health:
        fault = standing.service.fault
        return Health(ready=fault is None, faults={"store": str(fault)} if fault else {})

    door = Door(
        inbox=standing.inbox,
        store=standing.recorder.store,
        datasets=datasets,
        destinations=destinations,
        health=health,
    )
    app = api(door, body_bytes_max=int(settings.api.body_mb_max * 1e6))
    return running_api(app, host, settings.service.port, settings.api.clients_max)


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
    wishes = read_subscriptions(path, datasets=datasets, destinations=destinations, now=time.time())
    warn(wishes.warnings)
    registry = standing.service.planner.books.registry
    for wish in wishes.subscriptions:
        row = registry.row(wish.id)
        if row is None:
            standing.inbox.post(_letter(wish))
        elif replace(wish, version=row.subscription.version) != row.subscription:
            standing.inbox.post(_letter(replace(wish, version=row.subscription.version + 1)))


def _letter(wish: Subscription) -> Letter:
    event = SubscriptionAdded(at=time.time(), subscription=wish)
    return Letter(event=event, message_id=f"subscription {wish.id} v{wish.version}")
