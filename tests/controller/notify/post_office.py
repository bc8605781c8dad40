"""Notices put where the loop would put them, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.notify.letters import notice_row
from controller.notify.notices import Notice
from controller.store.database import Database
from controller.store.named import queries


@dataclass
class Clock:
    """Tells the time that it is set to [POSIX s]."""

    now: float = 1790000000.0

    def __call__(self) -> float:
        return self.now


def post(database: Database, notices: Iterable[Notice]) -> None:
    """Write notices as the decision loop does, in one transaction."""
    with database.transaction() as connection:
        connection.change_many(queries("controller.store")["add_notice"], map(notice_row, notices))


def states(database: Database) -> dict[str, str]:
    """Return how each letter stands."""
    with database.reading() as connection:
        return dict(connection.fetch("SELECT id, state FROM letters ORDER BY id", {}))
