"""Opens the database that an address names, of whichever kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from controller.store.database import Database
from controller.store.sqlite import SqliteDatabase


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a store is kept. Holds a secret: never to be shown.

    Parameters
    ----------
    path : str
        File of SQLite; used where there is no URL.
    url : str
        Of a PostgreSQL database.
    password : str or None
    """

    path: str
    url: str = ""
    password: str | None = None

    def __repr__(self) -> str:
        """Return it without its password."""
        return f"Address({self.path!r}, {self.url!r})"


@contextmanager
def opened(address: Address) -> Iterator[Database]:
    """Open a database inside the block.

    Raises
    ------
    StorageError
        It cannot be opened.
    """
    database = _database(address)
    try:
        yield database
    finally:
        database.close()


def _database(address: Address) -> Database:
    if not address.url:
        return SqliteDatabase(Path(address.path))
    # Only who keeps a store in PostgreSQL needs its client.
    from controller.store.postgres import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(address.url, address.password)
