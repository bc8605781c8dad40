"""Brings a store forward to the schema of this program, and refuses one that is ahead of it."""

from __future__ import annotations

from controller.errors import StorageError
from controller.store.database import Connection, Database
from controller.store.named import migrations, statements

_CREATE = "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER NOT NULL)"


def upgrade(database: Database, name: str, *, only_new: bool = False) -> tuple[int, ...]:
    """Apply the migrations that a store lacks, all in one transaction; return their numbers.

    Parameters
    ----------
    database : Database
    name : str
        For messages.
    only_new : bool
        Leave a store that has a schema as it is: an older program may be at work on it.

    Raises
    ------
    StorageError
        A newer program wrote the store, or it is somebody else's; nothing of it has changed.
    """
    with database.transaction() as connection:
        upto = None
        if only_new:
            connection.change(_CREATE, {})
            upto = version(connection) or None
        return bring_forward(connection, name, upto)


def bring_forward(connection: Connection, name: str, upto: int | None = None) -> tuple[int, ...]:
    """Apply the migrations that a store lacks, or those up to one; return their numbers.

    Raises
    ------
    StorageError
        A newer program wrote the store.
    """
    connection.change(_CREATE, {})
    has = version(connection)
    known = newest()
    if has > known:
        raise StorageError(
            f"store {name} has schema {has}, this program knows up to {known}",
            fix="Start the version of slackwater that wrote it, or a newer one",
            retry=False,
        )
    wanted = known if upto is None else upto
    lacking = [(number, script) for number, script in migrations() if has < number <= wanted]
    for number, script in lacking:
        for statement in statements(script):
            connection.change(statement, {})
        connection.change("INSERT INTO schema_version (number) VALUES (:n)", {"n": number})
    return tuple(number for number, _ in lacking)


def newest() -> int:
    """Return the number of the last migration that this program knows."""
    return migrations()[-1][0]


def version(connection: Connection) -> int:
    """Return the number of the last migration that was applied, 0 before any."""
    ((number,),) = connection.fetch("SELECT COALESCE(MAX(number), 0) FROM schema_version", {})
    return int(number)
