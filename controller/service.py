"""The loop: what happened goes through the planner, into the journal, and out to those who act.

One thread owns the planner. Everybody else (engine, node keeper, pools) only puts events into the
inbox. A batch of events is handled in memory and written whole; only then is anything acted on.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from controller.errors import StorageError
from planner.commands import AnyCommand, WakeAt
from planner.core import Planner
from planner.events import AnyEvent, Ticked
from planner.journal import Header, encode_header, encode_step

BATCH_MAX = 1000
"""Events handled before their commands go out: bounds how long a command can wait."""

IDLE_S_MAX = 0.5
"""The loop looks up at least this often [s], so that a request to stop is heard soon."""


class Inbox:
    """Where everybody puts what has happened; any thread may."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()

    def put(self, event: AnyEvent) -> None:
        """Take an event in."""
        self._events.put(event)

    def batch(self, patience_s: float) -> list[AnyEvent]:
        """Wait at most this long [s] for an event, then return all that are there."""
        events: list[AnyEvent] = []
        try:
            events.append(self._events.get(timeout=patience_s))
            while len(events) < BATCH_MAX:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        return events


Watch = Callable[[AnyEvent, list[AnyCommand]], None]
"""Is shown each step after it is durable: progress bars, notices, decision logs."""


class Outbox(Protocol):
    """Carries commands out; each outcome comes back as an event."""

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        """Begin to carry commands out; never blocks the loop for long."""


class JournalFile:
    """A journal on disk, synced once a batch.

    Parameters
    ----------
    path : Path or None
        None keeps no journal.
    header : Header

    Raises
    ------
    StorageError
        The file cannot be written, now or later: nothing may be acted on that is not in it.
    """

    def __init__(self, path: Path | None, header: Header) -> None:
        self._path = path
        with self._faults_named():
            self._file = path.open("wb", buffering=0) if path else None
        try:
            self._write(encode_header(header))
        except StorageError:
            self.close()
            raise

    def append(self, steps: Iterable[tuple[AnyEvent, list[AnyCommand]]]) -> None:
        """Write steps and return when they are durable."""
        self._write(b"".join(encode_step(event, commands) for event, commands in steps))

    def close(self) -> None:
        """Close the file; what was appended is durable already."""
        if self._file:
            self._file.close()

    def _write(self, data: bytes) -> None:
        if self._file and data:
            with self._faults_named():
                rest = memoryview(data)
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fdatasync(self._file.fileno())

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"journal {self._path} cannot be written: {error.strerror}",
                fix="Name a file on a disk with space, in a folder that is there",
                retry=False,
            ) from error


class Service:
    """The decision loop around one planner.

    Parameters
    ----------
    planner : Planner
    journal : JournalFile
    inbox : Inbox
    outbox : Outbox
    watch : callable, optional
    """

    def __init__(
        self,
        planner: Planner,
        journal: JournalFile,
        inbox: Inbox,
        outbox: Outbox,
        watch: Watch = lambda event, commands: None,
    ) -> None:
        self.planner = planner
        self._journal = journal
        self._inbox = inbox
        self._outbox = outbox
        self._watch = watch
        # A planner that was restored has asked for its wake-up in another life.
        self._wake_at = planner.books.desk.woken_for

    def run(self, done: Callable[[Planner], bool]) -> None:
        """Handle events until `done` says that nothing is left to do."""
        while not done(self.planner):
            batch = self._inbox.batch(self._patience_s())
            now = time.time()
            if batch or self._is_awake(now):
                self._step(batch, now)

    def _step(self, batch: list[AnyEvent], now: float) -> None:
        steps = [(event, self.planner.handle(event)) for event in batch]
        tick = Ticked(at=now)
        commands = self.planner.handle(tick)
        if self.planner.changed:
            steps.append((tick, commands))
        self._journal.append(steps)
        for event, answer in steps:
            self._watch(event, answer)
        self._act([command for _, answer in steps for command in answer])

    def _act(self, commands: list[AnyCommand]) -> None:
        wakes = [command.wake_at for command in commands if isinstance(command, WakeAt)]
        self._wake_at = wakes[-1] if wakes else self._wake_at
        self._outbox.carry_out(c for c in commands if not isinstance(c, WakeAt))

    def _is_awake(self, now: float) -> bool:
        if self._wake_at is None or now < self._wake_at:
            return False
        self._wake_at = None
        return True

    def _patience_s(self) -> float:
        if self._wake_at is None:
            return IDLE_S_MAX
        return min(IDLE_S_MAX, max(0.0, self._wake_at - time.time()))
