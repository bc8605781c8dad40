"""Where the API may listen, and who is let in there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.api.keys import Keys
from controller.api.offering import entrance
from controller.api.scopes import ANYBODY, Scope
from controller.config.serving import ApiSettings, ServiceSettings
from controller.config.settings import Settings
from controller.errors import ApiError
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    database = SqliteDatabase(tmp_path / "db")
    upgrade(database, "test")
    yield Keys(database)
    database.close()


def at(host: str, *, keys_required: bool = False) -> Settings:
    return replace(
        Settings(),
        service=ServiceSettings(host=host),
        api=ApiSettings(keys_required=keys_required),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_this_machine_nobody_needs_a_key(keys: Keys, host: str) -> None:
    find, hosts = entrance(at(host), keys)
    assert find("") is ANYBODY
    assert hosts is not None
    assert host in hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org", "127.0.0.1.nip.io"])
def test_anywhere_else_a_key_must_be_there_first(keys: Keys, host: str) -> None:
    with pytest.raises(ApiError, match="there are no keys"):
        entrance(at(host), keys)
    _, text = keys.add("ann", {Scope.OPERATE})
    find, hosts = entrance(at(host), keys)
    assert find("") is None
    assert find(text)
    assert hosts is None


def test_keys_may_be_required_here_too(keys: Keys) -> None:
    with pytest.raises(ApiError, match="keys_required is set, and there are no keys"):
        entrance(at("127.0.0.1", keys_required=True), keys)
