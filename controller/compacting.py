"""Asks for a full product of each subscription again and again, as long as the settings say.

Increments pile up at a destination; who opens it for the first time reads them all. Each
subscription has its own instant in a period, so that they do not all fall due at once, and each
request an id: asked again, after a restart or a takeover, it changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.clock import now
from controller.errors import Overloaded, StorageError
from controller.recording import MESSAGES_KEPT_S
from controller.service import Inbox, Letter
from controller.store.listed import SubscriptionRow
from controller.store.store import Store
from planner.events import FullProductRequested

ROUND_S = 600.0
"""Pause between two rounds over all subscriptions [s]."""

LATE_S_MAX = MESSAGES_KEPT_S / 2
"""What fell due longer ago [s], while no service ran, is left to the next time: nobody would know
any more whether it was asked for."""

PAGE = 500
"""Subscriptions read from the store at a time."""

DAY_S = 86400.0

_log = logging.getLogger(__name__)


def due_at(subscription_id: str, every_s: float, at: float) -> float:
    """Return the last instant at or before another at which a full product is due [POSIX s].

    Parameters
    ----------
    subscription_id : str
    every_s : float
        Length of the period [s].
    at : float
        [POSIX s]
    """
    digest = hashlib.sha256(subscription_id.encode()).digest()
    phase_s = int.from_bytes(digest[:6]) / 2**48 * every_s
    return (at - phase_s) // every_s * every_s + phase_s


def ask_for_full(
    store: Store,
    inbox: Inbox,
    every_days: float,
    *,
    clock: Callable[[], float] = now,
    given_up: Callable[[], bool] = lambda: False,
) -> int:
    """Ask for a full product of each subscription of which one is due; return how many were asked.

    Of one that is paused, or was made or changed since it fell due, none is.

    Raises
    ------
    Overloaded
        Too much waits already; the rest is for the next round.
    StorageError
        The store cannot be read.
    """
    asked, after, at = 0, "", clock()
    while not given_up():
        page = {"after": after, "owner": "", "count": PAGE}
        rows = store.rows("list_subscriptions", SubscriptionRow, page)
        for row in rows:
            fell_due_at = due_at(row.id, every_days * DAY_S, at)
            message_id = f"full product of {row.id} due {fell_due_at:.0f}"
            is_due = row.changed_at < fell_due_at and at - fell_due_at < LATE_S_MAX
            if is_due and not row.paused and not store.knows(message_id):
                event = FullProductRequested(at=at, subscription_id=row.id)
                inbox.post(Letter(event=event, message_id=message_id))
                asked += 1
        if len(rows) < PAGE:
            break
        after = rows[-1].id
    return asked


@contextmanager
def compacting(store: Store, inbox: Inbox, every_days: float) -> Iterator[None]:
    """Ask for full products inside the block, round after round; 0 days asks for none."""
    if every_days <= 0:
        yield
        return
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(ROUND_S):
            try:
                if asked := ask_for_full(store, inbox, every_days, given_up=ending.is_set):
                    _log.info("%d full products were due and asked for", asked)
            except (Overloaded, StorageError) as fault:
                _log.warning("full products wait: %s", fault)

    thread = threading.Thread(target=work, name="compacting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
