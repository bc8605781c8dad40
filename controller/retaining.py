"""Lets products go that are older than the operator keeps them, beside everything else.

It has a thread of its own, so a destination that hangs holds up nobody but those whose turn comes
after it; what was not looked at in one round is in the next.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from controller.delivery.retention import Retention, remove_old
from controller.destinations import Destinations
from controller.store.listed import SubscriptionRow
from controller.store.store import Store
from planner.errors import SlackwaterError
from planner.model import Subscription

ROUND_S = 3600.0
"""Pause between two rounds over all subscriptions [s]; days are kept to within an hour."""

PAGE = 500
"""Subscriptions read from the store at a time."""

_log = logging.getLogger(__name__)


def retain(
    store: Store,
    destinations: Destinations,
    retention_days: float,
    *,
    clock: Callable[[], float] = time.time,
    given_up: Callable[[], bool] = lambda: False,
) -> int:
    """Remove the old products of all subscriptions; return how many went.

    A destination that cannot be reached is left for the next round.
    """
    removed, after = 0, ""
    while not given_up():
        asked = {"after": after, "owner": "", "count": PAGE}
        rows = store.rows("list_subscriptions", SubscriptionRow, asked)
        for row in rows:
            wish = msgspec.json.decode(row.document, type=Subscription)
            retention = Retention(subscription_id=row.id, retention_days=retention_days)
            try:
                gone = remove_old(retention, wish.destination, destinations, clock(), given_up)
            except SlackwaterError as fault:
                _log.warning("old products of subscription %s stay for now: %s", row.id, fault)
                continue
            removed += len(gone)
            if gone:
                _log.info("removed %d old products of subscription %s", len(gone), row.id)
        if len(rows) < PAGE:
            break
        after = rows[-1].id
    return removed


@contextmanager
def retaining(store: Store, destinations: Destinations, retention_days: float) -> Iterator[None]:
    """Remove old products inside the block, round after round; 0 days keeps all for ever."""
    if retention_days <= 0:
        yield
        return
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(ROUND_S):
            try:
                retain(store, destinations, retention_days, given_up=ending.is_set)
            except SlackwaterError as fault:
                _log.warning("old products stay for now: %s", fault)

    threading.Thread(target=work, name="retaining", daemon=True).start()
    try:
        yield
    finally:
        ending.set()
