"""`slackwater keys`: made once, shown once, listed without the secret, revoked."""

from __future__ import annotations

from pathlib import Path

from controller.api.keys import Keys
from controller.store.sqlite import SqliteDatabase
from tests.controller.conftest import Command


def test_a_key_is_made_listed_and_revoked(command: Command, tmp_path: Path) -> None:
    assert "no keys" in command("keys", "list", "--data", "data").out
    text = command("keys", "add", "ada", "--scope", "publish", "--data", "data").out.strip()
    database = SqliteDatabase(tmp_path / "data" / "slackwater.db")
    caller = Keys(database).find(text)
    assert caller is not None
    assert (caller.name, set(caller.scopes)) == ("ada", {"publish"})
    (listed,) = command("keys", "list", "--data", "data", "--json").result
    assert (listed["owner"], listed["scopes"], listed["revoked_at"]) == ("ada", ["publish"], None)
    assert text not in command("keys", "list", "--data", "data").out
    revoked = command("keys", "revoke", listed["id"], "--data", "data", "--json").result
    assert revoked["revoked_at"] is not None
    assert Keys(database).find(text) is None
    database.close()


def test_what_cannot_be_a_key_is_told(command: Command) -> None:
    ended = command("keys", "add", "ada", "--scope", "rule", "--data", "data")
    assert ended.code == 1
    assert "'rule' is no scope" in ended.err
    ended = command("keys", "revoke", "nothing", "--data", "data")
    assert ended.code == 1
    assert "slackwater keys list" in ended.err
