"""Both kinds of store, for suites that each must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from controller.store.database import Database
from controller.store.sqlite import SqliteDatabase
from tests.controller.databases import Postgres, running_postgres, why_not

Place = Callable[[], Database]
"""Opens one and the same database, each time anew."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL of the module's own."""
    if reason := why_not():
        pytest.skip(reason)
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new database of each kind."""
    if request.param == "sqlite":
        return partial(SqliteDatabase, tmp_path / "db")
    from controller.store.postgres import PostgresDatabase  # noqa: PLC0415

    return partial(PostgresDatabase, request.getfixturevalue("server").make())
