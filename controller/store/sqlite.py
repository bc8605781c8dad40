"""A store in one file of SQLite, with a write-ahead log: nothing to install, nothing to run."""

from __future__ import annotations

import fcntl
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from controller.errors import StorageError
from controller.store.database import Connection, Row

BUSY_S_MAX = 10.0
"""A writer waits so long for another process, such as a backup, to let go of the file [s]."""

LOG_BYTES_MAX = 64 * 2**20
"""The write-ahead log is cut back to this size [bytes] once all of it is in the file: a long read,
such as a backup, lets it grow, and its disk space would never be given back."""

VERSION_TABLE = "schema_version"
"""Stands in every store, whatever its schema (`controller.store.schema`)."""

_FAULTS = {
    sqlite3.SQLITE_FULL: ("is full", "Free space there; it is tried again", True),
    sqlite3.SQLITE_IOERR: ("cannot be written or read", "See to its disk; it is tried again", True),
    sqlite3.SQLITE_BUSY: ("is held by another program", "End that program", True),
    sqlite3.SQLITE_READONLY: ("may not be written to", "Give this user the right", True),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Name a file in a folder that is there", False),
    sqlite3.SQLITE_NOTADB: ("is no database", "Name another file, or restore a backup", False),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Restore a backup (`slackwater db restore`)", False),
}
"""What each primary result code means: what happened, what to do, whether a retry may help."""


class SqliteDatabase:
    """One file; see `controller.store.database.Database`.

    Parameters
    ----------
    path : Path
        Made if it is missing, for its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        self._writing = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._held: IO[bytes] | None = None
        with faults_named(path):
            path.touch(mode=0o600, exist_ok=True)
            self._writer = self._connect()
            # In a file that is none of ours this fails before anything of it has changed.
            _refuse_foreign(self._writer, path)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: all of the block or nothing of it, and durable when it has ended."""
        with self._writing, faults_named(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteConnection(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self, *, urgent: bool = False) -> Iterator[Connection]:
        """Read a consistent state, from any thread; nobody waits for anybody, urgent or not."""
        with faults_named(self.path):
            reader = self._reader()
            try:
                reader.execute("BEGIN")
                try:
                    yield SqliteConnection(reader)
                finally:
                    reader.execute("ROLLBACK")
            finally:
                # Threads come and go with the API's clients; their connections are few, and stay.
                self._readers.put(reader)

    def hold(self) -> bool:
        """Try to hold the database until the end of this process; tell whether nobody else does."""
        if self._held is None:
            with faults_named(self.path):
                self._held = held(self.path)
        return self._held is not None

    def close(self) -> None:
        """Close all connections, and let go."""
        if self._held is not None:
            self._held.close()
        self._writer.close()
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
            return reader

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
        )


class SqliteConnection:
    """See `controller.store.database.Connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def change(self, statement: str, row: Row) -> int:
        """Carry a statement out; return how many rows it changed."""
        return self.connection.execute(statement, row).rowcount

    def change_many(self, statement: str, rows: Iterable[Row]) -> None:
        """Carry a statement out for each row."""
        self.connection.executemany(statement, rows)

    def fetch(self, statement: str, row: Row) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        return self.connection.execute(statement, row).fetchall()


@contextmanager
def reading_file(path: Path) -> Iterator[SqliteConnection]:
    """Read a file as it stands, which is not changed: not even its mode.

    Raises
    ------
    StorageError
    """
    with faults_named(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S_MAX
        )
        with closing(connection):
            connection.isolation_level = None
            connection.execute("BEGIN")
            yield SqliteConnection(connection)


def held(path: Path) -> IO[bytes] | None:
    """Hold a store's file until what is returned is closed; None if somebody else does."""
    lock = path.with_name(f"{path.name}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Raise what befalls a file inside the block as `StorageError`, with what helps."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what, fix, retry = _FAULTS.get(code, (f"failed ({error})", "", False))
        raise StorageError(f"store {path} {what}", fix=fix, retry=retry) from error
    except OSError as error:
        raise StorageError(
            f"store {path} cannot be opened: {error.strerror}",
            fix="Name a file in a folder that is there, and that this user may write to",
            retry=False,
        ) from error


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that another program made, before anything of it is changed."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if names and VERSION_TABLE not in names:
        raise StorageError(
            f"{path} is a database of another program", fix="Name another file", retry=False
        )
