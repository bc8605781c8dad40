"""A store that fails in the midst of a batch, be it the commit or what follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from controller.errors import StorageError
from controller.service import Letter
from controller.store.database import Connection
from controller.store.sqlite import SqliteDatabase
from planner.commands import CombineProduct, DeliverProduct, RunPart
from planner.errors import SlackwaterError
from planner.events import DeliveryFailed, SubscriptionAdded, Ticked
from tests.controller.recorded import NOW, Life, answers, life
from tests.planner.building import subscription


class Flaky(SqliteDatabase):
    """A database that is lost after some commits, and that cannot be read for a while.

    Attributes
    ----------
    lost_after : int
        Commits that are written though their writer is told otherwise.
    blind : int
        Reads that fail.
    """

    lost_after = 0
    blind = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with super().transaction() as connection:
            yield connection
        if self.lost_after:
            self.lost_after -= 1
            raise StorageError("the connection was lost")

    @contextmanager
    def reading(self, *, urgent: bool = False) -> Iterator[Connection]:
        if self.blind:
            self.blind -= 1
            raise StorageError("the database is away")
        with super().reading(urgent=urgent) as connection:
            yield connection


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[tuple[Life, Flaky]]:
    with life(partial(Flaky, tmp_path / "db"), stalls=(RunPart, DeliverProduct)) as one:
        one.begin()
        assert isinstance(one.database, Flaky)
        yield one, one.database


def runs_of(one: Life) -> list[RunPart]:
    return [each for each in one.hands.obeyed if isinstance(each, RunPart)]


@pytest.mark.parametrize("blind", [0, 1, 3, 5])
def test_what_a_lost_commit_has_written_is_begun_once(
    flaky: tuple[Life, Flaky], blind: int
) -> None:
    one, database = flaky
    for run in runs_of(one):
        for event in answers(run):
            one.inbox.put(event)
    database.lost_after, database.blind = 1, blind
    one.play()
    one.service.run(lambda planner: one.service.fault is None)
    combines = [each for each in one.hands.obeyed if isinstance(each, CombineProduct)]
    assert [each.attempt for each in combines] == [1]
    one.play()
    deliveries = [each for each in one.hands.obeyed if isinstance(each, DeliverProduct)]
    assert [each.attempt for each in deliveries] == [1]


def test_a_database_that_is_away_refuses_letters_and_ends_no_service(
    flaky: tuple[Life, Flaky],
) -> None:
    one, database = flaky
    told: list[SlackwaterError | None] = []
    letter = Letter(
        event=SubscriptionAdded(at=NOW, subscription=subscription("other")),
        message_id="m1",
        settled=told.append,
    )
    database.blind = 1
    one.service.handle([letter], NOW)
    assert [str(each) for each in told] == ["the database is away"]
    one.service.handle([letter], NOW)
    assert told[1:] == [None]
    assert one.service.fault is None


def test_a_twin_within_a_batch_is_durable_with_the_first_or_not_at_all(
    flaky: tuple[Life, Flaky], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = flaky
    told: list[tuple[str, SlackwaterError | None]] = []
    event = SubscriptionAdded(at=NOW, subscription=subscription("other"))
    twins = [
        Letter(event=event, message_id="m1", settled=lambda fault: told.append(("first", fault))),
        Letter(event=event, message_id="m1", settled=lambda fault: told.append(("second", fault))),
    ]
    fault = StorageError("the disk is full")

    def fail(writes: object) -> None:
        raise fault

    monkeypatch.setattr(one.store, "commit", fail)
    one.service.handle(twins, NOW)
    assert told == [("first", fault), ("second", fault)]
    monkeypatch.undo()
    one.service.handle(twins, NOW)
    assert told[2:] == [("first", None), ("second", None)]


def test_what_the_planner_was_to_be_woken_for_outlives_a_fault(flaky: tuple[Life, Flaky]) -> None:
    one, database = flaky
    for run in runs_of(one):
        for event in answers(run):
            one.inbox.put(event)
    one.play()
    (delivery,) = (each for each in one.hands.obeyed if isinstance(each, DeliverProduct))
    failed = DeliveryFailed(
        at=NOW, task_id=delivery.task_id, attempt=1, reason="it is away", retry=True
    )
    one.service.handle([Letter(event=failed)], NOW)
    woken_for = one.service.planner.books.desk.woken_for
    assert woken_for is not None
    database.lost_after = 1
    one.service.handle([Letter(event=Ticked(at=NOW)), Letter(event=failed)], NOW)
    assert str(one.service.fault) == "the connection was lost"
    one.service.handle([], NOW)
    assert one.service.planner.books.desk.woken_for == woken_for
    assert one.service._is_awake(woken_for)
