"""One service at a time: a second one refuses or stands by, and takes over from one that hangs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from time import monotonic

import pytest

from controller.errors import Fenced, StorageError
from controller.leasing import LEASE_S, WATCH_S, beating, take
from controller.store.database import Database
from controller.store.schema import upgrade
from controller.store.store import Store
from tests.controller.databases import Postgres
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]


class Time:
    """A clock that moves when somebody waits, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda now: None) -> None:
        self.now = 0.0
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def pause(self, pause_s: float) -> None:
        self.now += pause_s
        self._meanwhile(self.now)


def opened(place: Place, holder: str) -> tuple[Database, Store]:
    database = place()
    upgrade(database, "test")
    return database, Store(database, holder)


def test_the_lease_of_one_that_has_ended_is_taken_at_once(place: Place) -> None:
    database, store = opened(place, "first")
    assert take(store, waits=False)
    database.close()
    database, store = opened(place, "second")
    time = Time()
    assert take(store, waits=False, clock=time.clock, pause=time.pause)
    assert (time.now, store.epoch) == (0.0, 2)
    database.close()


def test_a_second_service_refuses_while_the_first_one_lives(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)
    time = Time(lambda now: first.beat())
    with pytest.raises(Fenced, match="service first runs on store"):
        take(second, waits=False, clock=time.clock, pause=time.pause)
    first.beat()
    database.close()
    other.close()


def test_a_standby_waits_until_the_first_one_ends(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)

    def meanwhile(now: float) -> None:
        if now < 20.0:
            first.beat()
        elif now < 20.0 + WATCH_S:
            database.close()

    time = Time(meanwhile)
    assert take(second, waits=True, clock=time.clock, pause=time.pause)
    # A server may let go of the lock a while after its connection is closed.
    assert 20.0 <= time.now < 20.0 + LEASE_S
    other.close()


def test_a_service_that_hangs_is_taken_over_and_can_do_no_more(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)
    time = Time()
    assert take(second, waits=True, clock=time.clock, pause=time.pause)
    assert LEASE_S < time.now <= LEASE_S + 2 * WATCH_S
    with pytest.raises(Fenced, match="another service has taken over the store from first"):
        first.beat()
    assert (first.is_held(), second.is_held()) == (False, True)
    second.beat()
    database.close()
    other.close()


def test_a_standby_that_is_not_wanted_any_more_gives_up(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)
    time = Time(lambda now: first.beat())
    assert not take(
        second, waits=True, given_up=lambda: time.now > 3.0, clock=time.clock, pause=time.pause
    )
    assert second.epoch == 0
    first.beat()
    database.close()
    other.close()


def test_a_heart_finds_out_that_another_one_has_taken_over(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)
    with beating(first) as heart:
        second.take_lease()
        heart.join(20.0)
        assert isinstance(heart.fault, Fenced)
    database.close()
    other.close()


def test_of_two_that_take_over_at_once_one_has_the_lease(place: Place) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    asked = Barrier(2, timeout=20.0)

    def take_lease(store: Store) -> bool:
        asked.wait()
        try:
            store.take_lease()
        except Fenced:
            return False
        return True

    for _ in range(20):
        with ThreadPoolExecutor(2) as threads:
            took = list(threads.map(take_lease, (first, second)))
        assert any(took)
        assert first.epoch != second.epoch
    database.close()
    other.close()


def test_one_that_took_over_from_a_hung_one_holds_the_lock_once_that_has_ended(
    place: Place,
) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)
    time = Time()
    assert take(second, waits=True, clock=time.clock, pause=time.pause)
    database.close()
    with beating(second):
        beats = second.lease()[2]
        give_up_at = monotonic() + 20.0
        while second.lease()[2] <= beats + 1:
            assert monotonic() < give_up_at
            Event().wait(0.05)
    database, third = opened(place, "third")
    time = Time(lambda now: second.beat())
    with pytest.raises(Fenced, match="service second runs on store"):
        take(third, waits=False, clock=time.clock, pause=time.pause)
    database.close()
    other.close()


def test_a_standby_outlives_a_store_that_is_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (database, first), (other, second) = opened(place, "first"), opened(place, "second")
    take(first, waits=False)

    def away() -> bool:
        raise StorageError("the store is away")

    def meanwhile(now: float) -> None:
        if now < 5.0:
            first.beat()
            monkeypatch.setattr(other, "hold", away)
        elif now < 5.0 + WATCH_S:
            monkeypatch.undo()
            database.close()

    time = Time(meanwhile)
    assert take(second, waits=True, clock=time.clock, pause=time.pause)
    other.close()


def test_a_lock_that_went_with_its_connection_is_had_again(server: Postgres) -> None:
    from controller.store.postgres import PostgresDatabase  # noqa: PLC0415

    url = server.make()
    first, second = PostgresDatabase(url), PostgresDatabase(url)
    assert first.hold()
    with first.reading() as connection:
        connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'", {}
        )
    with pytest.raises(StorageError, match="is away"):
        upgrade(first, "test")
    assert first.hold()
    assert first.hold()
    assert not second.hold()
    first.close()
    second.close()
