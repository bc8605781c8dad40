"""A service whose every answer comes at once, on a real store: for tests of what is durable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from controller.recording import Recorder
from controller.service import Inbox, Service, Watch
from controller.store.database import Database
from controller.store.listed import TaskRow
from controller.store.schema import upgrade
from controller.store.store import Store
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RemoveNode,
    RunPart,
)
from planner.events import (
    AnyEvent,
    NodeReady,
    NodeRemoved,
    OffersChanged,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
)
from planner.model import Fragment, Product
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings
from tests.controller.stores import Place
from tests.planner.building import OFFER, archive_stands, cut, subscription

NOW = 1_000_000.0


class Hands:
    """Answers each command at once, and keeps those that nobody answers."""

    def __init__(self, inbox: Inbox, clock: Callable[[], float] = lambda: NOW) -> None:
        self.inbox = inbox
        self.clock = clock
        self.obeyed: list[AnyCommand] = []
        self.stalls: tuple[type, ...] = ()

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        for command in commands:
            self.obeyed.append(command)
            if not isinstance(command, self.stalls):
                for event in answers(command, self.clock()):
                    self.inbox.put(event)


def answers(command: AnyCommand, now: float = NOW) -> Iterator[AnyEvent]:
    match command:
        case CutTask():
            yield cut(command.task_id, now, 10, 10)
        case ProvisionNode():
            yield NodeReady(at=now, node_id=command.node_id, workers=command.workers)
        case RemoveNode():
            yield NodeRemoved(at=now, node_id=command.node_id)
        case RunPart():
            fragment = Fragment(url="f", rows=1, size_bytes=1, sha256="")
            yield PartFinished(
                at=now,
                part_id=command.part_id,
                attempt=command.attempt,
                node_id=command.node_id,
                run_s=2.0,
                fragment=fragment,
            )
        case CombineProduct():
            product = Product(url="staging/p.nc", rows=2, size_bytes=3, sha256="s", digest="d")
            yield ProductCombined(
                at=now, task_id=command.task_id, attempt=command.attempt, run_s=1.0, product=product
            )
        case DeliverProduct():
            yield ProductDelivered(
                at=now,
                task_id=command.task_id,
                attempt=command.attempt,
                run_s=1.0,
                manifest_url="file:///p.manifest.json",
            )


class Life:
    """One service between its start and its end, be that a kill."""

    def __init__(
        self,
        database: Database,
        stalls: tuple[type, ...] = (),
        clock: Callable[[], float] = lambda: NOW,
    ) -> None:
        self.clock = clock
        self.database = database
        upgrade(self.database, "test")
        self.store = Store(self.database, "test")
        self.store.take_lease()
        settings = PlannerSettings(scaling=ScalingSettings(put_off_launches=False))
        self.recorder = Recorder(self.store, "build", settings, BUILT_IN, clock)
        self.recovered = self.recorder.recover()
        self.inbox = Inbox()
        self.hands = Hands(self.inbox, clock)
        self.hands.stalls = stalls
        self.watch: Watch = lambda event, commands: None
        self.service = Service(
            self.recovered.planner,
            self.recorder,
            self.inbox,
            self.hands,
            self.see,
            mend=self.recorder.mend,
            clock=clock,
        )
        self.hands.carry_out(self.recovered.commands)

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        self.watch(event, commands)

    def play(self) -> None:
        """Go on until nothing more comes of anything."""
        while letters := self.inbox.batch(0.0):
            self.service.handle(letters, self.clock())

    def begin(self) -> None:
        for event in (
            OffersChanged(at=self.clock(), offers=(OFFER,)),
            archive_stands(self.clock()),
            SubscriptionAdded(at=self.clock(), subscription=subscription()),
        ):
            self.inbox.put(event)
        self.play()

    def tasks(self) -> list[TaskRow]:
        every = {"owner": "", "subscription_id": "", "after": 0, "count": 100}
        return self.store.rows("list_tasks", TaskRow, every | {"open_only": 0, "delivered_only": 0})


@contextmanager
def life(
    place: Place, stalls: tuple[type, ...] = (), clock: Callable[[], float] = lambda: NOW
) -> Iterator[Life]:
    database = place()
    try:
        yield Life(database, stalls, clock)
    finally:
        database.close()
