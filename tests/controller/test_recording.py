"""The durable loop: a batch is written whole or not at all, and a restart goes on from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from controller.errors import Fenced, Overloaded, StorageError
from controller.recording import Recorder
from controller.service import Inbox, Letter, Service
from controller.store.database import Database
from controller.store.listed import NodeRow, SubscriptionRow, TaskRow
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Store, Write
from planner.commands import (
    AnyCommand,
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RemoveNode,
    RunPart,
)
from planner.errors import BrokenJournal, SlackwaterError
from planner.events import (
    AnyEvent,
    NodeReady,
    NodeRemoved,
    OffersChanged,
    PartFinished,
    ProductCombined,
    ProductDelivered,
    SubscriptionAdded,
    SubscriptionRemoved,
)
from planner.model import Fragment, Product
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings
from tests.controller.stores import Place, place, server
from tests.planner.building import OFFER, archive_stands, cut, subscription

__all__ = ["place", "server"]

NOW = 1_000_000.0


class Hands:
    """Answers each command at once, and keeps those that nobody answers."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.obeyed: list[AnyCommand] = []
        self.stalls: tuple[type, ...] = ()

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        for command in commands:
            self.obeyed.append(command)
            if not isinstance(command, self.stalls):
                for event in answers(command):
                    self.inbox.put(event)


def answers(command: AnyCommand) -> Iterator[AnyEvent]:
    match command:
        case CutTask():
            yield cut(command.task_id, NOW, 10, 10)
        case ProvisionNode():
            yield NodeReady(at=NOW, node_id=command.node_id, workers=command.workers)
        case RemoveNode():
            yield NodeRemoved(at=NOW, node_id=command.node_id)
        case RunPart():
            fragment = Fragment(url="f", rows=1, size_bytes=1, sha256="")
            yield PartFinished(
                at=NOW,
                part_id=command.part_id,
                attempt=command.attempt,
                node_id=command.node_id,
                run_s=2.0,
                fragment=fragment,
            )
        case CombineProduct():
            product = Product(url="staging/p.nc", rows=2, size_bytes=3, sha256="s", digest="d")
            yield ProductCombined(
                at=NOW, task_id=command.task_id, attempt=command.attempt, run_s=1.0, product=product
            )
        case DeliverProduct():
            yield ProductDelivered(
                at=NOW,
                task_id=command.task_id,
                attempt=command.attempt,
                run_s=1.0,
                manifest_url="file:///p.manifest.json",
            )


class Life:
    """One service between its start and its end, be that a kill."""

    def __init__(self, database: Database, stalls: tuple[type, ...] = ()) -> None:
        self.database = database
        upgrade(self.database, "test")
        self.store = Store(self.database, "test")
        self.store.take_lease()
        settings = PlannerSettings(scaling=ScalingSettings(put_off_launches=False))
        self.recorder = Recorder(self.store, "build", settings, BUILT_IN, lambda: NOW)
        self.recovered = self.recorder.recover()
        self.inbox = Inbox()
        self.hands = Hands(self.inbox)
        self.hands.stalls = stalls
        self.service = Service(
            self.recovered.planner,
            self.recorder,
            self.inbox,
            self.hands,
            mend=lambda: self.recorder.recover().planner,
            clock=lambda: NOW,
        )
        self.hands.carry_out(self.recovered.commands)

    def play(self) -> None:
        """Go on until nothing more comes of anything."""
        while letters := self.inbox.batch(0.0):
            self.service.handle(letters, NOW)

    def begin(self) -> None:
        for event in (
            OffersChanged(at=NOW, offers=(OFFER,)),
            archive_stands(NOW),
            SubscriptionAdded(at=NOW, subscription=subscription()),
        ):
            self.inbox.put(event)
        self.play()

    def tasks(self) -> list[TaskRow]:
        every = {"owner": "", "subscription_id": "", "after": 0, "count": 100}
        return self.store.rows("list_tasks", TaskRow, every | {"open_only": 0, "delivered_only": 0})


@contextmanager
def life(place: Place, stalls: tuple[type, ...] = ()) -> Iterator[Life]:
    database = place()
    try:
        yield Life(database, stalls)
    finally:
        database.close()


@pytest.mark.parametrize("kind", [CutTask, ProvisionNode, RunPart, CombineProduct, DeliverProduct])
def test_a_service_that_dies_before_any_outcome_is_gone_on_with(place: Place, kind: type) -> None:
    with life(place, stalls=(kind,)) as first:
        first.begin()
        (task,) = first.tasks()
        assert task.ended_at is None
        waited_for = [each for each in first.hands.obeyed if isinstance(each, kind)]
        state = first.service.planner.snapshot()
    with life(place) as second:
        assert second.recovered.planner.snapshot().desk == state.desk
        assert list(second.recovered.commands) == waited_for
        second.play()
        (task,) = second.tasks()
    assert (task.state, task.manifest_url) == ("delivered", "file:///p.manifest.json")
    assert (task.parts, task.parts_done, task.worker_s) == (2, 2, 4.0)


def test_nothing_is_under_way_when_all_is_done(place: Place) -> None:
    with life(place) as first:
        first.begin()
        assert first.tasks()[0].state == "delivered"
    with life(place) as second:
        assert second.recovered.commands == ()
        second.recorder.keep_snapshot(second.service.planner.snapshot(), second.recorder.seq)
    with life(place) as third:
        assert third.recorder.snapshot_seq == third.recorder.seq > 0


def test_what_cannot_be_written_is_not_acted_on_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SlackwaterError | None] = []
    with life(partial(SqliteDatabase, tmp_path / "db"), stalls=(RunPart,)) as one:
        one.begin()
        done = len(one.hands.obeyed)
        lost = next(each for each in one.hands.obeyed if isinstance(each, RunPart))
        assert isinstance(one.database, SqliteDatabase)
        full(one.database, monkeypatch)
        (answer,) = answers(lost)
        one.inbox.put(answer)
        other = SubscriptionAdded(at=NOW, subscription=subscription("other"))
        one.inbox.post(Letter(event=other, message_id="m1", settled=told.append))
        one.play()
        assert isinstance(one.service.fault, StorageError)
        assert "is full" in str(one.service.fault)
        assert told == [one.service.fault]
        assert len(one.hands.obeyed) == done
        assert one.service.planner.books.registry.row("other") is None
        monkeypatch.undo()
        one.hands.stalls = ()
        one.service.run(lambda planner: one.service.fault is None)
        one.inbox.post(Letter(event=other, message_id="m1", settled=told.append))
        one.inbox.post(Letter(event=other, message_id="m1", settled=told.append))
        one.play()
        assert told[1:] == [None, None]
        names = one.store.rows("list_subscriptions", SubscriptionRow, EVERYBODY)
        assert [row.id for row in names] == ["med", "other"]
        parts = {each.part_id: each for each in one.hands.obeyed if isinstance(each, RunPart)}
        assert lost.part_id in parts


EVERYBODY = {"owner": "", "after": "", "count": 10}


def full(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store's file grow no more, as on a disk that is full."""
    with database.transaction() as connection:
        ((pages,),) = connection.fetch("PRAGMA page_count", {})
        connection.fetch(f"PRAGMA max_page_count = {pages}", {})
    undo = monkeypatch.undo

    def free() -> None:
        undo()
        with database.transaction() as connection:
            connection.fetch("PRAGMA max_page_count = 1073741823", {})

    monkeypatch.setattr(monkeypatch, "undo", free)


def test_a_message_that_comes_again_changes_nothing(place: Place) -> None:
    event = SubscriptionAdded(at=NOW, subscription=subscription())
    with life(place) as one:
        one.inbox.post(Letter(event=event, message_id="m1"))
        one.play()
        seq = one.recorder.seq
    with life(place) as two:
        two.inbox.post(Letter(event=event, message_id="m1"))
        two.play()
        assert two.recorder.seq == seq


def test_an_inbox_that_is_full_takes_no_more_from_outside() -> None:
    inbox = Inbox(letters_max=1)
    inbox.post(Letter(event=archive_stands(NOW)))
    with pytest.raises(Overloaded, match="1 messages wait"):
        inbox.post(Letter(event=archive_stands(NOW)))
    inbox.put(archive_stands(NOW))
    assert len(inbox.batch(0.0)) == 2


def test_a_service_that_was_taken_over_can_write_no_more(place: Place) -> None:
    with life(place) as old, life(place) as new:
        old.inbox.put(archive_stands(NOW))
        with pytest.raises(Fenced, match="another service has taken over"):
            old.play()
        new.begin()
        assert new.tasks()[0].state == "delivered"


def test_a_build_that_decides_otherwise_is_refused(place: Place) -> None:
    with life(place) as one:
        one.begin()
        with one.database.transaction() as connection:
            otherwise = "UPDATE journal SET line = replace(line, :was, :is)"
            connection.change(otherwise, {"was": '"parts_wanted":', "is": '"parts_wanted":1'})
    with pytest.raises(BrokenJournal, match="is decided otherwise by build"), life(place):
        pass


def test_tasks_of_a_subscription_that_ends_are_listed_as_dropped(place: Place) -> None:
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        one.inbox.put(SubscriptionRemoved(at=NOW, subscription_id="med"))
        one.play()
        assert [row.state for row in one.tasks()] == ["dropped"]
        assert one.store.rows("list_subscriptions", SubscriptionRow, EVERYBODY) == []
        one.recorder.tidy(one.service.planner)
    with life(place) as two:
        assert [c for c in two.recovered.commands if isinstance(c, RunPart)] == []


def test_nodes_and_why_they_came_are_listed(place: Place) -> None:
    with life(place) as one:
        one.begin()
        (node,) = one.store.rows("list_nodes", NodeRow, {"standing_only": 0, "count": 9})
        assert node.ready_at == NOW
        with one.database.reading() as connection:
            told = connection.fetch("SELECT action, reason FROM decisions ORDER BY place", {})
    assert [action for action, _ in told] == ["launch", "remove"]
    assert "short" in told[0][1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not a database at all, but some text of a hundred bytes" * 40, "is no database"),
        (b"SQLite format 3\0" + b"\x55" * 4096, "is"),
    ],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=told):
        SqliteDatabase(path)
    assert path.read_bytes() == content


def test_a_store_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "db")
    upgrade(database, "db")
    with database.transaction() as connection:
        connection.change("INSERT INTO schema_version (number) VALUES (99)", {})
    with pytest.raises(StorageError, match="has schema 99, this program knows up to"):
        upgrade(database, "db")
    database.close()


def test_a_transaction_that_fails_leaves_nothing(place: Place) -> None:
    with life(place) as one:
        good = Write(query="add_message", rows=({"id": "a", "taken_at": NOW},))
        bad = Write(query="add_message", rows=({"id": "a", "taken_at": NOW},))
        with pytest.raises(StorageError):
            one.store.commit([good, bad])
        assert not one.store.knows("a")
