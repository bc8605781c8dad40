"""Backups of a store: always one file of SQLite, whichever kind of database it was taken from.

So a backup needs no other program to be read, and one that was taken from SQLite may be restored
into PostgreSQL, and the other way round. Tables of others in the same database are not in it.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import Fenced, StorageError
from controller.store.database import Connection, Database
from controller.store.named import migrations
from controller.store.opening import Address, opened
from controller.store.schema import bring_forward, newest, version
from controller.store.sqlite import (
    VERSION_TABLE,
    SqliteConnection,
    faults_named,
    held,
    reading_file,
)

ROWS_AT_ONCE = 5_000
PIECES_AT_ONCE = 8
"""Rows copied at a time: those of plain tables, and those that may each be a megabyte."""

STILL_S = 5.0
"""A service whose beat stands still for so long is taken for dead [s], as by a standby."""

LOOK_S = 0.25

_MADE = re.compile(r"CREATE TABLE (\w+)")

_HAS = "SELECT 1 FROM information_schema.tables WHERE table_name = :name"
_LEASE = "SELECT epoch, holder, beat FROM lease"
_FENCE = "UPDATE lease SET epoch = CASE WHEN epoch < :epoch THEN :epoch ELSE epoch END + 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Time as it is told and spent [s]: a test need not wait."""

    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table as it is copied; without a key it is read at once."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    at_once: int


# --- taking one


def back_up(address: Address, file: Path, *, overwrites: bool = False) -> int:
    """Write a store as it stands into a file, beside a service that lives on it.

    Returns
    -------
    int
        Size of the file [bytes].

    Raises
    ------
    StorageError
        There is no such store, it is damaged, or the file cannot be written or is there already.
    """
    refuse_absent(address)
    if file.exists() and not overwrites:
        raise StorageError(f"{file} is there", fix="Name another file, or --force", retry=False)
    with _drafted(file) as draft:
        if address.url:
            with opened(address) as database, database.reading() as source:
                _copy_rows(source, draft, database.name)
        else:
            _copy_pages(Path(address.path), draft)
    return file.stat().st_size


def refuse_absent(address: Address) -> None:
    """Refuse to make a store where one should be.

    Raises
    ------
    StorageError
    """
    if not address.url and not Path(address.path).exists():
        raise StorageError(
            f"there is no store at {address.path}",
            fix="Give the service's --data or --config",
            retry=False,
        )


def is_begun(connection: Connection, address: Address) -> bool:
    """Tell whether a database holds a store of any schema."""
    query = _HAS if address.url else "SELECT 1 FROM sqlite_master WHERE name = :name"
    return bool(connection.fetch(query, {"name": VERSION_TABLE}))


def faults_of(file: Path) -> list[str]:
    """Return what is wrong with a file that should be a backup."""
    try:
        with reading_file(file) as source:
            told = [str(row[0]) for row in source.fetch("PRAGMA integrity_check(10)", {})]
            if told != ["ok"]:
                return told
            source.fetch(_LEASE, {})
            found = version(source)
    except StorageError as error:
        return [error.what]
    if found > newest():
        return [f"it has schema {found}, this program knows up to {newest()}"]
    return []


def _copy_pages(path: Path, draft: Path) -> None:
    with reading_file(path) as source, closing(sqlite3.connect(draft)) as target:
        # In one step: a backup in several begins anew whenever the service writes.
        source.connection.backup(target)
        _rest(target)


def _copy_rows(source: Connection, draft: Path, name: str) -> None:
    if not source.fetch(_HAS, {"name": VERSION_TABLE}):
        raise StorageError(
            f"there is no store in {name}", fix="Give the service's --config", retry=False
        )
    with closing(sqlite3.connect(draft, isolation_level=None)) as file:
        target = SqliteConnection(file)
        target.change("BEGIN", {})
        bring_forward(target, str(draft), version(source))
        for table in _tables(target):
            _fill(source, target, table)
        target.change("COMMIT", {})
        _rest(file)


def _rest(file: sqlite3.Connection) -> None:
    """Make one file of it that is whole by itself."""
    file.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _drafted(file: Path) -> Iterator[Path]:
    """Give a name to write to inside the block; then the file appears whole."""
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        yield draft
        draft.replace(file)
        _sync(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"{file} cannot be written: {getattr(error, 'strerror', '') or error}",
            fix="Name a file in a folder that this user may write to, on a disk with space",
            retry=False,
        ) from error
    finally:
        if file.parent.is_dir():
            draft.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    opened_folder = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened_folder)
    finally:
        os.close(opened_folder)


# --- restoring one


def restore(
    address: Address, file: Path, *, overwrites: bool = False, waiting: Waiting | None = None
) -> None:
    """Make a store what a backup holds: all of it, or it stays as it was.

    Parameters
    ----------
    address : Address
    file : Path
        The backup.
    overwrites : bool
        Whether a store that holds anything may be replaced.
    waiting : Waiting, optional

    Raises
    ------
    StorageError
        The backup cannot be read or is damaged, or the store holds something.
    Fenced
        A service lives on the store.
    """
    if faults := faults_of(file):
        raise StorageError(
            f"backup {file} cannot be restored: {faults[0]}",
            fix="Take another; the store is as it was",
            retry=False,
        )
    waiting = waiting or Waiting()
    if address.url:
        with opened(address) as database:
            _restore_rows(database, file, overwrites, waiting)
    else:
        _restore_file(Path(address.path), file, overwrites, waiting)


def _restore_file(path: Path, file: Path, overwrites: bool, waiting: Waiting) -> None:
    with faults_named(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(_held(path)), _drafted(path) as draft:
        epoch = _epoch_of_file(path, overwrites, waiting)
        _copy_pages(file, draft)
        with closing(sqlite3.connect(draft)) as target:
            target.execute(_FENCE, {"epoch": epoch})
            target.commit()
        # What was in the log of the old file must never be played into the new one.
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _held(path: Path) -> Any:
    lock = held(path)
    if lock is None:
        raise _lives(str(path))
    return lock


def _epoch_of_file(path: Path, overwrites: bool, waiting: Waiting) -> int:
    """Return the epoch of a file that may be replaced, 0 where it cannot be read."""
    if not path.exists() or not path.stat().st_size:
        return 0
    if not overwrites:
        raise _is_full(str(path))

    def look() -> tuple[Any, ...]:
        with reading_file(path) as source:
            return source.fetch(_LEASE, {})[0]

    try:
        epoch = int(_stood_still(look, str(path), waiting)[0])
        with faults_named(path), closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return epoch
    except StorageError:
        return 0  # It is damaged, which may be why a backup is restored.


def _restore_rows(database: Database, file: Path, overwrites: bool, waiting: Waiting) -> None:
    if not database.hold():
        raise _lives(database.name)
    with database.reading() as connection:
        stands = bool(connection.fetch(_HAS, {"name": "lease"}))
    epoch = 0
    if stands:

        def look() -> tuple[Any, ...]:
            with database.reading() as connection:
                return connection.fetch(_LEASE, {})[0]

        if int(look()[0]) and not overwrites:
            raise _is_full(database.name)
        epoch = int(_stood_still(look, database.name, waiting)[0])
    with reading_file(file) as source, database.transaction() as target:
        for name in (*_tables_ever(), VERSION_TABLE):
            target.change(f"DROP TABLE IF EXISTS {name}", {})
        bring_forward(target, database.name, version(source))
        for table in _tables(source):
            _fill(source, target, table)
        target.change(_FENCE, {"epoch": epoch})


def _stood_still(
    look: Callable[[], tuple[Any, ...]], name: str, waiting: Waiting
) -> tuple[Any, ...]:
    """Return the lease once it has stood still for as long as no living one does.

    A service that was taken over while it hung has let go of its lock: only the beat of the one
    that took over tells that somebody lives.
    """
    seen, give_up_at = look(), waiting.clock() + STILL_S
    while waiting.clock() < give_up_at:
        waiting.pause(LOOK_S)
        if look() != seen:
            raise _lives(name)
    return seen


def _lives(name: str) -> Fenced:
    return Fenced(f"a service runs on store {name}", fix="End it first (SIGTERM)")


def _is_full(name: str) -> StorageError:
    return StorageError(
        f"store {name} holds something already",
        fix="Back it up if it is wanted, then replace it with --force",
        retry=False,
    )


# --- tables


def _tables_ever() -> list[str]:
    """Return the names of all tables that any migration made, the last first."""
    return [name for _, script in reversed(migrations()) for name in _MADE.findall(script)]


def _tables(file: Connection) -> list[_Table]:
    """Return the tables of a store in SQLite, as they are copied."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    names = [name for (name,) in file.fetch(query, {}) if not name.startswith("sqlite_")]
    return [_table(file, name) for name in names if name != VERSION_TABLE]


def _table(file: Connection, name: str) -> _Table:
    columns = file.fetch(f"SELECT name, type, pk FROM pragma_table_info('{name}')", {})
    ranked = sorted((pk, column) for column, _, pk in columns if pk)
    is_heavy = any(kind == "BYTEA" for _, kind, _ in columns)
    return _Table(
        name=name,
        columns=tuple(column for column, _, _ in columns),
        key=tuple(column for _, column in ranked),
        at_once=PIECES_AT_ONCE if is_heavy else ROWS_AT_ONCE,
    )


def _fill(source: Connection, target: Connection, table: _Table) -> None:
    """Make a table's rows those of the source's."""
    columns, key = ", ".join(table.columns), ", ".join(table.key)
    values = ", ".join(f":{column}" for column in table.columns)
    insert = f"INSERT INTO {table.name} ({columns}) VALUES ({values})"
    target.change(f"DELETE FROM {table.name}", {})
    select = f"SELECT {columns} FROM {table.name}"
    after: dict[str, Any] = {}
    while True:
        asked, paged = dict(after), select
        if key:
            behind = f" WHERE ({key}) > ({', '.join(f':{k}' for k in table.key)})" if after else ""
            paged = f"{select}{behind} ORDER BY {key} LIMIT {table.at_once}"
        rows = [dict(zip(table.columns, row, strict=True)) for row in source.fetch(paged, asked)]
        target.change_many(insert, rows)
        if not key or len(rows) < table.at_once:
            return
        after = {column: rows[-1][column] for column in table.key}
