"""The durable loop: a batch is written whole or not at all, and a restart goes on from there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from controller.errors import Fenced, Overloaded, StorageError
from controller.recording import Recovered
from controller.service import Inbox, Letter
from controller.store.listed import NodeRow, SubscriptionRow
from controller.store.schema import upgrade, version
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Write
from planner.commands import (
    CombineProduct,
    CutTask,
    DeliverProduct,
    ProvisionNode,
    RunPart,
)
from planner.errors import BrokenJournal, SlackwaterError
from planner.events import (
    SubscriptionAdded,
    SubscriptionRemoved,
)
from tests.controller.recorded import NOW, answers, life
from tests.controller.stores import Place, place, server
from tests.planner.building import archive_stands, subscription

__all__ = ["place", "server"]


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
        assert one.store.rows("one_subscription", SubscriptionRow, {"id": "other"}) == []
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


@pytest.mark.parametrize("kind", [RunPart, DeliverProduct])
def test_a_commit_whose_answer_is_lost_is_found_to_be_written(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """The connection is lost when all is written, and the store is away for a while then."""
    with life(place) as one:
        commit, recover, faults = one.store.commit, one.recorder.recover, [away(), away()]

        def commit_unheard(writes: Iterable[Write]) -> None:
            told = list(writes)
            commit(told)
            began = [row for write in told if write.query == "open_command" for row in write.rows]
            if faults and any(kind.__name__ in row["command"] for row in began):
                raise faults.pop()

        def recover_later() -> Recovered:
            if faults:
                raise faults.pop()
            return recover()

        monkeypatch.setattr(one.store, "commit", commit_unheard)
        monkeypatch.setattr(one.recorder, "recover", recover_later)
        one.begin()
        assert one.service.fault is not None
        one.service.run(lambda planner: bool(one.tasks()[0].ended_at))
        assert one.tasks()[0].state == "delivered"
        assert len([each for each in one.hands.obeyed if isinstance(each, DeliverProduct)]) == 1
        seqs = [number for number, _ in one.store.lines(0)]
        assert seqs == list(range(1, len(seqs) + 1))


def away() -> StorageError:
    return StorageError("the store is away")


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
        page = {"standing_only": 0, "before": math.inf, "after": "", "count": 9}
        (node,) = one.store.rows("list_nodes", NodeRow, page)
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


def test_a_first_start_that_was_killed_before_its_snapshot_is_begun_again(place: Place) -> None:
    with life(place) as killed:
        killed.store.commit([Write(query="drop_snapshots_before", rows=({"seq": 1},))])
        assert killed.store.snapshot() is None
        assert killed.store.header(0) is not None
    with life(place) as second:
        second.begin()
        assert second.tasks()[0].state == "delivered"


def test_a_transaction_that_fails_leaves_nothing(place: Place) -> None:
    with life(place) as one:
        good = Write(query="add_message", rows=({"id": "a", "taken_at": NOW},))
        bad = Write(query="add_message", rows=({"id": "a", "taken_at": NOW},))
        with pytest.raises(StorageError):
            one.store.commit([good, bad])
        assert not one.store.knows("a")


def test_readers_leave_no_connection_behind(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "db")
    upgrade(database, "db")

    def read() -> None:
        with database.reading() as connection:
            connection.fetch("SELECT * FROM lease", {})

    for _ in range(20):
        thread = Thread(target=read)
        thread.start()
        thread.join()
    names = [str(each.resolve()) for each in Path("/proc/self/fd").iterdir()]
    assert names.count(str(tmp_path / "db")) == 2
    database.close()


def test_a_store_that_somebody_may_be_at_work_on_is_not_brought_forward(place: Place) -> None:
    database = place()
    assert upgrade(database, "db", only_new=True)
    with database.transaction() as connection:
        connection.change("DELETE FROM schema_version WHERE number > 1", {})
    assert upgrade(database, "db", only_new=True) == ()
    with database.reading() as connection:
        assert version(connection) == 1
    database.close()
