"""What stands between the API and the loop: letters go in, listings come out of the store.

The loop is never asked anything and never waits. What was posted is answered when it is durable;
what is read is read beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated
from weakref import WeakValueDictionary

from fastapi import Depends, Request

from controller.api.problems import Problem
from controller.config.subscriptions import KnownDatasets
from controller.destinations import Destinations
from controller.service import Inbox, Letter
from controller.store.listed import SubscriptionRow
from controller.store.store import Store
from planner.errors import SlackwaterError
from planner.events import AnyEvent

DURABLE_S_MAX = 30.0
"""A letter that is not durable by then may still become so; its sender is told to ask again [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the service stands, as it last said.

    Parameters
    ----------
    ready : bool
    faults : mapping of str to str
        What is wrong, by the part of the service: "store", "source argo", ...
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
    health : callable
        Returns how the service stands.
    clock : callable
        Returns the time [POSIX s].
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        store: Store,
        datasets: KnownDatasets,
        destinations: Destinations,
        health: Callable[[], Health] = Health,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.datasets = datasets
        self.destinations = destinations
        self.health = health
        self.clock = clock
        self._inbox = inbox
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def post(self, event: AnyEvent, message_id: str = "") -> None:
        """Hand an event to the loop, and return when it is durable.

        Raises
        ------
        SlackwaterError
            It was refused, or is not durable yet.
        """
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

    def changing(self, subscription_id: str) -> asyncio.Lock:
        """Return what to hold while a subscription is read and changed."""
        lock = self._locks.get(subscription_id)
        if lock is None:
            lock = self._locks[subscription_id] = asyncio.Lock()
        return lock

    def subscription(self, subscription_id: str) -> SubscriptionRow | None:
        """Return how a subscription stands."""
        found = self.store.rows("one_subscription", SubscriptionRow, {"id": subscription_id})
        return found[0] if found else None


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
