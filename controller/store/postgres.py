"""A store in a PostgreSQL database: for those who keep one anyway, and for a standby elsewhere."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from controller.errors import StorageError
from controller.store.database import Connection, Row

try:
    import psycopg
except ImportError as missing:
    raise StorageError(
        f"a store in PostgreSQL needs psycopg ({missing})",
        fix="Install it: pip install 'slackwater[postgres]'",
        retry=False,
    ) from missing

READERS_MAX = 8
"""Connections that listings share; the database has some hundred for all its clients."""

CONNECT_S_MAX = 10
"""A database that does not answer by then is away for now [s]."""

STATEMENT_S_MAX = 60
"""A statement that takes longer is given up [s], or a hanging database would hang the service."""

APPLICATION = "slackwater"

HOLD_KEY = int.from_bytes(b"slack")
"""Advisory locks are numbers, shared by all programs on a database: this one is ours."""

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


@cache
def translated(statement: str) -> str:
    """Return a statement with its parameters as psycopg writes them."""
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))


class PostgresDatabase:
    """One database; see `controller.store.database.Database`.

    Parameters
    ----------
    url : str
        As ``postgresql://user@host/database``, without a password.
    password : str or None
        None leaves it to libpq (PGPASSFILE, a certificate, the socket's peer).
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self.name = _shown(url)
        self.url, self._password = url, password
        self._writing = threading.Lock()
        self._writer: psycopg.Connection | None = None
        self._holder: psycopg.Connection | None = None
        self._readers, self._urgent = _pool(READERS_MAX), _pool(1)
        with self._faults_named():
            self._writer = self._connect()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: all of the block or nothing of it, and durable when it has ended."""
        with self._writing, self._faults_named():
            writer = self._standing_writer()
            with writer.transaction():
                yield _Postgres(writer)

    @contextmanager
    def reading(self, *, urgent: bool = False) -> Iterator[Connection]:
        """Read a consistent state, from any thread; a writer neither waits nor is waited for.

        What is urgent has a connection of its own, or it would wait for those that list.
        """
        pool = self._urgent if urgent else self._readers
        reader = pool.get()
        try:
            with self._faults_named():
                if reader is None or reader.closed or reader.broken:
                    reader = self._connect()
                    reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    reader.read_only = True
                with reader.transaction():
                    yield _Postgres(reader)
        finally:
            pool.put(reader)

    def hold(self) -> bool:
        """Try to hold the database until the end of this process; tell whether nobody else does.

        The lock goes with its connection: called again, it is had again on another one.
        """
        with self._writing, self._faults_named():
            writer = self._standing_writer()
            if self._holder is not writer:
                query = "SELECT pg_try_advisory_lock(%(key)s)"
                ((held,),) = writer.execute(query, {"key": HOLD_KEY}).fetchall()
                self._holder = writer if held else None
        return self._holder is not None

    def close(self) -> None:
        """Close all connections, and let go."""
        readers = [self._readers.get() for _ in range(READERS_MAX)]
        for connection in (self._writer, self._urgent.get(), *readers):
            if connection is not None:
                connection.close()

    def _standing_writer(self) -> psycopg.Connection:
        """Return the connection that writes, made anew where it was lost."""
        if self._writer is None or self._writer.closed or self._writer.broken:
            self._writer = self._connect()
        return self._writer

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self.url,
            password=self._password,
            autocommit=True,
            application_name=APPLICATION,
            connect_timeout=CONNECT_S_MAX,
            options=f"-c statement_timeout={STATEMENT_S_MAX * 1000} -c synchronous_commit=on",
        )

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            what, fix, retry = _meaning(error)
            raise StorageError(f"store {self.name} {what}", fix=fix, retry=retry) from error


_Pool = queue.SimpleQueue[psycopg.Connection | None]
"""Connections that are free; None is one that is yet to be made."""


def _pool(size: int) -> _Pool:
    pool: _Pool = queue.SimpleQueue()
    for _ in range(size):
        pool.put(None)
    return pool


def _meaning(error: psycopg.Error) -> tuple[str, str, bool]:
    """Return what happened, what to do, and whether a retry may help."""
    told = str(error).strip().splitlines()
    words = told[0] if told else type(error).__name__
    match error:
        case psycopg.errors.DiskFull():
            return "is full", "Free space there; it is tried again", True
        case psycopg.errors.InvalidPassword() | psycopg.errors.InvalidAuthorizationSpecification():
            return f"refuses us: {words}", "See store.url and store.password_file", False
        case psycopg.errors.InsufficientPrivilege():
            return f"refuses us: {words}", "Give this user the right to write there", False
        case psycopg.errors.InvalidCatalogName():
            return f"is not there: {words}", "Make the database first (createdb)", False
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return f"is away: {words}", "It is tried again", True
    # A commit whose connection was lost may end later, and then stands in the next one's place.
    return f"failed: {words}", "", isinstance(error, psycopg.errors.UniqueViolation)


class _Postgres:
    """See `controller.store.database.Connection`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def change(self, statement: str, row: Row) -> int:
        return self._connection.execute(_text(statement), row).rowcount

    def change_many(self, statement: str, rows: Iterable[Row]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_text(statement), rows)

    def fetch(self, statement: str, row: Row) -> list[tuple[Any, ...]]:
        return self._connection.execute(_text(statement), row).fetchall()


def _text(statement: str) -> Any:
    return translated(statement)


def _shown(url: str) -> str:
    """Return a URL fit for messages: without a user's name or password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
