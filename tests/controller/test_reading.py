"""The loop's own questions to the store wait for nobody, and are few; its log stays small."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from controller.service import Letter
from controller.store import sqlite
from controller.store.sqlite import SqliteDatabase
from controller.store.store import MESSAGES_AT_ONCE, Store, listed
from planner.events import OffersChanged
from tests.controller.recorded import NOW, life
from tests.controller.stores import Place, place, server
from tests.planner.building import OFFER

__all__ = ["place", "server"]

PATIENCE_S = 60.0
LISTING = 8
"""As many read at once as PostgreSQL has connections for them."""


def test_the_messages_of_a_batch_are_asked_for_together(place: Place) -> None:
    with life(place) as one:
        for number in range(3):
            event = OffersChanged(at=NOW, offers=(OFFER,) * number)
            one.inbox.post(Letter(event=event, message_id=f"m{number}"))
        one.play()
        asked = [f"m{number}" for number in range(2 * MESSAGES_AT_ONCE + 1)]
        assert one.store.known(asked[1:]) == {"m1", "m2"}
        assert one.store.known(["else"]) == one.store.known([]) == set()


def test_lists_of_all_lengths_need_few_statements() -> None:
    lists = [listed([str(n) for n in range(size)]) for size in range(1, MESSAGES_AT_ONCE + 1)]
    assert all(
        set(each.values()) == {str(n) for n in range(size)} for size, each in enumerate(lists, 1)
    )
    assert len({len(each) for each in lists}) == 11


def test_the_loop_reads_while_listings_hold_every_connection(place: Place) -> None:
    with life(place) as one, ExitStack() as listing:
        one.begin()
        for _ in range(LISTING):
            listing.enter_context(one.database.reading())
        told: list[object] = []

        def read() -> None:
            told.append(one.store.known(["m1"]))
            told.append(one.store.is_held())

        reader = Thread(target=read, daemon=True)
        reader.start()
        reader.join(PATIENCE_S)
        assert told == [set(), True]


def test_the_log_is_cut_back_after_a_long_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOG_BYTES_MAX", 1_000_000)
    log = tmp_path / "db-wal"
    with life(lambda: SqliteDatabase(tmp_path / "db")) as one:
        with one.database.reading() as connection:
            connection.fetch("SELECT * FROM lease", {})
            fill(one.store, 8)
            assert log.stat().st_size > 8_000_000
        fill(one.store, 2)
        fill(one.store, 2)
        assert log.stat().st_size < 5_000_000


def fill(store: Store, megabytes: int) -> None:
    """Write so much, a megabyte at a time."""
    for number in range(megabytes):
        row = {"seq": 0, "number": number, "content": bytes([number]) * 1_000_000}
        with store.database.transaction() as connection:
            connection.change(
                "DELETE FROM snapshot_pieces WHERE seq = 0 AND number = :n", {"n": number}
            )
            connection.change("INSERT INTO snapshot_pieces VALUES (:seq, :number, :content)", row)
