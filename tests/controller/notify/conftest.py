"""A store of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.store.database import Database
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = SqliteDatabase(tmp_path / "slackwater.db")
    upgrade(database, "slackwater.db")
    yield database
    database.close()
