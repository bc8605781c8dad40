"""The planner: events in, commands out. The same object runs live, in replay and in simulation.

It has no clock, does no input or output, and draws nothing at random: the same events give the
same commands, whoever plays the world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from planner import intake, progress
from planner.books import Books, Snapshot
from planner.commands import AnyCommand
from planner.durations import RunTimes
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    AttemptLost,
    CombineFailed,
    DeliveryFailed,
    FleetPlanned,
    FullProductRequested,
    NodeDrainRequested,
    NodeLost,
    NodeReady,
    NodeRefused,
    NodeRemovalRequested,
    NodeRemoved,
    OffersChanged,
    PartFailed,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SettingsChanged,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    TaskCut,
    TaskRefused,
    Ticked,
    UpdateArrived,
    WorkersRefused,
)
from planner.model import FleetPlan
from planner.scaling.policy import BUILT_IN, Policy
from planner.settings import PlannerSettings
from planner.steering import node_drain_requested, node_removal_requested, tick


class Planner:
    """Turns what happened into what is to be done.

    Parameters
    ----------
    settings : PlannerSettings
    policies : mapping of str to Policy, optional
        Scaling policies by name, the built-in ones by default.

    Notes
    -----
    Feed every batch of events through `handle` and end it with a `Ticked`; send another at each
    instant that a `WakeAt` names. A tick that leaves `changed` False did nothing: it need not be
    journaled, and a replay may leave it out.
    """

    def __init__(
        self, settings: PlannerSettings, policies: Mapping[str, Policy] = BUILT_IN
    ) -> None:
        self._books = Books(settings, policies)

    @property
    def settings(self) -> PlannerSettings:
        """The settings in force."""
        return self._books.settings

    @property
    def books(self) -> Books:
        """The tables, to be read and never written from outside."""
        return self._books

    @property
    def changed(self) -> bool:
        """Whether the last event changed anything."""
        return self._books.changed

    def handle(self, event: AnyEvent) -> list[AnyCommand]:
        """Take one event in and return the commands that follow from it."""
        books = self._books
        books.desk.sequence += 1
        books.changed = not isinstance(event, Ticked)
        commands = _HANDLERS[type(event)](books, event)
        books.changed = books.changed or bool(commands)
        if not books.changed:
            books.desk.sequence -= 1
        return commands

    def snapshot(self) -> Snapshot:
        """Return all state as plain tables; `restore` goes on from them with the same commands."""
        return self._books.snapshot()

    @classmethod
    def restore(cls, snapshot: Snapshot, policies: Mapping[str, Policy] = BUILT_IN) -> Planner:
        """Return a planner that goes on where the snapshot was taken."""
        planner = cls(snapshot.settings, policies)
        planner._books = Books.restore(snapshot, policies)
        return planner


def _offers_changed(books: Books, event: OffersChanged) -> list[AnyCommand]:
    standing = books.fleet.standing
    books.offers = tuple(
        replace(offer, nodes_max=offer.nodes_max + standing[offer.node_type])
        for offer in event.offers
    )
    for offer in event.offers:
        books.boots.prior(offer.node_type, offer.boot_s)
    return []


def _application_calibrated(books: Books, event: ApplicationCalibrated) -> list[AnyCommand]:
    books.run_times[event.dataset] = RunTimes(
        prior=event.costs,
        prior_common_error=event.common_error,
        scatter2=event.scatter**2,
    )
    return []


def _settings_changed(books: Books, event: SettingsChanged) -> list[AnyCommand]:
    books.change_settings(event.settings)
    books.desk.filed = event.filed or books.desk.filed
    return []


def _fleet_planned(books: Books, event: FleetPlanned) -> list[AnyCommand]:
    books.plan = FleetPlan(steps=event.steps, until_at=event.until_at, reason=event.reason)
    return []


def _ticked(books: Books, event: Ticked) -> list[AnyCommand]:
    return tick(books, event.at)


_HANDLERS: dict[type, Callable[[Books, Any], list[AnyCommand]]] = {
    SettingsChanged: _settings_changed,
    OffersChanged: _offers_changed,
    ApplicationCalibrated: _application_calibrated,
    SubscriptionAdded: intake.subscription_added,
    SubscriptionPaused: intake.subscription_paused,
    SubscriptionResumed: intake.subscription_resumed,
    FullProductRequested: intake.full_product_requested,
    SubscriptionRemoved: intake.subscription_removed,
    UpdateArrived: intake.update_arrived,
    TaskCut: progress.task_cut,
    TaskRefused: progress.task_refused,
    PartFinished: progress.part_finished,
    PartFailed: progress.part_failed,
    AttemptLost: progress.attempt_lost,
    ProductCombined: progress.product_combined,
    CombineFailed: progress.combine_failed,
    ProductDelivered: progress.product_delivered,
    DeliveryFailed: progress.delivery_failed,
    NodeReady: progress.node_ready,
    NodeRefused: progress.node_refused,
    WorkersRefused: progress.workers_refused,
    NodeLost: progress.node_lost,
    NodeRemoved: progress.node_removed,
    NodeDrainRequested: node_drain_requested,
    NodeRemovalRequested: node_removal_requested,
    FleetPlanned: _fleet_planned,
    Ticked: _ticked,
}
