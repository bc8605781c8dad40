"""A one-shot job: deliver subscriptions from an archive once, and say what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from controller.apps.argo.orders import ArchiveAddress
from controller.calibration.record import Belief, calibrated, read
from controller.clock import now
from controller.config.settings import Settings
from controller.datasets import Datasets, Places
from controller.destinations import Destinations
from controller.errors import NodeError, NodeFault
from controller.history import Histories, Sampled
from controller.interruption import deferred
from controller.ports import Application
from controller.service import Inbox, Watch
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
from planner.model import Subscription
from planner.results import Results

BOOTS_FAILED_MAX = 6
"""A job whose nodes so often in a row do not come up ends: about a minute after the first of them.
A service would go on trying; nobody may be there to see that a job does."""

Wave = Callable[[], Sequence[AnyEvent] | None]
"""Asked again and again what arrives from outside: None is "not yet", what it returns is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Datasets, ready to serve subscriptions.

    Parameters
    ----------
    settings : Settings
    datasets : Datasets
        Those that are open know the state that the job begins from.
    destinations : Destinations
    folders : Folders
    """

    settings: Settings
    datasets: Datasets
    destinations: Destinations
    folders: Folders

    @property
    def applications(self) -> dict[str, Application]:
        """Who serves each dataset that is open."""
        return {name: dataset.application for name, dataset in self.datasets.items()}


def open_job(
    settings: Settings,
    archive: str | None,
    destinations: Destinations,
    folders: Folders,
    since: Path | None = None,
) -> Job:
    """Return a job over the datasets of the settings; each is opened when it is wanted.

    Parameters
    ----------
    archive : str or None
        Folder or URL of the first dataset that names none.
    since : Path or None
        An older state of its index: the job begins from there, and what changed is an update.

    Raises
    ------
    ArchiveError
        An archive is given, but every dataset names its own.
    """
    places = Places(
        archive=archive,
        since=since,
        fragments_url=str(folders.fragments),
        staging_url=str(folders.staging),
    )
    return Job(
        settings=settings,
        datasets=Datasets(settings, places),
        destinations=destinations,
        folders=folders,
    )


def beliefs(job: Job, calibration: Path | None = None) -> dict[str, Belief]:
    """Return what reading each open dataset is believed to cost.

    Parameters
    ----------
    calibration : Path or None
        A calibration to use; None takes those that were kept. Where several datasets are open it
        serves the one that it is of.

    Raises
    ------
    CalibrationError
        The calibration cannot be read, or is of no dataset that is open.
    """
    datasets = list(job.datasets.values())
    of = None if calibration is None else read(calibration)
    chosen = [each for each in datasets if of and of.dataset == each.identifier] or datasets
    return {
        each.identifier: calibrated(
            ArchiveAddress(url=each.archive, read_latency_s=each.read_latency_s),
            each.application.name,
            each.identifier,
            calibration if each in chosen else None,
            each.costs,
        )
        for each in datasets
    }


def histories_of(job: Job, believed: Mapping[str, Belief]) -> Histories:
    """Return what parts cost by place and time as far as samples told it, to begin a job with."""
    return Histories(
        Sampled(
            dataset=name,
            application=job.datasets[name].application.name,
            base_s=belief.costs.base_s,
            observations=belief.history,
        )
        for name, belief in believed.items()
        if belief.history
    )


def opening(
    job: Job,
    subscriptions: Sequence[Subscription],
    believed: Mapping[str, Belief] | None = None,
) -> list[AnyEvent]:
    """Return the events that a job begins with: what is known, and who wants what.

    Parameters
    ----------
    believed : mapping of str to Belief, optional
        Of each dataset, see `beliefs`.
    """
    at = now()
    believed = beliefs(job) if believed is None else believed
    added = [SubscriptionAdded(at=at, subscription=wish) for wish in subscriptions]
    calibrations = [
        ApplicationCalibrated(
            at=at,
            dataset=name,
            application=job.datasets[name].application.name,
            costs=belief.costs,
            scatter=belief.scatter,
            common_error=belief.common_error,
        )
        for name, belief in believed.items()
    ]
    return [*calibrations, *(dataset.source.base() for dataset in job.datasets.values()), *added]


def run(
    job: Job,
    events: list[AnyEvent],
    *,
    waves: tuple[Wave, ...] = (),
    journal: Path | None = None,
    watch: Watch = lambda event, commands: None,
    histories: Histories | None = None,
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
    histories : Histories, optional
        What parts of datasets without an index cost by place and time, see `histories_of`.

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
            datasets=job.datasets,
            destinations=job.destinations,
            folders=job.folders,
            journal=journal,
            watch=see,
            histories=histories or Histories(),
        ) as (service, inbox),
    ):
        received_at = now()
        for event in events:
            # The clock starts when the service can take them in, not while its engine starts.
            inbox.put(replace(event, at=max(event.at, received_at)))
        service.run(lambda planner: bool(asked_to_stop) or ahead.is_over(planner, inbox))
    outcome.ended_at = now()
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
