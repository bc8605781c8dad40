"""Subscriptions are rows of the store: a snapshot leaves them out, and finds those of its step."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.snapshotting import Order, take
from controller.store.database import Database
from controller.store.opening import Address
from controller.store.schema import bring_forward
from controller.upkeep import check, move_on
from planner.commands import RunPart
from planner.errors import BrokenJournal
from planner.events import (
    AnyEvent,
    SubscriptionAdded,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
)
from planner.keeping import holds_rows
from planner.registry import Row
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place, place, server
from tests.planner.building import subscription, update

__all__ = ["place", "server"]

FORMER = Path(__file__).with_name("store_of_schema_3.json")
"""What a service wrote before its subscriptions were rows: a snapshot after 14 steps, 2 more."""

BATCHES = 30


def change(dice: random.Random, versions: dict[str, int]) -> AnyEvent:
    """Return something that happens to one of a few subscriptions."""
    name = f"s{dice.randrange(4)}"
    match dice.randrange(5):
        case 0:
            return SubscriptionPaused(at=NOW, subscription_id=name)
        case 1:
            return SubscriptionResumed(at=NOW, subscription_id=name)
        case 2:
            return SubscriptionRemoved(at=NOW, subscription_id=name)
        case _:
            versions[name] = versions.get(name, 0) + 1
            return SubscriptionAdded(
                at=NOW, subscription=subscription(name, version=versions[name])
            )


def rows_of(one: Life) -> list[tuple[int, Row]]:
    rows = one.service.planner.books.registry.state.rows
    return [(k, Row(subscription=r.subscription, covered_to=r.covered_to)) for k, r in rows.items()]


def plain(one: Life) -> Any:
    return msgspec.to_builtins(one.service.planner.snapshot(), str_keys=True)


def order(one: Life, folder: Path) -> Order:
    return Order(
        address=Address(path=""),
        holder="test",
        epoch=one.store.epoch,
        upto=one.recorder.seq,
        archive=str(folder),
        at=NOW,
    )


def former_count(database: Database) -> int:
    with database.reading() as connection:
        ((count,),) = connection.fetch("SELECT COUNT(*) FROM former_subscriptions", {})
    return int(count)


def test_the_rows_of_every_step_since_the_snapshot_are_found(place: Place, tmp_path: Path) -> None:
    dice, versions = random.Random(5), dict[str, int]()
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        after: dict[int, list[tuple[int, Row]]] = {}
        for number in range(BATCHES):
            for _ in range(1 + dice.randrange(3)):
                one.inbox.put(change(dice, versions))
            if number % 7 == 0:
                one.inbox.put(update(NOW, 1 + number))
            one.play()
            after[one.recorder.seq] = rows_of(one)
            if number == BATCHES // 2:
                take(one.database, order(one, tmp_path))
                assert former_count(one.database) == 0
                after = {one.recorder.seq: rows_of(one)}
        assert len(after) > 10
        assert former_count(one.database) > 0
        assert {seq: list(one.store.subscriptions(seq)) for seq in after} == after
        state = plain(one)
    with life(place, stalls=(RunPart,)) as two:
        assert two.recorder.snapshot_seq == min(after)
        assert plain(two) == state
        two.recorder.keep_snapshot(two.service.planner.snapshot(), two.recorder.seq)
        assert former_count(two.database) == 0
    with life(place, stalls=(RunPart,)) as three:
        assert plain(three) == state


def test_a_snapshot_leaves_subscriptions_out(place: Place, tmp_path: Path) -> None:
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        take(one.database, order(one, tmp_path))
        kept = one.store.snapshot()
        assert kept is not None
        assert not holds_rows(kept.state)
        assert b"/products/med" not in kept.state


@pytest.mark.parametrize(
    "statement", ["DELETE FROM subscriptions", "UPDATE subscriptions SET key=-1"]
)
def test_rows_that_are_lost_are_missed(place: Place, tmp_path: Path, statement: str) -> None:
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        with one.database.transaction() as connection:
            connection.change(statement, {})
        with pytest.raises(BrokenJournal, match="holds 0 subscriptions after step"):
            take(one.database, order(one, tmp_path))
        kept = one.store.snapshot()
        assert kept is not None
        assert kept.seq == 0


# --- stores of before


def former_store(place: Place) -> None:
    """Make a store of schema 3 as a service left it."""
    database = place()
    tables = json.loads(FORMER.read_text())
    with database.transaction() as connection:
        bring_forward(connection, "test", 3)
        for table, rows in tables.items():
            names = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            for row in rows:
                told = {k: v.encode() if k == "content" else v for k, v in row.items()}
                connection.change(f"INSERT INTO {table} ({names}) VALUES ({values})", told)
    database.close()


def check_former(one: Life) -> None:
    """See that a service goes on as the one of before would have."""
    rows = {row.subscription.id: row for _, row in rows_of(one)}
    assert list(rows) == ["med", "away", "late"]
    assert rows["med"].subscription.version == 2
    assert rows["away"].covered_to == {"10.17882/42182": 0}
    (task,) = one.service.planner.books.backlog.tasks.values()
    assert task.subscription.version == 1
    assert one.recorder.snapshot_seq == one.recorder.seq == 16
    kept = one.store.snapshot()
    assert kept is not None
    assert not holds_rows(kept.state)
    assert list(one.store.subscriptions(16)) == rows_of(one)


def test_a_service_goes_on_from_a_store_of_before(place: Place) -> None:
    former_store(place)
    with life(place, stalls=(RunPart,)) as one:
        check_former(one)
        one.hands.stalls = ()
        one.hands.carry_out(one.recovered.commands)
        one.inbox.put(SubscriptionResumed(at=NOW, subscription_id="away"))
        one.play()
        assert [row.state for row in one.tasks()] == ["delivered", "dropped"]
        rows = rows_of(one)
    with life(place) as two:
        assert rows_of(two) == rows


def test_a_store_of_before_is_upgraded(place: Place, tmp_path: Path) -> None:
    former_store(place)
    database = place()
    address = Address(path=str(tmp_path / "db"), url=getattr(database, "url", ""))
    database.close()
    done = move_on(address, tmp_path / "journal")
    assert (done.migrations, done.steps) == ((4,), 16)
    with life(place, stalls=(RunPart,)) as one:
        check_former(one)
    found = {each.what: each for each in check(address, tmp_path / "journal")}
    assert found["subscriptions"].ok
    assert found["journal"].ok


def test_a_service_killed_while_it_moves_rows_out_begins_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    former_store(place)
    with monkeypatch.context() as patched:
        patched.setattr("controller.recording.keep_state", killed)
        with pytest.raises(KeyboardInterrupt), life(place):
            pass
    with life(place, stalls=(RunPart,)) as one:
        check_former(one)


def killed(*_: object) -> None:
    raise KeyboardInterrupt
