"""Follows all datasets for as long as the service lives.

Each dataset has a thread of its own, so that an archive that hangs holds up nobody else; there are
as many as the settings name datasets. They are daemons: one that hangs in a read does not keep the
service from ending. What it may still write then was never told, and is found anew.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from controller.clock import now
from controller.ports import Source
from controller.sources.messages import Announcement
from controller.sources.pace import Pace
from planner.errors import SlackwaterError
from planner.events import UpdateArrived

HAND_OVER_S = 0.2
"""Pause before an update is offered again to an inbox that is full [s]."""

CLOSE_S_MAX = 2.0
"""How long `close` waits for looks under way [s]; those that hang are left to themselves."""

DATASETS_MAX = 256
"""Datasets followed, a thread each."""

Put = Callable[[str, UpdateArrived], bool]
"""Takes an update under its id into the inbox; False if it is full, and is asked again."""


@runtime_checkable
class Announced(Protocol):
    """A source that learns of changes by announcements only."""

    def announce(self, announcement_id: str) -> bool:
        """Take an announcement, durably; False if it was known already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How following one dataset goes.

    Parameters
    ----------
    dataset : str
        Persistent identifier.
    last_success_at : float or None
        When a look last told for sure what is there [POSIX s].
    last_fault : str
        What went wrong last, in words; empty if nothing ever did.
    last_fault_at : float or None
        When [POSIX s].
    faults : int
        Looks in a row that failed.
    looking_since : float or None
        When the look began that is under way [POSIX s].
    waiting : bool
        Whether an update waits for room in the inbox.
    """

    dataset: str
    last_success_at: float | None = None
    last_fault: str = ""
    last_fault_at: float | None = None
    faults: int = 0
    looking_since: float | None = None
    waiting: bool = False

    @property
    def is_well(self) -> bool:
        """Whether the last look went well."""
        return self.faults == 0

    def words(self, now: float) -> str:
        """Return it in a sentence, at an instant [POSIX s]."""
        if self.faults:
            seen = _ago(self.last_success_at, now, "looked at well")
            times = "once" if self.faults == 1 else f"{self.faults} times in a row"
            return f"{self.dataset}: {self.last_fault} ({times}; {seen})"
        if self.looking_since is not None and self.last_success_at is None:
            return f"{self.dataset}: {_ago(self.looking_since, now, 'being looked at, begun')}"
        return f"{self.dataset}: {_ago(self.last_success_at, now, 'looked at')}"


def _ago(at: float | None, now: float, what: str) -> str:
    return f"never {what}" if at is None else f"{what} {max(0.0, now - at):.0f} s ago"


class Follower:
    """Looks at every source at its interval, or when a change is announced.

    Parameters
    ----------
    sources : mapping of str to Source
        By the dataset's identifier. Each is looked at by one thread only, this follower's.
    put : callable
        See `Put`; safe to call from any thread.
    poll_s : float
        Between two looks at a source [s].
    clock : callable
        Returns seconds that never go back.
    chance : callable
        Returns a number in [0, 1), anew each time.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        put: Put,
        *,
        poll_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        assert len(sources) <= DATASETS_MAX, "the settings bound the datasets"
        self._watches = {
            dataset: _Watch(
                dataset, source, put, pace=Pace(poll_s=poll_s), clock=clock, chance=chance
            )
            for dataset, source in sources.items()
        }

    def start(self) -> None:
        """Begin to look; returns at once."""
        for watch in self._watches.values():
            watch.start()

    def announce(self, announcement: Announcement) -> bool:
        """Take an announcement: its dataset is looked at now.

        Where nothing but announcements tells of a change it is durable when this returns.

        Returns
        -------
        bool
            False if it is known to have been taken before.

        Raises
        ------
        KeyError
            The dataset is not followed.
        StorageError
            It cannot be kept: the sender should try again.
        """
        return self._watches[announcement.dataset].announce(announcement.id)

    def health(self) -> tuple[Health, ...]:
        """Return how following each dataset goes, in the order of the sources."""
        return tuple(watch.health for watch in self._watches.values())

    def close(self) -> None:
        """Stop looking. What is put afterwards by a look that hung is nothing."""
        for watch in self._watches.values():
            watch.stop()
        until = time.monotonic() + CLOSE_S_MAX
        for watch in self._watches.values():
            watch.join(max(0.0, until - time.monotonic()))


class _Watch:
    """Follows one dataset, in a thread of its own."""

    def __init__(
        self,
        dataset: str,
        source: Source,
        put: Put,
        *,
        pace: Pace,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._dataset = dataset
        self._source = source
        self._put = put
        self._pace = pace
        self._clock = clock
        self._chance = chance
        self._last_at: float | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.health = Health(dataset=dataset)
        self._thread = threading.Thread(target=self._run, name=f"follow {dataset}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def announce(self, announcement_id: str) -> bool:
        """Take an announcement; False if it was known."""
        is_new = True
        if isinstance(self._source, Announced):
            is_new = self._source.announce(announcement_id)
        self.poke()
        return is_new

    def poke(self) -> None:
        """Look now."""
        with self._changed:
            self._pace = self._pace.poked(self._clock())
            self._changed.notify_all()

    def stop(self) -> None:
        """Do not look again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, patience_s: float) -> None:
        """Wait at most this long [s] for the look under way."""
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        while self._wait_until_due():
            update = self._look()
            if update is not None:
                self._hand_over(update)

    def _wait_until_due(self) -> bool:
        """Wait for the next look; False if there is none."""
        with self._changed:
            while not self._closed:
                delay_s = self._pace.due_in_s(self._clock(), self._last_at)
                if delay_s <= 0:
                    self._last_at = self._clock()
                    # An announcement from now on is of what this look may not see.
                    self._pace = replace(self._pace, next_at=float("inf"))
                    return True
                self._changed.wait(delay_s)
        return False

    def _look(self) -> UpdateArrived | None:
        self._tell(looking_since=now())
        try:
            update = self._source.look()
        except SlackwaterError as error:
            self._failed(str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a plug-in's fault is its dataset's alone
            self._failed(f"its source is broken: {type(error).__name__}: {error}")
            return None
        self._went_well()
        return update

    def _went_well(self) -> None:
        again_s = self._source.again_s
        if again_s is None:
            self._tell(faults=0, last_success_at=now(), looking_since=None)
        else:
            self._tell(faults=0, looking_since=None)
        self._set(lambda pace, now: pace.looked(now, self._chance(), again_s))

    def _failed(self, what: str) -> None:
        self._tell(
            faults=self.health.faults + 1,
            last_fault=what,
            last_fault_at=now(),
            looking_since=None,
        )
        self._set(lambda pace, now: pace.failed(now, self._chance()))

    def _set(self, after: Callable[[Pace, float], Pace]) -> None:
        """Take in how a look went; one that was asked for meanwhile stays due."""
        with self._changed:
            asked_at, now = self._pace.next_at, self._clock()
            pace = after(self._pace, now)
            self._pace = replace(pace, next_at=min(pace.next_at, asked_at))

    def _hand_over(self, update: UpdateArrived) -> None:
        """Put an update into the inbox, however long that takes."""
        update_id = f"{update.dataset}#{update.number}"
        while not self._closed and not self._put(update_id, update):
            self._tell(waiting=True)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, HAND_OVER_S)
        self._tell(waiting=False)

    def _tell(self, **facts: object) -> None:
        self.health = replace(self.health, **facts)  # type: ignore[arg-type]
