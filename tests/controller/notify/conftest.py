"""A store of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.store.database import Database
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A store in a file."""
    database = SqliteDatabase(tmp_path / "slackwater.db")
    upgrade(database, "slackwater.db")
    yield database
    database.close()


@pytest.fixture
def either(place: Place) -> Iterator[Database]:
    """A store of each kind in turn."""
    database = place()
    upgrade(database, "test")
    yield database
    database.close()
