"""What makes the loop durable: each batch is one transaction, and a restart goes on from there.

A batch writes the messages that it took in, its steps, the commands that are under way because of
it, those that have ended, and the rows of listings that it touched. Only then is anything acted on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.clock import now
from controller.errors import StorageError
from controller.garbage import no_search, search
from controller.listing import PLACES_PER_STEP, Listing, Step
from controller.outbox import Outbox, is_wanted, key_of
from controller.store.database import Row
from controller.store.listed import NodeRow, TaskRow
from controller.store.store import Kept, Store, Write, header_write
from planner.books import Snapshot
from planner.commands import AnyCommand
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.journal import (
    Header,
    decode_command,
    decode_step,
    encode_command,
    join_step,
)
from planner.keeping import decode_snapshot, encode_state, holds_rows
from planner.scaling.policy import Policy
from planner.settings import PlannerSettings

NODES_LISTED_MAX = 100_000
"""Standing nodes that are read back: more than any provider gives us."""

FRESH_MAX = 10_000
"""Events and commands after which garbage is searched for: some milliseconds' work."""

MESSAGES_KEPT_S = 30 * 86400.0
"""A message that comes again within this time [s] changes nothing; senders try for days at most."""

STANDING_NODES = {"standing_only": 1, "before": math.inf, "after": "", "count": NODES_LISTED_MAX}
"""Asks the listing of nodes for all that stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a service goes on from.

    Parameters
    ----------
    planner : Planner
    commands : tuple of AnyCommand
        Under way when the last service ended, in order.
    is_new : bool
        Whether the store was empty.
    """

    planner: Planner
    commands: tuple[AnyCommand, ...]
    is_new: bool


class Recorder:
    """Writes what the loop does into a store, and brings a planner back from it.

    Parameters
    ----------
    store : Store
        Whose lease this service holds.
    build : str
        Program and version.
    settings : PlannerSettings
        For a store that is empty; later ones come as events.
    policies : mapping of str to Policy
    clock : callable
        Returns the time [POSIX s].
    """

    def __init__(
        self,
        store: Store,
        build: str,
        settings: PlannerSettings,
        policies: Mapping[str, Policy],
        clock: Callable[[], float] = now,
    ) -> None:
        self.store = store
        self._build = build
        self._settings = settings
        self._policies = policies
        self._clock = clock
        self._outbox = Outbox()
        self._listing = Listing()
        self._fresh = 0
        self.seq = 0
        self.snapshot_seq = 0

    def recover(self) -> Recovered:
        """Return a planner as the store's last step left it, and the commands under way.

        Raises
        ------
        BrokenJournal
            The planner of this build decides otherwise than the one that wrote the journal.
        """
        with no_search():
            return self._recover()

    def _recover(self) -> Recovered:
        is_new = self.store.snapshot() is None
        planner, seq, kept = self._replayed()
        if holds_rows(kept.state):
            move_rows_out(self.store, planner, seq)
            kept = keep_state(self.store, planner.snapshot(), seq, kept.build, self._clock())
        outbox = self._outbox_of(planner)
        listing = Listing(
            self.store.rows("open_tasks", TaskRow, {}),
            self.store.rows("list_nodes", NodeRow, STANDING_NODES),
        )
        # Whole or not at all: it may be called again when the store fails in the midst of it.
        self.seq, self.snapshot_seq = seq, kept.seq
        self._outbox, self._listing = outbox, listing
        return Recovered(planner=planner, commands=tuple(outbox.commands.values()), is_new=is_new)

    def mend(self) -> tuple[Planner, tuple[AnyCommand, ...]]:
        """Recover after a batch that could not be written, or was though nobody was told so.

        Returns
        -------
        planner : Planner
        commands : tuple of AnyCommand
            Of a batch that was written after all: nobody has begun them.

        Raises
        ------
        StorageError
            The store cannot be read or written yet; to be called again.
        """
        before = self.seq
        recovered = self.recover()
        try:
            unbegun = dict(self.store.open_commands((before + 1) * PLACES_PER_STEP))
        except StorageError:
            self.seq = before
            raise
        return recovered.planner, tuple(c for c in recovered.commands if key_of(c) in unbegun)

    def known(self, message_ids: Sequence[str]) -> set[str]:
        """Return which messages from outside were taken in already."""
        return self.store.known(message_ids)

    def append(self, planner: Planner, steps: Sequence[Step], messages: Iterable[str]) -> None:
        """Write a batch that a planner has taken in, and return when it is durable.

        Raises
        ------
        StorageError
            Nothing was written; the planner is ahead of the store, and must be recovered.
        Fenced
            Another service has taken over.
        """
        first = self.seq + 1
        taken = self._outbox.take(steps)
        lines, texts = _encoded(steps, taken.opened)
        now = self._clock()
        writes: dict[str, list[Row]] = {
            "add_message": [{"id": each, "taken_at": now} for each in messages],
            "add_line": [{"seq": seq, "line": line} for seq, line in enumerate(lines, start=first)],
            "settle_command": [{"key": key} for key in taken.ended],
            "open_command": [
                {"key": key, "place": place, "command": text}
                for place, (key, text) in enumerate(texts.items(), start=first * PLACES_PER_STEP)
            ],
        }
        filled = [Write(query=query, rows=tuple(rows)) for query, rows in writes.items() if rows]
        listed = self._listing.writes(planner.books, steps, first, taken.stale)
        self.store.commit([*filled, *listed])
        self.seq += len(steps)
        self._fresh += len(steps) + len(taken.opened)
        if self._fresh >= FRESH_MAX:
            self._fresh = 0
            search()

    def keep_snapshot(self, snapshot: Snapshot, seq: int) -> None:
        """Keep the state after a step, from which the next restart begins."""
        keep_state(self.store, snapshot, seq, self._build, self._clock())
        self.snapshot_seq = seq

    def kept(self, seq: int) -> None:
        """Note that somebody has kept a snapshot of the state after a step."""
        self.snapshot_seq = seq
        search()

    def tidy(self, planner: Planner) -> None:
        """Drop what is of no use any more: commands of nodes that are gone, very old messages."""
        keys = self._outbox.unwanted(planner.books)
        before = self._clock() - MESSAGES_KEPT_S
        writes = [Write(query="forget_messages", rows=({"before": before},))]
        if keys:
            rows = tuple({"key": key} for key in keys)
            writes.append(Write(query="settle_command", rows=rows))
        self.store.commit(writes)
        self._outbox.drop(keys)

    def _begin(self) -> Kept:
        """Begin a journal in an empty store."""
        planner = Planner(self._settings, self._policies)
        header = Header(build=self._build, settings=self._settings)
        self.store.commit([header_write(0, header)])
        return keep_state(self.store, planner.snapshot(), 0, self._build, self._clock())

    def _replayed(self) -> tuple[Planner, int, Kept]:
        """Return the planner, the last step, and the snapshot it was replayed from."""
        while True:
            kept = self.store.snapshot() or self._begin()
            try:
                planner, seq = replayed(self.store, kept, self._build, self._policies)
            except BrokenJournal:
                newest = self.store.snapshot()
                if newest is None or newest.seq == kept.seq:
                    raise
                continue  # The lines behind it were dropped meanwhile, for a newer one was taken.
            return planner, seq, kept

    def _outbox_of(self, planner: Planner) -> Outbox:
        found = {key: decode_command(text) for key, text in self.store.open_commands()}
        wanted = {key: each for key, each in found.items() if is_wanted(each, planner.books)}
        if unwanted := found.keys() - wanted.keys():
            rows = tuple({"key": key} for key in unwanted)
            self.store.commit([Write(query="settle_command", rows=rows)])
        return Outbox(wanted)


def _encoded(
    steps: Sequence[Step], opened: Mapping[str, AnyCommand]
) -> tuple[list[str], dict[str, str]]:
    """Return the journal's lines, and the commands under way by key; each is encoded once."""
    keys = {id(command): key for key, command in opened.items()}
    lines: list[str] = []
    texts: dict[str, str] = {}
    for event, commands in steps:
        encoded = [encode_command(command) for command in commands]
        lines.append(join_step(event, encoded)[:-1].decode())
        for command, text in zip(commands, encoded, strict=True):
            if key := keys.get(id(command)):
                texts[key] = text.decode()
    return lines, texts


def replayed(
    store: Store, kept: Kept, build: str, policies: Mapping[str, Policy], upto: int | None = None
) -> tuple[Planner, int]:
    """Return the planner after a step, or after the last, and that step's number.

    Parameters
    ----------
    store : Store
    kept : Kept
        The snapshot to begin from.
    build : str
        Program and version that replays.
    policies : mapping of str to Policy
    upto : int, optional
        The last step to replay.

    Raises
    ------
    BrokenJournal
        This build decides otherwise than the one that wrote the journal, or a newer snapshot has
        been kept meanwhile, for which subscriptions and steps of this one were dropped.
    """
    rows = store.subscriptions(kept.seq)
    planner = Planner.restore(decode_snapshot(kept.state, policies, rows), policies)
    seq = kept.seq
    for number, line in store.lines(kept.seq, upto):
        step = decode_step(line, number)
        if number != seq + 1 or tuple(planner.handle(step.event)) != step.commands:
            raise BrokenJournal(
                f"step {number} of the store, a {type(step.event).__name__}, is decided otherwise"
                f" by {build} than by {kept.build}, which wrote it",
                fix="Start the old version, end it with SIGTERM, and start this one again",
            )
        seq = number
    return planner, seq


def keep_state(store: Store, snapshot: Snapshot, seq: int, build: str, at: float) -> Kept:
    """Keep the state after a step, taken at an instant [POSIX s]: the next restart begins from it.

    Raises
    ------
    BrokenJournal
        The store does not hold the subscriptions that the state leaves out.
    """
    store.check_subscriptions(seq, len(snapshot.registry.rows))
    kept = Kept(seq=seq, build=build, state=encode_state(snapshot))
    store.keep_snapshot(kept, at)
    return kept


def move_rows_out(store: Store, planner: Planner, seq: int) -> None:
    """Have the store hold the rows that its last snapshot holds, as each did before schema 4."""
    store.number_subscriptions(planner.books.registry.state.rows.items(), seq)
