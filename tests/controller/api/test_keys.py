"""Keys: made once, kept as digests, found again, and soon forgotten when they are revoked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api.keys import CACHE_S, CACHED_MAX, USED_S, KeyFault, Keys, scopes_of
from controller.api.scopes import ANYBODY, Scope
from controller.store.database import Database
from controller.store.schema import upgrade
from tests.controller.api.fronted import fronted
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    database = place()
    upgrade(database, "test")
    yield database
    database.close()


def test_a_key_is_found_with_its_owner_and_scopes(database: Database) -> None:
    keys = Keys(database, Clock())
    key, text = keys.add("ann", {Scope.SUBSCRIBE, Scope.PUBLISH})
    found = keys.find(text)
    assert found is not None
    assert (found.name, sorted(found.scopes)) == ("ann", [Scope.PUBLISH, Scope.SUBSCRIBE])
    assert key.id in text
    (listed,) = keys.all()
    assert (listed.id, listed.owner, listed.made_at, listed.used_at) == (key.id, "ann", 1e3, 1e3)


def test_the_store_holds_nothing_that_opens(database: Database) -> None:
    _, text = Keys(database).add("ann", {Scope.OPERATE})
    with database.reading() as connection:
        told = str(connection.fetch("SELECT * FROM api_keys", {}))
    assert text not in told
    assert text.rpartition("_")[2] not in told


def test_what_only_resembles_a_key_opens_nothing(database: Database) -> None:
    keys = Keys(database)
    key, text = keys.add("ann", {Scope.SUBSCRIBE})
    alike = (text.upper(), text[:-1], text + "x", f"slackwater_{key.id}_{'A' * 43}")
    for strange in (*alike, "", "\ud800", "x" * 10_000):
        assert keys.find(strange) is None


def test_a_revoked_key_opens_nothing_for_longer_than_is_said(database: Database) -> None:
    clock = Clock()
    service, elsewhere = Keys(database, clock), Keys(database, clock)
    key, text = service.add("ann", {Scope.SUBSCRIBE})
    assert service.find(text)
    elsewhere.revoke(key.id)
    assert elsewhere.find(text) is None
    clock.now += CACHE_S
    assert service.find(text) is None
    assert service.all()[0].revoked_at == 1000.0
    elsewhere.revoke(key.id)
    assert service.all()[0].revoked_at == 1000.0


def test_a_clock_that_is_set_back_keeps_no_revoked_key_alive(database: Database) -> None:
    clock = Clock()
    service, elsewhere = Keys(database, clock), Keys(database, clock)
    key, text = service.add("ann", {Scope.SUBSCRIBE})
    assert service.find(text)
    elsewhere.revoke(key.id)
    clock.now -= 3600.0
    assert service.find(text) is None


def test_when_a_key_was_used_is_written_now_and_then(database: Database) -> None:
    clock = Clock()
    keys = Keys(database, clock)
    _, text = keys.add("ann", {Scope.SUBSCRIBE})
    for later_s, used_at in ((0.0, 1000.0), (USED_S / 2, 1000.0), (USED_S, 1000.0 + USED_S)):
        clock.now = 1000.0 + later_s
        keys.find(text)
        assert keys.all()[0].used_at == used_at


def test_what_is_remembered_is_bounded(database: Database) -> None:
    keys = Keys(database, Clock())
    for number in range(CACHED_MAX + 10):
        keys.find(str(number))
    assert len(keys.remembered) == CACHED_MAX


def test_keys_that_cannot_be_are_refused(database: Database) -> None:
    keys = Keys(database)
    for owner in ("", "Ann", "a b", "a" * 65, "-a", "a\n"):
        with pytest.raises(KeyFault, match="owner"):
            keys.add(owner, {Scope.SUBSCRIBE})
    with pytest.raises(KeyFault, match="allow nothing"):
        keys.add("ann", set())
    with pytest.raises(KeyFault, match="no key 123"):
        keys.revoke("123")
    with pytest.raises(KeyFault, match="'root' is no scope"):
        scopes_of(["root"])
    assert scopes_of(["publish"]) == {Scope.PUBLISH}
    assert keys.all() == []


def test_the_door_is_open_until_a_key_was_made_and_never_again(database: Database) -> None:
    clock = Clock()
    keys = Keys(database, clock)
    enter, required = keys.entrance(required=False), keys.entrance(required=True)
    assert enter("") is ANYBODY
    assert required("") is None
    key, text = Keys(database, clock).add("ann", {Scope.SUBSCRIBE})
    clock.now += CACHE_S
    assert enter("") is None
    assert enter(text)
    keys.revoke(key.id)
    assert enter(text) is None
    assert enter("") is None


def test_a_request_without_a_key_is_told_how_to_show_one(place: Place, tmp_path: Path) -> None:
    with fronted(place, tmp_path) as front:
        ann = front.as_("ann", Scope.PUBLISH)
        refused = front.client.get("/v1/tasks")
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        wrong = front.client.get("/v1/tasks", headers={"Authorization": "Basic YTpi"})
        assert wrong.status_code == 401
        assert ann.get("/v1/tasks").status_code == 403
