"""One service at a time on a store: who may write, how a second one finds out, and who takes over.

The database knows at once whether the last holder lives (a lock that its process or connection
holds). One that lives but hangs is known by its beat, which stands still; it is fenced off when
another takes the lease. Beats are counted by who watches, so no two clocks are ever compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.errors import Fenced, StorageError
from controller.store.store import Store

BEAT_S = 1.0
"""The holder shows so often [s] that it lives."""

LEASE_S = 5.0
"""A holder whose beat stands still for so long [s] has lost its lease: five beats are missing."""

WATCH_S = 0.25
"""A second service looks so often [s]."""

ABSENT = (-1, "", -1)
"""What stands for the lease of a store that is out of reach."""


def take(
    store: Store,
    *,
    waits: bool,
    given_up: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Take the lease of a store as soon as nobody holds it; return False when that was given up.

    Parameters
    ----------
    store : Store
    waits : bool
        Stand by while another service lives, instead of refusing to start.
    given_up : callable
        Asked again and again whether nobody wants the lease any more.
    clock, pause : callable
        Time [s], and how to wait for some.

    Raises
    ------
    Fenced
        Another service lives, and this one does not wait.
    """
    seen, still_since = store.lease(), clock()
    locks_tell = True
    while not given_up():
        try:
            if (locks_tell and store.database.hold()) or clock() - still_since > LEASE_S:
                store.take_lease()
                return True
            now = store.lease()
        except (StorageError, Fenced) as fault:
            if not waits or (isinstance(fault, StorageError) and not fault.retry):
                raise
            # Nobody can tell now how the other one does, and it may have lost its lock as well.
            now, locks_tell = ABSENT, False
        if now != seen:
            if not waits:
                raise Fenced(
                    f"service {now[1]} runs on store {store.database.name}",
                    fix="Give this one a data folder of its own, or let it stand by (--standby)",
                )
            locks_tell = locks_tell or ABSENT not in (now, seen)  # It lives, and has its lock.
            seen, still_since = now, clock()
        pause(WATCH_S)
    return False


class Heart:
    """Beats for a holder from a thread of its own.

    Attributes
    ----------
    fault : Fenced or None
        Another service has taken over.
    """

    def __init__(self, store: Store) -> None:
        self.fault: Fenced | None = None
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._thread.start()

    def join(self, patience_s: float) -> None:
        """Wait at most so long [s] for the last beat: that of a heart whose lease was taken."""
        self._thread.join(patience_s)

    def close(self) -> None:
        """Beat no more."""
        self._stopping.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_S):
            try:
                self._store.beat()
                # Whoever took over from one that hung, or lost its connection, holds no lock yet.
                self._store.database.hold()
            except Fenced as fault:
                self.fault = fault
                return
            except StorageError:
                pass  # A full disk is no reason to be taken for dead, and the loop tells of it.


@contextmanager
def beating(store: Store) -> Iterator[Heart]:
    """Beat inside the block."""
    heart = Heart(store)
    try:
        yield heart
    finally:
        heart.close()
