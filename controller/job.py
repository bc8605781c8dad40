"""A one-shot job: deliver subscriptions from an archive once, and say what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.orders import ArchiveAddress
from controller.calibration.record import Belief, supposed
from controller.config.settings import ARGO_DOI, Settings
from controller.destinations import Destinations
from controller.errors import NodeError, NodeFault
from controller.interruption import deferred
from controller.service import Inbox, Watch
from controller.sources.argo import ArgoSource
from controller.wiring import Folders, running_service
from planner.commands import AnyCommand
from planner.core import Planner
from planner.events import (
    AnyEvent,
    ApplicationCalibrated,
    NodeLost,
    NodeRefused,
    SubscriptionAdded,
    UpdateArrived,
)
from planner.model import Subscription, UnitCosts
from planner.results import Results

BOOTS_FAILED_MAX = 6
"""A job whose nodes so often in a row do not come up ends: about a minute after the first of them.
A service would go on trying; nobody may be there to see that a job does."""

Wave = Callable[[], Sequence[AnyEvent] | None]
"""Asked again and again what arrives from outside: None is "not yet", what it returns is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An archive, ready to serve subscriptions.

    Parameters
    ----------
    settings : Settings
    address : ArchiveAddress
    source : ArgoSource
        Knows the state of the archive that the job begins from.
    application : ArgoApplication
    destinations : Destinations
    folders : Folders
    """

    settings: Settings
    address: ArchiveAddress
    source: ArgoSource
    application: ArgoApplication
    destinations: Destinations
    folders: Folders


def argo_job(
    settings: Settings,
    address: ArchiveAddress,
    destinations: Destinations,
    folders: Folders,
    since: Path | None = None,
) -> Job:
    """Return a job over an Argo archive; reads its indexes.

    Parameters
    ----------
    since : Path or None
        An older state of the index: the job begins from there, and what changed is an update.

    Raises
    ------
    ArchiveError
        There is no such archive, or its index cannot be read.
    """
    source = ArgoSource(open_archive(address), ARGO_DOI, since)
    application = ArgoApplication(
        archive=address,
        fragments_url=str(folders.fragments),
        staging_url=str(folders.staging),
        catalogue=source.catalogue,
    )
    return Job(
        settings=settings,
        address=address,
        source=source,
        application=application,
        destinations=destinations,
        folders=folders,
    )


def opening(
    job: Job, subscriptions: Sequence[Subscription], belief: Belief | None = None
) -> list[AnyEvent]:
    """Return the events that a job begins with: what is known, and who wants what.

    Parameters
    ----------
    belief : Belief or None
        What reading is believed to cost; None is what is believed of an archive nobody measured.
    """
    at = time.time()
    known = belief or supposed(job.address)
    calibrated = ApplicationCalibrated(
        at=at,
        application=job.application.name,
        costs=known.costs,
        scatter=known.scatter,
        common_error=known.common_error,
    )
    added = [SubscriptionAdded(at=at, subscription=wish) for wish in subscriptions]
    return [calibrated, job.source.base(), *added]


def predicted_costs(address: ArchiveAddress) -> UnitCosts:
    """Return what reading costs before anything was measured: the default and declared latency."""
    return supposed(address).costs


def run(
    job: Job,
    events: list[AnyEvent],
    *,
    waves: tuple[Wave, ...] = (),
    journal: Path | None = None,
    watch: Watch = lambda event, commands: None,
) -> Results:
    """Serve all that the events ask for, live, and return what became of it.

    Parameters
    ----------
    events : list of AnyEvent
        What is there at the beginning.
    waves : tuple of Wave
        What comes later, in this order; the job ends when all have come and nothing is left to do.
    journal : Path or None
        Where every event and command is written.
    watch : callable
        Is shown each step.

    Raises
    ------
    Interrupted
        Somebody asked to stop; all that the job had started has ended.
    """
    outcome = Results()
    ahead = _Ahead(expected=len(events), waves=list(waves))

    def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
        ahead.see(event)
        outcome.see(event, commands)
        watch(event, commands)

    with (
        deferred() as asked_to_stop,
        running_service(
            settings=job.settings,
            application=job.application,
            destinations=job.destinations,
            folders=job.folders,
            journal=journal,
            watch=see,
        ) as (service, inbox),
    ):
        for event in events:
            inbox.put(event)
        service.run(lambda planner: bool(asked_to_stop) or ahead.is_over(planner, inbox))
    outcome.ended_at = time.time()
    return outcome


@dataclass(slots=True, kw_only=True)
class _Ahead:
    """What must still be handled before a job may end."""

    expected: int
    waves: list[Wave]
    node_fault: str = ""

    def see(self, event: AnyEvent) -> None:
        """Take a handled event in."""
        match event:
            case ApplicationCalibrated() | SubscriptionAdded() | UpdateArrived():
                self.expected -= 1
            case NodeRefused() | NodeLost():
                self.node_fault = event.reason

    def is_over(self, planner: Planner, inbox: Inbox) -> bool:
        """Let in what arrives, and tell whether all is done."""
        self._refuse_to_wait_for_ever(planner)
        if self.expected:
            return False
        if self.waves and (events := self.waves[0]()) is not None:
            del self.waves[0]
            self.expected += len(events)
            for event in events:
                inbox.put(event)
        books = planner.books
        return not (self.waves or self.expected or books.backlog.tasks or books.desk.pages)

    def _refuse_to_wait_for_ever(self, planner: Planner) -> None:
        books = planner.books
        if books.desk.boots_failed >= BOOTS_FAILED_MAX and not books.fleet.ready_nodes():
            raise NodeError(
                f"{books.desk.boots_failed} nodes in a row did not come up, the last one because"
                f" {self.node_fault}",
                fault=NodeFault.OURS,
                fix="See to the cause and run again; what was delivered is not made twice",
            )
