"""What stands between the API and the loop: letters go in, listings come out of the store.

The loop is never asked anything and never waits. What was posted is answered when it is durable;
what is read is read beside it, in the store or from the board where the loop tells how it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Literal, Protocol
from weakref import WeakValueDictionary

from fastapi import Depends, Request

from controller.api.estimating import Estimate, Estimator
from controller.api.problems import Problem
from controller.clock import now
from controller.config.subscriptions import KnownDatasets
from controller.destinations import Destinations
from controller.notifying import Notification
from controller.service import Inbox, Letter
from controller.store.listed import SubscriptionRow
from controller.store.store import Store
from controller.telemetry import Telemetry
from controller.telling import Board
from planner.errors import SlackwaterError
from planner.events import AnyEvent
from planner.model import Subscription
from planner.scaling.policy import Policy
from planner.settings import PlannerSettings

DURABLE_S_MAX = 30.0
"""A letter that is not durable by then may still become so; its sender is told to ask again [s]."""

SILENT_S_MAX = 10.0
"""A loop that looks up twice a second, and did not for so long [s], is not well."""

IDEMPOTENCY_CHARACTERS_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What became of a message that announces a change.

    Parameters
    ----------
    id : str
        The same for every copy of the message.
    dataset : str
        Persistent identifier.
    is_new : bool
        False if it is known to have been taken before.
    """

    id: str
    dataset: str
    is_new: bool


class Announce(Protocol):
    """Takes a message that announces a change of a dataset."""

    def __call__(self, headers: Mapping[str, str], body: bytes) -> Announced:
        """Take a message in; where nothing else tells of the change, durably.

        Raises
        ------
        SlackwaterError
            It cannot be understood, or not be kept.
        """


Faults = Callable[[], Mapping[str, str]]
"""Returns what is wrong, by the part of the service: "engine", "source argo", ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the service stands.

    Parameters
    ----------
    ready : bool
        Whether it takes work.
    faults : mapping of str to str
        What is wrong, by the part of the service.
    """

    ready: bool = True
    faults: Mapping[str, str] = field(default_factory=dict)


class Door:
    """What the API may ask of the service.

    Parameters
    ----------
    inbox : Inbox
    store : Store
    datasets : KnownDatasets
    destinations : Destinations
    board : Board
        Where the loop tells how it stands.
    settings : PlannerSettings
        Of the settings file: what "auto" goes back to.
    policies : mapping of str to Policy
        Those that may be chosen; looking one up loads it.
    estimator : Estimator or None
        Foresees what a subscription will take; None foresees nothing.
    at_risk : str
        Whether to "accept" or to "refuse" a subscription whose deadline is at risk.
    announce : callable or None
        Takes pushed messages; None where none are taken.
    telemetry : Telemetry or None
        What is counted for Prometheus.
    notification : Notification or None
        Who is told; None tells nobody.
    faults : callable
        What is wrong beside the loop; such faults do not keep work from being taken.
    clock : callable
        Returns the time [POSIX s].
    """

    def __init__(  # noqa: PLR0913 - one for each thing that may be asked
        self,
        *,
        inbox: Inbox,
        store: Store,
        datasets: KnownDatasets,
        destinations: Destinations,
        board: Board,
        settings: PlannerSettings,
        policies: Mapping[str, Policy],
        estimator: Estimator | None = None,
        at_risk: Literal["accept", "refuse"] = "accept",
        announce: Announce | None = None,
        telemetry: Telemetry | None = None,
        notification: Notification | None = None,
        faults: Faults = dict,
        clock: Callable[[], float] = now,
    ) -> None:
        self.store = store
        self.datasets = datasets
        self.destinations = destinations
        self.board = board
        self.settings = settings
        self.policies = policies
        self.estimator = estimator
        self.at_risk = at_risk
        self.announce = announce
        self.telemetry, self.notification = telemetry, notification
        self.clock = clock
        self._faults = faults
        self._inbox = inbox
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def forget_recipients(self, subscription_id: str) -> None:
        """Forget who was told of a subscription that has ended."""
        if self.notification is not None:
            book = self.notification.book
            for endpoint in book.endpoints(subscription_id):
                book.remove_endpoint(endpoint.id)
            for contact in book.contacts(subscription_id):
                book.remove_contact(contact.id)

    async def post(self, event: AnyEvent, message_id: str = "") -> None:
        """Hand an event to the loop, and return when it is durable.

        Raises
        ------
        SlackwaterError
            It was refused, or is not durable yet.
        """
        if away := self.board.state.fault:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, away, fix="Send it again later")
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[SlackwaterError | None] = loop.create_future()

        def settle(fault: SlackwaterError | None) -> None:
            with suppress(RuntimeError):  # The API has ended, and nobody waits any more.
                loop.call_soon_threadsafe(_resolve, settled, fault)

        self._inbox.post(Letter(event=event, message_id=message_id, settled=settle))
        try:
            fault = await asyncio.wait_for(settled, DURABLE_S_MAX)
        except TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the service has not got to it yet",
                fix="Ask whether it was done before you send it again",
            ) from None
        if fault is not None:
            raise fault

    def changing(self, name: str) -> asyncio.Lock:
        """Return what to hold while something is read and changed."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def subscription(self, subscription_id: str) -> SubscriptionRow | None:
        """Return how a subscription stands."""
        found = self.store.rows("one_subscription", SubscriptionRow, {"id": subscription_id})
        return found[0] if found else None

    def estimate(self, wish: Subscription) -> Estimate | None:
        """Return what a subscription is predicted to take, None where nothing can be foreseen."""
        if self.estimator is None:
            return None
        return self.estimator.estimate(wish, self.board.state, self.clock())

    def health(self) -> Health:
        """Return how the service stands."""
        faults = dict(self._faults())
        loop = {}
        if self.board.state.fault:
            loop["store"] = self.board.state.fault
        if self.board.silent_s > SILENT_S_MAX:
            loop["loop"] = f"has not looked up for {self.board.silent_s:.0f} s"
        return Health(ready=not loop, faults={**faults, **loop})


def _of(request: Request) -> Door:
    door = request.app.state.door
    assert isinstance(door, Door)
    return door


TheDoor = Annotated[Door, Depends(_of)]
"""As a route's parameter: the door of the service that the API stands before."""


def _resolve(
    settled: asyncio.Future[SlackwaterError | None], fault: SlackwaterError | None
) -> None:
    if not settled.done():
        settled.set_result(fault)
