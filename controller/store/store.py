"""The store of one service: a transaction a batch, what a restart begins from, and listings.

Only the service that took the lease last may write. Taking it counts the epoch up, and every
transaction asks for its own epoch first: a service that was taken for dead can do no more harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, TypeVar

import msgspec

from controller.errors import Fenced
from controller.store.database import Connection, Database, Row
from controller.store.named import queries
from planner.errors import BrokenJournal
from planner.journal import Header, decode_header, decode_step, encode_header
from planner.keeping import Rows
from planner.model import Subscription
from planner.registry import Row as Standing

PIECE_BYTES = 2**20
"""A snapshot is written in pieces of this size [bytes], some milliseconds each."""

READ_LINES_MAX = 10_000
"""Lines of the journal held in memory at a time while it is replayed."""

SUBSCRIPTIONS_AT_ONCE = 10_000
"""Rows of subscriptions read at a time: some tens of milliseconds."""

MESSAGES_AT_ONCE = 1_024
"""Ids of messages in one query: databases take some thousands of parameters."""

CHANGED_AT_ONCE = 1_000
"""Rows changed or dropped in one transaction where no batch of the loop asks for it."""


Listed = TypeVar("Listed")
"""A dataclass whose fields are those that a listing's query selects, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One statement of `queries.sql` with its rows."""

    query: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A snapshot as it is kept: the state after step `seq`.

    The rows of subscriptions are not in it: the store finds those of any step since the last
    snapshot (`Store.subscriptions`).
    """

    seq: int
    build: str
    state: bytes


class Store:
    """Keeps what the service must not forget.

    Parameters
    ----------
    database : Database
        Of this program's schema (`controller.store.schema.upgrade`).
    holder : str
        Who writes, in words: for those who wait for the lease.
    """

    def __init__(self, database: Database, holder: str) -> None:
        self.database = database
        self.holder = holder
        self.epoch = 0
        self._queries = queries("controller.store")

    def take_lease(self) -> int:
        """Become the one that may write; return the epoch. Whoever held the lease is fenced off.

        Raises
        ------
        Fenced
            Another one took it at the same time.
        """
        with self.database.transaction() as connection:
            ((epoch, _, _),) = self._fetch(connection, "read_lease")
            row = {"epoch": epoch, "holder": self.holder}
            if not self._change(connection, "take_lease", row):
                raise Fenced("another service has just taken over the store")
        self.epoch = int(epoch) + 1
        return self.epoch

    def beat(self) -> None:
        """Show those who wait that the lease is still held.

        Raises
        ------
        Fenced
            Another service has taken the lease.
        """
        self.commit(())

    def commit(self, writes: Iterable[Write]) -> None:
        """Write all of it or nothing, and return when it is durable.

        Raises
        ------
        StorageError
            It cannot be written; nothing of it was.
        Fenced
            Another service has taken the lease.
        """
        with self.database.transaction() as connection:
            if not self._change(connection, "beat", {"epoch": self.epoch}):
                raise Fenced(
                    f"another service has taken over the store from {self.holder}",
                    fix="See which of the two is to run; this one ends",
                )
            for write in writes:
                connection.change_many(self._queries[write.query], write.rows)

    def lease(self) -> tuple[int, str, int]:
        """Return epoch, holder and beats of the lease."""
        with self.database.reading(urgent=True) as connection:
            ((epoch, holder, beat),) = self._fetch(connection, "read_lease")
        return int(epoch), str(holder), int(beat)

    def is_held(self) -> bool:
        """Tell whether this service holds the lease still."""
        return self.lease()[0] == self.epoch

    # --- what a restart begins from

    def header(self, seq: int) -> Header | None:
        """Return the header in force after a step, None in an empty store."""
        with self.database.reading() as connection:
            found = self._fetch(connection, "last_header", {"seq": seq})
        return decode_header(found[0][1].encode()) if found else None

    def snapshot(self) -> Kept | None:
        """Return the newest snapshot."""
        with self.database.reading() as connection:
            found = self._fetch(connection, "last_snapshot")
            if not found:
                return None
            seq, build = found[0]
            pieces = self._fetch(connection, "snapshot_pieces", {"seq": seq})
        state = b"".join(bytes(content) for (content,) in pieces)
        return Kept(seq=int(seq), build=str(build), state=state)

    def last_at(self) -> float:
        """Return when the last thing happened that is kept here [POSIX s], 0 in an empty store."""
        with self.database.reading() as connection:
            ((taken_at,),) = self._fetch(connection, "newest_snapshot")
            found = self._fetch(connection, "newest_line")
        steps = (decode_step(line.encode() + b"\n", int(seq)) for seq, line in found)
        return max(float(taken_at), *(step.event.at for step in steps), 0.0)

    def keep_snapshot(self, kept: Kept, at: float) -> None:
        """Keep a snapshot that was taken at an instant [POSIX s], and drop those before it.

        Written in pieces, between which the loop may write.
        """
        for number, first in enumerate(range(0, max(1, len(kept.state)), PIECE_BYTES)):
            content = kept.state[first : first + PIECE_BYTES]
            row = {"seq": kept.seq, "number": number, "content": content}
            self.commit([Write(query="add_snapshot_piece", rows=(row,))])
        row = {"seq": kept.seq, "build": kept.build, "taken_at": at}
        self.commit([Write(query="add_snapshot", rows=(row,))])
        before = ({"seq": kept.seq},)
        self.commit([Write(query="drop_snapshots_before", rows=before)])
        self.commit([Write(query="drop_pieces_before", rows=before)])
        self._drop_former_subscriptions(kept.seq)

    def subscriptions(self, seq: int) -> Rows:
        """Yield key and row of the subscriptions that stood after a step, in order of arrival.

        The step must be the last of a batch, and no older than the last snapshot. Rows may change
        meanwhile: one that did is found among the former ones, under the same key.
        """
        asked = {"seq": seq, "after": -1, "count": SUBSCRIPTIONS_AT_ONCE}
        while True:
            with self.database.reading() as connection:
                found = self._fetch(connection, "subscriptions_at", asked)
            # One list is decoded much faster than its members one by one.
            documents = "[" + ",".join(document for _, _, document in found) + "]"
            wishes = msgspec.json.decode(documents, type=list[Subscription])
            for (key, covered, _), wish in zip(found, wishes, strict=True):
                yield key, Standing(subscription=wish, covered_to=_offered(covered))
            if len(found) < SUBSCRIPTIONS_AT_ONCE:
                return
            asked["after"] = found[-1][0]

    def number_subscriptions(self, rows: Rows, seq: int) -> None:
        """Give rows of before schema 4 what a snapshot after a step needs of them."""
        numbered = (
            {"id": row.subscription.id, "key": key, "seq": seq, "covered": covered_text(row)}
            for key, row in rows
        )
        while some := tuple(islice(numbered, CHANGED_AT_ONCE)):
            self.commit([Write(query="number_subscription", rows=some)])

    def check_subscriptions(self, seq: int, count: int) -> None:
        """See that the rows are there that a snapshot after a step is about to leave out.

        Raises
        ------
        BrokenJournal
            There are more or fewer.
        """
        with self.database.reading() as connection:
            ((found,),) = self._fetch(connection, "count_subscriptions_at", {"seq": seq})
        if found != count:
            raise BrokenJournal(
                f"the store holds {found} subscriptions after step {seq}, the planner {count}",
                fix="Restore a backup (`slackwater db restore`), and report how it came to this",
            )

    def _drop_former_subscriptions(self, seq: int) -> None:
        """Drop versions that no snapshot asks for any more, some at a time."""
        asked = {"seq": seq, "count": CHANGED_AT_ONCE}
        while True:
            with self.database.reading() as connection:
                found = self._fetch(connection, "former_subscriptions_until", asked)
            if not found:
                return
            rows = tuple({"key": key, "from_seq": from_seq} for key, from_seq in found)
            self.commit([Write(query="drop_former_subscription", rows=rows)])

    def lines(self, after: int, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield number and line of the journal's steps behind one, up to another, in order."""
        query = f"{self._queries['lines_after']} LIMIT :count"
        while upto is None or after < upto:
            with self.database.reading() as connection:
                found = connection.fetch(query, {"seq": after, "count": READ_LINES_MAX})
            for number, line in found:
                if upto is not None and number > upto:
                    return
                after = int(number)
                yield after, line.encode() + b"\n"
            if len(found) < READ_LINES_MAX:
                return

    def open_commands(self, first: int = 0) -> list[tuple[str, bytes]]:
        """Return key and JSON of the commands whose outcome is not known, from a place on."""
        with self.database.reading() as connection:
            found = self._fetch(connection, "open_commands", {"first": first})
        return [(str(key), str(command).encode()) for key, command in found]

    def open_tasks(self) -> list[tuple[str, str]]:
        """Return the ids of the tasks that have not ended, each with that of its product."""
        with self.database.reading() as connection:
            found = self._fetch(connection, "open_products")
        return [(str(task_id), str(product_id)) for task_id, product_id in found]

    def knows(self, message_id: str) -> bool:
        """Tell whether a message from outside was taken in already."""
        with self.database.reading() as connection:
            return bool(self._fetch(connection, "find_message", {"id": message_id}))

    def known(self, message_ids: Sequence[str]) -> set[str]:
        """Return which messages from outside were taken in already, of a batch of them.

        It is for the loop: one query, that waits for nobody who lists.
        """
        found: set[str] = set()
        for first in range(0, len(message_ids), MESSAGES_AT_ONCE):
            asked = listed(message_ids[first : first + MESSAGES_AT_ONCE])
            names = ", ".join(f":{name}" for name in asked)
            query = self._queries["find_messages"].replace(":ids", names)
            with self.database.reading(urgent=True) as connection:
                found.update(str(name) for (name,) in connection.fetch(query, asked))
        return found

    # --- listings

    def rows(self, query: str, kind: type[Listed], row: Row) -> list[Listed]:
        """Return what a listing's query finds, as values of the kind whose fields it selects."""
        with self.database.reading() as connection:
            found = self._fetch(connection, query, row)
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        return [kind(**dict(zip(names, values, strict=True))) for values in found]

    def _fetch(
        self, connection: Connection, query: str, row: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        return connection.fetch(self._queries[query], row or {})

    def _change(self, connection: Connection, query: str, row: Row) -> int:
        return connection.change(self._queries[query], row)


def header_write(seq: int, header: Header) -> Write:
    """Return what states the header in force from a step on."""
    text = encode_header(header).decode().rstrip("\n")
    return Write(query="add_header", rows=({"seq": seq, "header": text},))


def listed(values: Sequence[str]) -> dict[str, str]:
    """Return values as parameters of a list, the last repeated until they are a power of two.

    So there are a dozen statements for a database to prepare, instead of one for each length.
    """
    size = 1 << (len(values) - 1).bit_length()
    return {f"v{n}": values[min(n, len(values) - 1)] for n in range(size)}


def covered_text(row: Standing) -> str:
    """Return what a subscription was offered when it was paused, as it stands in its row."""
    return "" if row.covered_to is None else msgspec.json.encode(row.covered_to).decode()


def _offered(covered: str) -> dict[str, int] | None:
    return msgspec.json.decode(covered, type=dict[str, int]) if covered else None
