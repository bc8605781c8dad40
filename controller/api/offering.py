"""Offers the API of a service that is about to run, as the settings have it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from fastapi import FastAPI

from controller.api.announcing import announcing
from controller.api.app import api
from controller.api.door import Door
from controller.api.estimating import Estimator
from controller.api.keys import Keys
from controller.api.server import LOOPBACK_NAMES, is_loopback
from controller.api.tls import Certificate
from controller.api.who import Find
from controller.config.settings import Settings
from controller.datasets import Datasets
from controller.destinations import Destinations
from controller.errors import ApiError
from controller.notifying import Notification
from controller.serving import Standing
from controller.snapshotting import Snapshots
from controller.sources.following import Follower
from controller.telemetry import Telemetry
from planner.scaling.catalogue import Policies


def offered(
    standing: Standing,
    settings: Settings,
    datasets: Datasets,
    destinations: Destinations,
    *,
    follower: Follower,
    telemetry: Telemetry,
    notification: Notification,
    snapshots: Snapshots,
) -> FastAPI:
    """Return the API, to be served.

    Raises
    ------
    ApiError
        It would be open to everybody, or nobody could use it.
    """
    find, hosts = entrance(settings, Keys(standing.recorder.store.database))
    pushed = settings.sources.push_enabled
    door = Door(
        inbox=standing.inbox,
        store=standing.recorder.store,
        datasets=datasets,
        destinations=destinations,
        board=standing.service.board,
        settings=settings.planner,
        policies=Policies(),
        estimator=Estimator(datasets.application),
        at_risk=settings.api.at_risk,
        announce=announcing(datasets.identifiers(), follower.announce) if pushed else None,
        telemetry=telemetry,
        notification=notification,
        faults=_faults_of(follower, snapshots, standing.service.clock),
    )
    return api(
        door,
        find,
        hosts=hosts,
        body_bytes_max=int(settings.api.body_mb_max * 1e6),
        requests_max=settings.api.clients_max,
        page_max=settings.api.page_max,
    )


def entrance(settings: Settings, keys: Keys) -> tuple[Find, Collection[str] | None]:
    """Return what finds who asks, and the names that the service answers to; None is any.

    Raises
    ------
    ApiError
        The API would be open to everybody, or nobody could use it.
    """
    host = settings.service.host
    here = is_loopback(host)
    required = settings.api.keys_required or not here
    if required and not keys.exist():
        why = "api.keys_required is set" if here else f"everybody could ask at service.host {host}"
        raise ApiError(
            f"{why}, and there are no keys",
            fix="Make a key (`slackwater keys add`), or listen on 127.0.0.1 without keys_required",
        )
    return keys.entrance(required=required), {*LOOPBACK_NAMES, host} if here else None


def in_clear(settings: Settings, certificate: Certificate | None) -> tuple[str, ...]:
    """Return what to say of keys that travel where others may read along."""
    host = settings.service.host
    if certificate or is_loopback(host):
        return ()
    return (
        f"The API speaks HTTP at {host}: whoever reads along has the keys. Set"
        " api.certificate_file and api.key_file, unless a proxy that speaks TLS is all that"
        " reaches it.",
    )


def _faults_of(
    follower: Follower, snapshots: Snapshots, clock: Callable[[], float]
) -> Callable[[], Mapping[str, str]]:
    """Return what tells which sources are not well, and whether snapshots are taken."""

    def faults() -> Mapping[str, str]:
        now = clock()
        taken = {"snapshots": snapshots.fault} if snapshots.fault else {}
        return taken | {
            f"source {each.dataset}": each.words(now)
            for each in follower.health()
            if not each.is_well
        }

    return faults
