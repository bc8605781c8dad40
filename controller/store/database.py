"""What a store asks of a database: transactions of one writer, and reads beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = Mapping[str, Any]
"""The values of a statement's parameters, by name."""


class Connection(Protocol):
    """Carries statements out; parameters stand in them as ``:name``."""

    def change(self, statement: str, row: Row) -> int:
        """Carry a statement out; return how many rows it changed."""

    def change_many(self, statement: str, rows: Iterable[Row]) -> None:
        """Carry a statement out for each row."""

    def fetch(self, statement: str, row: Row) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""


class Database(Protocol):
    """One database.

    Faults are raised as `controller.errors.StorageError`, which tells whether a retry may help.

    Attributes
    ----------
    name : str
        For messages: without a user's name or password.
    """

    name: str

    def transaction(self) -> AbstractContextManager[Connection]:
        """Write: all of the block or nothing of it, and durable when it has ended."""

    def reading(self, *, urgent: bool = False) -> AbstractContextManager[Connection]:
        """Read a consistent state, from any thread; a writer neither waits nor is waited for.

        What is urgent does not wait for those that list either, however many there are.
        """

    def hold(self) -> bool:
        """Try to hold the database until the end of this process; tell whether nobody else does."""

    def close(self) -> None:
        """Close all connections, and let go."""
