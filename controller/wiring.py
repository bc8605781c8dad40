"""Puts the parts of a running slackwater together, and takes them apart in the right order."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.authority import Authority
from controller.build import BUILD
from controller.clock import now
from controller.combining import CombiningPool
from controller.config.providers import HERE
from controller.config.settings import DeliverySettings, EngineSettings, Settings
from controller.cutting import CuttingProcess
from controller.delivery import read_options
from controller.destinations import Destinations
from controller.dispatcher import Dispatcher
from controller.engines.connection import Listening
from controller.engines.dask import DaskEngine
from controller.errors import NodeError, NodeFault
from controller.history import Histories
from controller.nodes.home import claim_home
from controller.nodes.keeper import NodeKeeper
from controller.nodes.opening import IDENTITY, Ground, open_providers, service_id
from controller.nodes.several import Heard, SeveralProviders
from controller.ports import Dataset, Report
from controller.service import Inbox, JournalFile, Service, Watch
from planner.commands import AnyCommand
from planner.core import Planner
from planner.events import AnyEvent, OffersChanged
from planner.journal import Header
from planner.scaling.catalogue import Policies

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a run keeps what is not delivered yet; `parent` holds the others."""

    parent: Path
    fragments: Path
    staging: Path
    nodes: Path


@contextmanager
def working_folders(parent: Path | None = None) -> Iterator[Folders]:
    """Make folders for fragments, staged products and node records, and remove them at the end."""
    with tempfile.TemporaryDirectory(prefix="slackwater-", dir=parent) as name:
        fragments, staging, nodes = (Path(name, each) for each in ("fragments", "staging", "nodes"))
        folders = Folders(parent=Path(name), fragments=fragments, staging=staging, nodes=nodes)
        for folder in (fragments, staging, nodes):
            folder.mkdir(mode=0o700)
        yield folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Those who act: the engine, the providers of nodes, who keeps them, who carries out."""

    engine: DaskEngine
    nodes: SeveralProviders
    keeper: NodeKeeper
    dispatcher: Dispatcher

    def end(self) -> None:
        """Take engine and nodes down, also those that would outlive the service."""
        self.keeper.close()
        self.engine.close(end=True)
        self.nodes.close(end=True)


@contextmanager
def hands(
    *,
    settings: Settings,
    datasets: Mapping[str, Dataset],
    destinations: Destinations,
    folders: Folders,
    histories: Histories,
    report: Report,
    outlive: bool = False,
    is_ours: Callable[[], bool] = lambda: True,
) -> Iterator[Hands]:
    """Start engine, nodes and pools.

    At the end nothing is left running, unless engine and nodes `outlive` the block: then they are
    found again in the folders, or end by themselves when nobody comes.
    """
    mark = _mark_of_nodes(settings, folders.parent, outlive=outlive)
    with ExitStack() as ends:
        hung = _HungWorkers()
        far = settings.service.fragments_url if outlive else ""
        engine = DaskEngine(
            report,
            folder=folders.parent / "engine" if outlive else None,
            authority=Authority(folders.parent / "tls") if outlive else None,
            listening=listening(settings.engine),
            fragments=folders.fragments,
            lease_s=settings.engine.lease_s,
            orphan_s=settings.engine.orphan_s,
            on_hung=hung.kill,
        )
        ends.callback(engine.close)
        applications = {name: dataset.application for name, dataset in datasets.items()}
        orphan_s = settings.engine.orphan_s if outlive else None
        nodes = open_providers(
            settings,
            Ground(
                near=engine.near,
                connection=engine.connection,
                folder=folders.nodes,
                near_urls=(far or str(folders.fragments),),
                reachable_urls=(*_urls_elsewhere(datasets), *((far,) if far else ())),
                preload=tuple(dict.fromkeys(a.extract.__module__ for a in applications.values())),
                orphan_s=orphan_s,
                service_id=mark,
            ),
        )
        hung.nodes = nodes
        ends.callback(nodes.close)
        keeper = NodeKeeper(nodes, report, is_ours=is_ours)
        ends.callback(keeper.close)
        dispatcher = Dispatcher(
            applications=applications,
            engine=engine,
            keeper=keeper,
            cutting=CuttingProcess(),
            destinations=destinations,
            combining=CombiningPool(
                folders.staging, preload=[a.combine.__module__ for a in applications.values()]
            ),
            histories=histories,
            report=report,
        )
        dispatcher.is_ours = is_ours
        ends.callback(dispatcher.close)
        yield Hands(engine=engine, nodes=nodes, keeper=keeper, dispatcher=dispatcher)


@contextmanager
def running_service(
    *,
    settings: Settings,
    datasets: Mapping[str, Dataset],
    destinations: Destinations,
    folders: Folders,
    journal: Path | None,
    watch: Watch,
    histories: Histories,
) -> Iterator[tuple[Service, Inbox]]:
    """Start a service that keeps a journal in a file, if at all, and ends with the block."""
    inbox = Inbox()
    with ExitStack() as ends:
        log = JournalFile(journal, Header(build=BUILD, settings=settings.planner))
        ends.callback(log.close)
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
        heard = acting.nodes.hear()
        _refuse_no_nodes(heard)
        inbox.put(OffersChanged(at=now(), offers=acting.keeper.offers(heard)))
        planner = Planner(settings.planner, Policies())

        def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
            histories.see(event, commands)
            watch(event, commands)

        yield Service(planner, log, inbox, acting.dispatcher, see), inbox


def destinations_of(settings: DeliverySettings, *roots: str) -> Destinations:
    """Return where products may go: to these roots, the first before those of the settings.

    Raises
    ------
    FileFault
        The options file cannot be read, or has faults.
    """
    return Destinations(
        roots=(*roots, *settings.roots),
        schemes=settings.schemes,
        hosts=settings.hosts,
        options=read_options(settings.options_file) if settings.options_file else {},
    )


def _mark_of_nodes(settings: Settings, folder: Path, *, outlive: bool) -> str:
    """Return what marks our nodes, once it is clear that no copy of the folder has it, too."""
    mark = service_id(folder)
    if outlive and any(each.provider != HERE for each in settings.nodes.values()):
        claim_home(folder, folder / IDENTITY)
    return mark


def listening(settings: EngineSettings) -> Listening:
    """Return where the engine is found."""
    return Listening(host=settings.host, address=settings.address, port=settings.port)


class _HungWorkers:
    """Lets the engine, which comes first, have workers killed by the nodes, which come second."""

    nodes: SeveralProviders | None = None

    def kill(self, worker_name: str) -> None:
        if self.nodes:
            self.nodes.kill_worker(worker_name)


def _urls_elsewhere(datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    """Return what a worker on another machine must see: archives that are not folders here."""
    archives = (dataset.archive for dataset in datasets.values())
    return tuple(dict.fromkeys(each for each in archives if "://" in each))


def _refuse_no_nodes(heard: Heard) -> None:
    """Refuse to wait for nodes that nobody offers; a provider that is only slow may do so yet."""
    for fault in heard.faults:
        _log.warning("provider %s", fault)
    if heard.faults and not heard.offers and not heard.is_waiting:
        raise NodeError(
            f"no provider of nodes answers: {'; '.join(heard.faults)}",
            fault=NodeFault.RETRY,
            fix="`slackwater doctor` tells more",
        )
