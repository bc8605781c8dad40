"""The long-lived service: the durable loop, what it begins from, and how it ends.

It goes on where the last one stopped or was killed: the planner from the store, the commands under
way from the outbox, and what became of nodes meanwhile from their provider's listing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from controller.build import BUILD
from controller.clock import now
from controller.config.precedence import differences, gone_on_with
from controller.config.settings import Settings
from controller.datasets import Datasets, Places
from controller.destinations import Destinations
from controller.errors import Overloaded, StorageError
from controller.garbage import set_aside
from controller.history import Histories
from controller.leasing import Heart
from controller.outbox import is_wanted
from controller.reconciling import Promised, Reconciled, reconcile, running_attempts, unasked
from controller.recording import Recorder, Recovered
from controller.service import Inbox, Letter, Service, Watch
from controller.snapshotting import Snapshots
from controller.sources.following import Follower
from controller.sources.reaching import Limits
from controller.store.opening import Address, opened
from controller.store.schema import upgrade
from controller.store.store import Store
from controller.wiring import Folders, Hands, hands
from planner.commands import AnyCommand, ProvisionNode, RemoveNode, RunPart
from planner.core import Planner
from planner.errors import BrokenJournal, SlackwaterError
from planner.events import (
    AnyEvent,
    AttemptLost,
    OffersChanged,
    PartFailed,
    PartFinished,
    SettingsChanged,
    UpdateArrived,
)
from planner.scaling.catalogue import Policies
from planner.settings import PlannerSettings

STORE_FILE = "slackwater.db"

STORE_RETRY_S = 2.0
"""A store that is away when the service starts is tried again so much later [s]."""

TIDY_S = 3600.0
"""What is of no use any more is dropped from the store so often [s]."""

DURABLE_S_MAX = 60.0
"""An update that is not durable by then is offered again [s]; taken in twice it changes nothing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A service that has recovered and is about to run."""

    service: Service
    inbox: Inbox
    recorder: Recorder
    hands: Hands


def data_folders(parent: Path) -> Folders:
    """Make the folders of a service that are not there yet; only their owner can look in.

    Raises
    ------
    StorageError
        They cannot be made.
    """
    folders = Folders(
        parent=parent,
        fragments=parent / "fragments",
        staging=parent / "staging",
        nodes=parent / "nodes",
    )
    try:
        for folder in (parent, folders.fragments, folders.staging, folders.nodes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"data folder {parent} cannot be made: {error.strerror}",
            fix="Set service.data_dir to a folder that this user may write to",
            retry=False,
        ) from error
    return folders


def address_of(settings: Settings, folder: Path) -> Address:
    """Return where the store is kept: by default in the data folder."""
    password = settings.store.password
    return Address(
        path=str(folder / STORE_FILE),
        url=settings.store.url,
        password=password.get_secret_value() if password else None,
    )


@contextmanager
def open_store(address: Address, given_up: Callable[[], bool] = lambda: True) -> Iterator[Store]:
    """Open the store, wait for one that is away; a new one gets its schema.

    Parameters
    ----------
    address : Address
    given_up : callable
        Asked before each further try whether nobody wants the store any more.

    Raises
    ------
    StorageError
        It cannot be opened, is damaged, was written by a newer program, or was given up.
    """
    with ExitStack() as ends:
        while True:
            try:
                database = ends.enter_context(opened(address))
                upgrade(database, database.name, only_new=True)
                break
            except StorageError as fault:
                ends.close()
                if not fault.retry or given_up():
                    raise
                _log.warning("%s", fault)
                time.sleep(STORE_RETRY_S)
        yield Store(database, f"{socket.gethostname()}:{os.getpid()}")


def recovered_from(store: Store, settings: Settings) -> tuple[Recorder, Recovered]:
    """Return what a service goes on from; it must hold the store's lease.

    The store is brought forward to this program's schema, which nobody else works on now.

    Raises
    ------
    BrokenJournal
        This build decides otherwise than the one that wrote the store.
    """
    upgrade(store.database, store.database.name)
    recorder = Recorder(store, BUILD, settings.planner, Policies())
    return recorder, recorder.recover()


def open_datasets(
    settings: Settings, folders: Folders, archive: str | None, planner: Planner
) -> Datasets:
    """Open all datasets of the settings, each as the planner last heard of it.

    Raises
    ------
    ArchiveError
        One of them cannot be opened.
    """
    newest = planner.books.registry.newest
    known = {each.identifier: newest(each.identifier) for each in settings.datasets.values()}
    places = Places(
        archive=archive,
        fragments_url=settings.service.fragments_url or str(folders.fragments),
        staging_url=str(folders.staging),
        sources=folders.parent / "sources",
        known={name: number for name, number in known.items() if number is not None},
        limits=Limits(timeout_s=settings.sources.http_timeout_s, hosts=settings.sources.hosts),
    )
    datasets = Datasets(settings, places)
    for identifier in datasets.identifiers().values():
        datasets.application(identifier)
    return datasets


@contextmanager
def following(settings: Settings, datasets: Datasets, inbox: Inbox) -> Iterator[Follower]:
    """Tell of updates inside the block, each once it is durable and only then of the next."""
    sources = {name: dataset.source for name, dataset in datasets.items()}
    follower = Follower(sources, partial(_put, inbox), poll_s=settings.sources.poll_s)
    follower.start()
    try:
        yield follower
    finally:
        follower.close()


def _put(inbox: Inbox, update_id: str, event: UpdateArrived) -> bool:
    """Hand an update over; tell whether it is durable. It is offered again if not."""
    settled: SimpleQueue[SlackwaterError | None] = SimpleQueue()
    try:
        inbox.post(Letter(event=event, message_id=update_id, settled=settled.put))
        return settled.get(timeout=DURABLE_S_MAX) is None
    except (Overloaded, Empty):
        return False


@contextmanager
def standing_service(
    *,
    settings: Settings,
    recorder: Recorder,
    recovered: Recovered,
    datasets: Datasets,
    destinations: Destinations,
    folders: Folders,
    watch: Watch = lambda event, commands: None,
    clock: Callable[[], float] = now,
) -> Iterator[Standing]:
    """Take in what happened meanwhile, and carry on with what was under way.

    Parameters
    ----------
    settings : Settings
    recorder, recovered : Recorder and Recovered
        Of the store, whose lease the service must hold (`recovered_from`).
    datasets : Datasets
    destinations : Destinations
    folders : Folders
    watch : callable
        Is shown each step.
    clock : callable
        Returns the time [POSIX s].
    """
    inbox, histories = Inbox(settings.service.inbox_max), Histories()
    with ExitStack() as ends:
        acting = ends.enter_context(
            hands(
                settings=settings,
                datasets=datasets,
                destinations=destinations,
                folders=folders,
                histories=histories,
                report=inbox.put,
                outlive=True,
                is_ours=recorder.store.is_held,
            )
        )

        def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
            if isinstance(event, PartFinished | PartFailed | AttemptLost):
                acting.engine.acknowledge([(event.part_id, event.attempt)])
            histories.see(event, commands)
            watch(event, commands)

        service = Service(
            recovered.planner,
            recorder,
            inbox,
            acting.dispatcher,
            see,
            mend=recorder.mend,
            clock=clock,
        )
        _resume(service, recovered, acting, settings, clock())
        yield Standing(service=service, inbox=inbox, recorder=recorder, hands=acting)


def _resume(
    service: Service, recovered: Recovered, acting: Hands, settings: Settings, now: float
) -> None:
    """Tell the planner what changed while nobody looked, and carry out what was under way."""
    books = recovered.planner.books
    attempts, heard = acting.engine.attempts(), acting.nodes.hear()
    for fault in heard.faults:
        _log.error("provider %s; its nodes are left as they are until it answers", fault)
    dropped = {each.offer.node_type for each in unasked(books.fleet.nodes.values(), settings.nodes)}
    found = reconcile(
        at=now,
        fleet=books.fleet.nodes.values(),
        running=running_attempts(books),
        listed=heard.nodes,
        attempts=attempts,
        workers=acting.engine.workers(),
        promised=promised(c for c in recovered.commands if is_wanted(c, books)),
        silent=heard.silent | dropped,
    )
    _clear_away(
        found, acting, {node.id: node.offer.node_type for node in books.fleet.nodes.values()}
    )
    events: list[AnyEvent] = list(found.events)
    events += settings_read(recovered.planner, settings.planner, now)
    service.handle([Letter(event=event) for event in events], now)
    books = service.planner.books
    offers = OffersChanged(at=now, offers=acting.keeper.offers(heard, books.fleet.standing))
    service.handle([Letter(event=offers)], now)
    carried = {(each.part_id, each.attempt) for each in attempts}
    acting.dispatcher.carry_out(
        each
        for each in recovered.commands
        if is_wanted(each, books) and not is_carried(each, carried)
    )


def settings_read(planner: Planner, read: PlannerSettings, now: float) -> list[SettingsChanged]:
    """Return what tells a planner of a settings file that was read, if it says anything new."""
    read_before = planner.books.desk.filed
    settings = gone_on_with(planner.settings, read_before, read)
    for name, is_so, said in differences(settings, read):
        _log.info("%s is %s, as an operator set it; the settings file says %s", name, is_so, said)
    if (settings, read) == (planner.settings, read_before):
        return []
    return [SettingsChanged(at=now, settings=settings, filed=read)]


def _clear_away(found: Reconciled, acting: Hands, node_types: Mapping[str, str]) -> None:
    """Have removed and stopped what belongs to nobody, and the rest watched over."""
    acting.keeper.expect(found.standing, found.leaving, node_types)
    for orphan in found.orphans:
        _log.warning("node %s belongs to nobody and is removed", orphan)
        acting.keeper.carry_out(RemoveNode(node_id=orphan, reason="it belongs to nobody"))
    for part_id, attempt in found.strays:
        acting.engine.stop(part_id, attempt)
    acting.engine.acknowledge(found.strays)


def promised(commands: Iterable[AnyCommand]) -> Promised:
    """Return what these commands are about to make or send again."""
    commands = tuple(commands)
    return Promised(
        nodes=frozenset(each.node_id for each in commands if isinstance(each, ProvisionNode)),
        attempts=frozenset(
            (each.part_id, each.attempt) for each in commands if isinstance(each, RunPart)
        ),
    )


def is_carried(command: AnyCommand, attempts: Collection[tuple[str, int]]) -> bool:
    """Tell whether a command is to send an attempt that the engine was sent already.

    It tells the end of that one by itself. Sent again after that end is written down and forgotten,
    the attempt would run once more, and replace a fragment that a product is being made of.
    """
    return isinstance(command, RunPart) and (command.part_id, command.attempt) in attempts


def serve(
    standing: Standing, heart: Heart, snapshots: Snapshots, asked_to_stop: Callable[[], bool]
) -> None:
    """Run until somebody asks to stop, and have snapshots taken meanwhile.

    Raises
    ------
    Fenced
        Another service has taken over.
    EngineError
        The engine carries no more.
    """
    tidy_at = time.monotonic() + TIDY_S

    def is_over(_: Planner) -> bool:
        nonlocal tidy_at
        if heart.fault is not None:
            raise heart.fault
        if standing.hands.engine.fault is not None:
            raise standing.hands.engine.fault  # Who starts the service again starts an engine, too.
        standing.hands.keeper.check()
        snapshots.look(standing.recorder.seq, standing.recorder.snapshot_seq)
        if time.monotonic() >= tidy_at and standing.service.fault is None:
            tidy_at = time.monotonic() + TIDY_S
            with suppress(StorageError):  # There is a next time.
                standing.recorder.tidy(standing.service.planner)
        return asked_to_stop()

    set_aside()
    standing.service.run(is_over)


def wind_down(standing: Standing, drain_s_max: float) -> None:
    """Let what runs end, for at most so long [s], and keep a snapshot for the next service.

    Nothing new is begun: what the planner commands is recorded, and the next service does it.
    """
    service, recorder = standing.service, standing.recorder
    service.is_winding_down = True
    give_up_at = time.monotonic() + drain_s_max
    service.run(lambda _: not _is_running(standing.hands) or time.monotonic() > give_up_at)
    if service.fault is not None:
        # The planner may be ahead of the store, which is whole as it is.
        _log.error("no snapshot was kept: %s", service.fault)
        return
    try:
        recorder.tidy(service.planner)
        recorder.keep_snapshot(service.planner.snapshot(), recorder.seq)
    except (StorageError, BrokenJournal) as fault:
        # The journal holds all of it: the next service replays what a snapshot would have spared.
        _log.error("no snapshot was kept: %s", fault)
    if not any(node.running for node in service.planner.books.fleet.nodes.values()):
        standing.hands.end()  # What runs still, or is yet to be sent, is for the next service.


def _is_running(hands: Hands) -> bool:
    """Tell whether workers are at any part, or the end of one is yet to be written down.

    What is recorded from now on is not sent to them.
    """
    return bool(hands.engine.attempts())
