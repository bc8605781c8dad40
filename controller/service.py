"""The loop: what happened goes through the planner, into the record, and out to those who act.

One thread owns the planner. Everybody else (engine, node keeper, pools, API) only puts letters into
the inbox. A batch is handled in memory and written whole; only then is anything acted on.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controller.clock import now
from controller.errors import Overloaded, StorageError
from controller.telling import Batch, Board
from planner.commands import AnyCommand, WakeAt
from planner.core import Planner
from planner.errors import SlackwaterError
from planner.events import AnyEvent, Ticked
from planner.journal import Header, encode_header, encode_step

BATCH_MAX = 1000
"""Events handled before their commands go out: bounds how long a command can wait."""

IDLE_S_MAX = 0.5
"""The loop looks up at least this often [s], so that a request to stop is heard soon."""


INBOX_MAX = 100_000
"""Letters that may wait [count] before those from outside are refused: some seconds of work."""

MEND_S = 1.0
"""After a batch that could not be written the next is tried so much later [s]."""

Settled = Callable[[SlackwaterError | None], None]
"""Is told once that a letter is durable, or why it was refused."""

Step = tuple[AnyEvent, list[AnyCommand]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What happened, on its way to the planner.

    Parameters
    ----------
    event : AnyEvent
    message_id : str
        Of a message from outside; one that was taken in already changes nothing.
    settled : callable or None
        Whoever waits to hear that it is durable.
    """

    event: AnyEvent
    message_id: str = ""
    settled: Settled | None = None

    @property
    def is_from_outside(self) -> bool:
        """Whether its sender keeps it until it is durable, and will send it again."""
        return bool(self.message_id) or self.settled is not None

    def settle(self, fault: SlackwaterError | None = None) -> None:
        """Tell its sender what became of it."""
        if self.settled is not None:
            self.settled(fault)


class Inbox:
    """Where everybody puts what has happened; any thread may.

    Parameters
    ----------
    letters_max : int
        When so many wait, no more are taken from outside. What the service's own hands report is
        always taken: they have no more under way than they were told to do.
    """

    def __init__(self, letters_max: int = INBOX_MAX) -> None:
        self._letters: queue.SimpleQueue[Letter] = queue.SimpleQueue()
        self._letters_max = letters_max

    def put(self, event: AnyEvent) -> None:
        """Take in what our own hands report."""
        self._letters.put(Letter(event=event))

    def post(self, letter: Letter) -> None:
        """Take in a letter from outside.

        Raises
        ------
        Overloaded
            Too many wait.
        """
        if self._letters.qsize() >= self._letters_max:
            raise Overloaded(
                f"{self._letters_max} messages wait to be taken in", fix="Send it again later"
            )
        self._letters.put(letter)

    def __len__(self) -> int:
        """Return about how many letters wait."""
        return self._letters.qsize()

    def batch(self, patience_s: float) -> list[Letter]:
        """Wait at most this long [s] for a letter, then return all that are there."""
        letters: list[Letter] = []
        try:
            letters.append(self._letters.get(timeout=patience_s))
            while len(letters) < BATCH_MAX:
                letters.append(self._letters.get_nowait())
        except queue.Empty:
            pass
        return letters


Watch = Callable[[AnyEvent, list[AnyCommand]], None]
"""Is shown each step after it is durable: progress bars, notices, decision logs."""


def both(first: Watch, second: Watch) -> Watch:
    """Return a watch that shows each step to two."""

    def see(event: AnyEvent, commands: list[AnyCommand]) -> None:
        first(event, commands)
        second(event, commands)

    return see


Mend = Callable[[], tuple[Planner, Sequence[AnyCommand]]]
"""Returns a planner as the record has it, and what is recorded and was never begun."""


class Record(Protocol):
    """Where the loop writes what happened, before anything is acted on."""

    def known(self, message_ids: Sequence[str]) -> set[str]:
        """Return which messages from outside were taken in already."""

    def append(self, planner: Planner, steps: Sequence[Step], messages: Sequence[str]) -> None:
        """Write a batch that the planner has taken in, and return when it is durable.

        Raises
        ------
        StorageError
            Nothing of it was written.
        """


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

    def known(self, message_ids: Sequence[str]) -> set[str]:
        """Tell that no message was taken in before: a run has none from outside."""
        return set()

    def append(self, planner: Planner, steps: Sequence[Step], messages: Sequence[str]) -> None:
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
    record : Record
    inbox : Inbox
    outbox : Outbox
    watch : callable, optional
    mend : callable, optional
        After a batch that could not be written: returns a planner as the record has it, and the
        commands that are recorded though nobody was told so. Without it such a fault ends the loop.
    clock : callable
        Returns the time [POSIX s].

    Attributes
    ----------
    clock : callable
    board : Board
        How the service stands, for readers of any thread.
    fault : StorageError or None
        Why nothing can be taken in now.
    is_winding_down : bool
        Set it to begin nothing more: what is commanded is recorded, for the next service to do.
    """

    def __init__(
        self,
        planner: Planner,
        record: Record,
        inbox: Inbox,
        outbox: Outbox,
        watch: Watch = lambda event, commands: None,
        *,
        mend: Mend | None = None,
        clock: Callable[[], float] = now,
    ) -> None:
        self.planner = planner
        self.fault: StorageError | None = None
        self.is_winding_down = False
        self._record = record
        self._inbox = inbox
        self._outbox = outbox
        self._watch = watch
        self._mend = mend
        self.clock = clock
        self.board = Board(planner, clock())
        self._held: list[Letter] = []
        self._is_torn = False
        # A planner that was restored has asked for its wake-up in another life.
        self._wake_at = planner.books.desk.woken_for

    def run(self, done: Callable[[Planner], bool]) -> None:
        """Handle events until `done` says that nothing is left to do."""
        while not done(self.planner):
            letters = self._inbox.batch(self._patience_s())
            now = self.clock()
            self.board.look_up()
            if letters or self._held or self._is_awake(now):
                self.handle([*self._held, *letters], now)

    def handle(self, letters: Sequence[Letter], now: float) -> None:
        """Take one batch in at an instant [POSIX s], record it, act on it, and tell of it."""
        began = time.perf_counter()
        steps = self._taken_in(letters, now)
        self.board.publish(
            self.planner,
            Batch(
                at=now,
                steps=steps,
                took_s=time.perf_counter() - began,
                inbox=len(self._inbox),
                fault="" if self.fault is None else str(self.fault),
            ),
        )
        # Whoever asks how things stand once it is settled is told of them as they are since.
        for letter in letters:
            letter.settle(self.fault)

    def _taken_in(self, letters: Sequence[Letter], now: float) -> int:
        """Take a batch in, record it, and act on it; return how many steps it was."""
        self._held = []
        try:
            self._mend_if_torn()
            steps = self._recorded(self._unknown(letters), now)
        except StorageError as fault:
            self._put_off(letters, fault)
            return 0
        if self.fault is not None:
            # The planner's wake-up gave way to that of the next try, and is not asked for twice.
            self.fault, self._wake_at = None, self.planner.books.desk.woken_for
        for event, answer in steps:
            self._watch(event, answer)
        self._act([command for _, answer in steps for command in answer])
        return len(steps)

    def _recorded(self, letters: Sequence[Letter], now: float) -> list[Step]:
        """Have the planner take a batch in and return its steps when they are durable."""
        self._is_torn = True  # Until the record has all that the planner has.
        steps = [(each.event, self.planner.handle(each.event)) for each in letters]
        tick = Ticked(at=now)
        commands = self.planner.handle(tick)
        if self.planner.changed:
            steps.append((tick, commands))
        messages = [each.message_id for each in letters if each.message_id]
        self._record.append(self.planner, steps, messages)
        self._is_torn = False
        return steps

    def _unknown(self, letters: Sequence[Letter]) -> list[Letter]:
        """Leave out messages that were taken in before."""
        names = [letter.message_id for letter in letters if letter.message_id]
        seen = self._record.known(names) if names else set()
        fresh: list[Letter] = []
        for letter in letters:
            name = letter.message_id
            if not name or name not in seen:
                seen.add(name)
                fresh.append(letter)
        return fresh

    def _put_off(self, letters: Sequence[Letter], fault: StorageError) -> None:
        """Forget a batch that could not be written; what our own hands reported is kept for later.

        Raises
        ------
        StorageError
            Nothing suggests that it will be any better.
        """
        if self._mend is None or not fault.retry:
            raise fault
        self.fault = fault
        self._held = [each for each in letters if not each.is_from_outside]
        self._wake_at = self.clock() + MEND_S
        try:
            self._mend_if_torn()
        except StorageError as again:
            if not again.retry:
                raise

    def _mend_if_torn(self) -> None:
        """Have a planner again that is as the record has it.

        A database that is lost while it commits has done so or not: what it did is acted on now.
        """
        if self._is_torn and self._mend is not None:
            self.planner, commands = self._mend()
            self._is_torn = False
            self._act(list(commands))

    def _act(self, commands: list[AnyCommand]) -> None:
        wakes = [command.wake_at for command in commands if isinstance(command, WakeAt)]
        self._wake_at = wakes[-1] if wakes else self._wake_at
        if not self.is_winding_down:
            self._outbox.carry_out(c for c in commands if not isinstance(c, WakeAt))

    def _is_awake(self, now: float) -> bool:
        if self._wake_at is None or now < self._wake_at:
            return False
        self._wake_at = None
        return True

    def _patience_s(self) -> float:
        if self.fault is not None:
            return MEND_S
        if self._wake_at is None:
            return IDLE_S_MAX
        return min(IDLE_S_MAX, max(0.0, self._wake_at - self.clock()))
