"""The long-lived service: the durable loop, what it begins from, and how it ends.

It goes on where the last one stopped or was killed: the planner from the store, the commands under
way from the outbox, and what became of nodes meanwhile from their provider's listing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.build import BUILD
from controller.config.settings import Settings
from controller.datasets import Datasets
from controller.destinations import Destinations
from controller.errors import StorageError
from controller.garbage import set_aside
from controller.history import Histories
from controller.leasing import Heart
from controller.outbox import is_wanted
from controller.ports import NodeListing, NodeState
from controller.recording import Recorder, Recovered
from controller.service import Inbox, Letter, Service, Watch
from controller.snapshotting import Snapshots
from controller.store.opening import Address, opened
from controller.store.schema import upgrade
from controller.store.store import Store
from controller.wiring import Folders, Hands, hands
from planner.books import Books
from planner.commands import AnyCommand
from planner.core import Planner
from planner.events import AnyEvent, NodeLost, OffersChanged, SettingsChanged
from planner.scaling.catalogue import Policies

STORE_FILE = "slackwater.db"

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
def open_store(address: Address) -> Iterator[Store]:
    """Open the store, brought forward to this program's schema.

    Raises
    ------
    StorageError
        It cannot be opened, is damaged, or was written by a newer program.
    """
    with opened(address) as database:
        upgrade(database, database.name)
        yield Store(database, f"{socket.gethostname()}:{os.getpid()}")


@contextmanager
def standing_service(
    *,
    settings: Settings,
    store: Store,
    datasets: Datasets,
    destinations: Destinations,
    folders: Folders,
    watch: Watch = lambda event, commands: None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Standing]:
    """Recover, take in what happened meanwhile, and carry on with what was under way.

    The service must hold the store's lease (`controller.leasing.take`).
    """
    recorder = Recorder(store, BUILD, settings.planner, Policies(), clock)
    recovered = recorder.recover()
    inbox, histories = Inbox(), Histories()
    with ExitStack() as ends:
        acting = ends.enter_context(
            hands(
                settings=settings,
                datasets=datasets,
                destinations=destinations,
                folders=folders,
                histories=histories,
                report=inbox.put,
            )
        )

        def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
            histories.see(event, commands)
            watch(event, commands)

        service = Service(
            recovered.planner,
            recorder,
            inbox,
            acting.dispatcher,
            see,
            mend=lambda: recorder.recover().planner,
            clock=clock,
        )
        _resume(service, recovered, acting, settings, clock())
        yield Standing(service=service, inbox=inbox, recorder=recorder, hands=acting)


def _resume(
    service: Service, recovered: Recovered, acting: Hands, settings: Settings, now: float
) -> None:
    """Tell the planner what changed while nobody looked, and carry out what was under way."""
    books, listed = recovered.planner.books, acting.nodes.list_nodes()
    for orphan in orphans(books, listed):
        _log.warning("node %s belongs to nobody and is removed", orphan)
        acting.nodes.delete(orphan)
    events: list[AnyEvent] = list(lost_nodes(books, listed, now))
    if settings.planner != recovered.planner.settings:
        events.append(SettingsChanged(at=now, settings=settings.planner))
    service.handle([Letter(event=event) for event in events], now)
    offers = OffersChanged(at=now, offers=acting.nodes.describe())
    service.handle([Letter(event=offers)], now)
    acting.dispatcher.carry_out(c for c in recovered.commands if is_wanted(c, books))


def lost_nodes(books: Books, listed: Iterable[NodeListing], now: float) -> Iterator[NodeLost]:
    """Yield what is to be told of nodes that the planner counts on and that stand no more."""
    standing = {each.node_id for each in listed if each.state is not NodeState.BROKEN}
    for node_id in list(books.fleet.nodes):
        if node_id not in standing:
            reason = "it was gone when the service came back"
            yield NodeLost(at=now, node_id=node_id, reason=reason)


def orphans(books: Books, listed: Iterable[NodeListing]) -> list[str]:
    """Return the nodes that stand and that the planner knows nothing of."""
    return [each.node_id for each in listed if each.node_id not in books.fleet.nodes]


def serve(
    standing: Standing, heart: Heart, snapshots: Snapshots, asked_to_stop: Callable[[], bool]
) -> None:
    """Run until somebody asks to stop, and have snapshots taken meanwhile.

    Raises
    ------
    Fenced
        Another service has taken over.
    """

    def is_over(_: Planner) -> bool:
        if heart.fault is not None:
            raise heart.fault
        snapshots.look(standing.recorder.seq, standing.recorder.snapshot_seq)
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
    service.run(lambda planner: not _runs(planner) or time.monotonic() > give_up_at)
    try:
        recorder.tidy(service.planner)
        recorder.keep_snapshot(service.planner.snapshot(), recorder.seq)
    except StorageError as fault:
        # The journal holds all of it: the next service replays what a snapshot would have spared.
        _log.error("no snapshot was kept: %s", fault)


def _runs(planner: Planner) -> bool:
    """Tell whether workers are at any part."""
    return any(node.running for node in planner.books.fleet.nodes.values())
