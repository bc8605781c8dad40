"""Carries the planner's commands out: each goes to a pool of its kind, each outcome is an event.

No pool can stall another: a slow destination delays no part, a slow cloud no delivery.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from controller.clock import now
from controller.combining import CombiningPool
from controller.cutting import CuttingProcess
from controller.delivery import Lanes, deliver
from controller.destinations import Destinations
from controller.history import Histories
from controller.nodes.keeper import NodeKeeper
from controller.packing import Making, PackOrder, pack
from controller.ports import Application, Engine, PartWork, Report, fragment_stem
from controller.product_files import PACKAGE_ENDING
from partitioners.catalogue import Partitioners
from partitioners.cutter import KnownLoad, cut_task
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    RunPart,
    SetWorkers,
    StopPart,
    UndrainNode,
)
from planner.errors import SlackwaterError
from planner.events import (
    AnyEvent,
    CombineFailed,
    DeliveryFailed,
    PartFailed,
    ProductCombined,
    ProductDelivered,
    TaskRefused,
)
from planner.model import Fragment, Product, Selection, product_id


class Dispatcher:
    """The doer behind each command.

    Parameters
    ----------
    applications : mapping of str to Application
        By the dataset that each serves.
    engine : Engine
    keeper : NodeKeeper
    cutting : CuttingProcess
    destinations : Destinations
    combining : CombiningPool
    histories : Histories
        Stands in where an application has no index.
    report : Report
        Takes the outcomes.

    Attributes
    ----------
    is_ours : callable
        Asked before a product is replaced at its destination: whether no other service delivers it.
    """

    def __init__(
        self,
        *,
        applications: Mapping[str, Application],
        engine: Engine,
        keeper: NodeKeeper,
        cutting: CuttingProcess,
        destinations: Destinations,
        combining: CombiningPool,
        histories: Histories,
        report: Report,
    ) -> None:
        self.is_ours: Callable[[], bool] = lambda: True
        self._applications = applications
        self._engine = engine
        self._keeper = keeper
        self._cutting = cutting
        self._destinations = destinations
        self._combining = combining
        self._histories = histories
        self._report = report
        self._ending = threading.Event()
        # One thread each: what is prepared goes out in the order of the commands. An update that
        # many subscriptions match is many cuts, behind which no part may have to wait.
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="preparing")
        self._measuring = ThreadPoolExecutor(1, thread_name_prefix="measuring")
        self._delivering = Lanes()
        self._pools: tuple[ThreadPoolExecutor | Lanes, ...] = (
            self._preparing,
            self._measuring,
            self._delivering,
        )

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        """Begin to carry commands out."""
        parts: list[RunPart] = []
        for command in commands:
            match command:
                case RunPart():
                    parts.append(command)
                case CutTask():
                    self._begin(self._measuring, self._cut, command)
                case StopPart():
                    # Not at once: it must not overtake the part that it stops.
                    self._preparing.submit(self._engine.stop, command.part_id, command.attempt)
                case CombineProduct():
                    self._begin(self._preparing, self._combine, command)
                case DeliverProduct():
                    self._begin_delivery(command)
                case ProvisionNode() | SetWorkers() | RemoveNode():
                    self._keeper.carry_out(command)
                case DrainNode() | UndrainNode() | Notify():
                    # The planner itself sends a draining node no parts; notices go to the watchers.
                    pass
        if parts:
            self._begin(self._preparing, self._run, parts)

    def close(self) -> None:
        """Stop acting: what has not begun is left undone, and what is under way is given up."""
        self._ending.set()
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        self._cutting.close()
        for pool in self._pools:
            pool.shutdown(wait=True)
        self._combining.close()

    def _begin(
        self, pool: ThreadPoolExecutor, act: Callable[[Any], AnyEvent | None], command: Doable
    ) -> None:
        pool.submit(act, command).add_done_callback(lambda done: self._tell(command, done))

    def _begin_delivery(self, command: DeliverProduct) -> None:
        lane = self._destinations.lane_of(command.destination)
        future = self._delivering.submit(lane, self._deliver, command)
        future.add_done_callback(lambda done: self._tell(command, done))

    def _tell(self, command: Doable, done: Future[AnyEvent | None]) -> None:
        """Report the outcome of an act; whatever it raised is the failure of its command."""
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._fail(command, error)
        elif (event := done.result()) is not None:
            self._report(event)

    def _fail(self, command: Doable, error: BaseException) -> None:
        for event in failures(command, error):
            self._report(event)

    def _cut(self, command: CutTask) -> AnyEvent:
        loads = [self._load(selection) for selection in command.selections]
        return cut_task(command, loads, Partitioners(), self._cutting).event(now())

    def _load(self, selection: Selection) -> KnownLoad:
        application = self._applications[selection.view.dataset]
        density = application.density(selection.view, selection.updates)
        if density is None:
            density = self._histories.density(selection.view, selection.updates)
        return KnownLoad(density=density, period=application.period())

    def _run(self, commands: list[RunPart]) -> None:
        works = []
        for command in commands:
            try:
                works.append(self._work(command))
            except SlackwaterError as error:
                self._fail(command, error)
        self._engine.submit(works)

    def _work(self, command: RunPart) -> PartWork:
        application = self._applications[command.view.dataset]
        stem = fragment_stem(command.part_id, command.attempt)
        return PartWork(
            part_id=command.part_id,
            attempt=command.attempt,
            node_id=command.node_id,
            limit_s=command.limit_s,
            extract=application.extract,
            order=application.part_order(command.view, command.extent, command.updates, stem),
        )

    def _combine(self, command: CombineProduct) -> None:
        began = time.monotonic()
        future = self._combining.submit(*self._making(command))
        future.add_done_callback(lambda done: self._combined(command, done, began))

    def _making(self, command: CombineProduct) -> Making:
        """Return what makes a product, and its order; of several applications, a package."""
        name = product_id(command.subscription_id, command.version, command.selections)
        pieces: dict[str, list[Piece]] = {}
        for selection, fragments in zip(command.selections, command.fragments, strict=True):
            application = self._applications[selection.view.dataset]
            pieces.setdefault(application.name, []).append((application, selection, fragments))
        if len(pieces) == 1:
            (own,) = pieces.values()
            return _made_by_one(own, name, command.subscription_id)
        order = PackOrder(
            product_url=f"{self._combining.staging}/{name}{PACKAGE_ENDING}",
            product_id=name,
            subscription_id=command.subscription_id,
            members=tuple(
                _made_by_one(own, f"{name}-{by}", command.subscription_id)
                for by, own in pieces.items()
            ),
        )
        return pack, order

    def _combined(self, command: CombineProduct, done: Future[Product], began: float) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._fail(command, error)
            return
        self._report(
            ProductCombined(
                at=now(),
                task_id=command.task_id,
                attempt=command.attempt,
                run_s=time.monotonic() - began,
                product=done.result(),
            )
        )

    def _deliver(self, command: DeliverProduct) -> AnyEvent:
        began = time.monotonic()
        manifest_url = deliver(
            command.product,
            command.destination,
            self._destinations,
            given_up=self._ending.is_set,
            is_ours=self.is_ours,
        )
        return ProductDelivered(
            at=now(),
            task_id=command.task_id,
            attempt=command.attempt,
            run_s=time.monotonic() - began,
            manifest_url=manifest_url,
        )


Piece = tuple[Application, Selection, tuple[Fragment, ...]]
"""What was read of one dataset, and by whom."""


def _made_by_one(pieces: Sequence[Piece], name: str, subscription_id: str) -> Making:
    """Return what makes one product of all that one application read, and its order."""
    orders = [
        application.product_order(selection, fragments, name, subscription_id)
        for application, selection, fragments in pieces
    ]
    application = pieces[0][0]
    return application.combine, orders[0] if len(orders) == 1 else application.joined(orders)


Doable = CutTask | CombineProduct | DeliverProduct | RunPart | list[RunPart]


def failures(command: Doable, error: BaseException) -> list[AnyEvent]:
    """Return what to report when carrying a command out raised an error."""
    at = now()
    known = isinstance(error, SlackwaterError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    retry = error.retry if isinstance(error, SlackwaterError) else True
    match command:
        case list():
            return [event for each in command for event in failures(each, error)]
        case CutTask(task_id=task_id):
            return [TaskRefused(at=at, task_id=task_id, reason=reason)]
        case RunPart(part_id=part_id, attempt=attempt):
            return [PartFailed(at=at, part_id=part_id, attempt=attempt, reason=reason, retry=retry)]
        case CombineProduct(task_id=task_id, attempt=attempt):
            return [
                CombineFailed(at=at, task_id=task_id, attempt=attempt, reason=reason, retry=retry)
            ]
        case DeliverProduct(task_id=task_id, attempt=attempt):
            return [
                DeliveryFailed(at=at, task_id=task_id, attempt=attempt, reason=reason, retry=retry)
            ]
