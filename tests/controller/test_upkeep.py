"""Backups, upgrades, checks and exports of a store, of both kinds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controller.build import BUILD
from controller.errors import Fenced, StorageError
from controller.snapshotting import Order, take
from controller.store.backup import STILL_S, Waiting, back_up, faults_of, restore
from controller.store.database import Database
from controller.store.opening import Address
from controller.store.schema import newest
from controller.store.sqlite import SqliteDatabase
from controller.upkeep import check, export, move_on
from planner.commands import RunPart
from planner.errors import BrokenJournal
from planner.events import OffersChanged
from planner.journal import decode_header, read_steps, replay
from planner.scaling.policy import BUILT_IN
from tests.controller.conftest import Command
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place, place, server
from tests.planner.building import OFFER

__all__ = ["place", "server"]


OTHERWISE = {"was": '"parts_wanted":', "is": '"parts_wanted":1'}


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.beats: list[Life] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        for each in self.beats:
            each.store.beat()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock) -> Waiting:
    return Waiting(clock=clock, pause=clock.pause)


def address_of(database: Database) -> Address:
    if isinstance(database, SqliteDatabase):
        return Address(path=str(database.path))
    return Address(path="", url=vars(database)["url"])


def changed(one: Life) -> None:
    """Let one more step happen."""
    one.inbox.put(OffersChanged(at=NOW, offers=(OFFER, OFFER)))
    one.play()


def test_a_backup_beside_a_service_brings_it_back(
    place: Place, tmp_path: Path, waiting: Waiting
) -> None:
    file = tmp_path / "backup"
    with life(place, stalls=(RunPart,)) as one:
        address = address_of(one.database)
        one.begin()
        size_bytes = back_up(address, file)
        sequence, epoch = one.service.planner.snapshot().desk.sequence, one.store.epoch
        seq = one.recorder.seq
        changed(one)
        assert file.stat().st_size == size_bytes
        assert faults_of(file) == []
        with pytest.raises(StorageError, match="is there"):
            back_up(address, file)
    before = file.read_bytes()
    with pytest.raises(StorageError, match="holds something already"):
        restore(address, file, waiting=waiting)
    restore(address, file, overwrites=True, waiting=waiting)
    assert file.read_bytes() == before
    with life(place, stalls=(RunPart,)) as two:
        assert two.store.epoch > epoch + 1
        assert two.recorder.seq == seq
        assert two.recovered.planner.snapshot().desk.sequence == sequence
        assert [type(each) for each in two.recovered.commands] == [RunPart, RunPart]


def test_a_backup_goes_into_the_other_kind_of_store(
    place: Place, tmp_path: Path, waiting: Waiting
) -> None:
    file, other = tmp_path / "backup", tmp_path / "new" / "other"
    with life(place) as one:
        one.begin()
        back_up(address_of(one.database), file)
        tasks = one.tasks()
        address = address_of(one.database)
    restore(Address(path=str(other)), file, waiting=waiting)
    with life(lambda: SqliteDatabase(other)) as two:
        assert two.tasks() == tasks
        back_up(Address(path=str(other)), file, overwrites=True)
    restore(address, file, overwrites=True, waiting=waiting)
    with life(place) as three:
        assert three.tasks() == tasks


def test_nothing_is_restored_where_a_service_lives(
    place: Place, tmp_path: Path, waiting: Waiting, clock: Clock
) -> None:
    file = tmp_path / "backup"
    with life(place) as one:
        address = address_of(one.database)
        one.begin()
        back_up(address, file)
        assert one.database.hold()
        with pytest.raises(Fenced, match="a service runs on store"):
            restore(address, file, overwrites=True, waiting=waiting)
        with pytest.raises(Fenced, match="a service runs on store"):
            move_on(address, tmp_path)
    with life(place) as taken_over:
        # It lives without the lock, as one that took over from one that hung.
        clock.beats.append(taken_over)
        with pytest.raises(Fenced, match="a service runs on store"):
            restore(address, file, overwrites=True, waiting=waiting)
        assert 0.0 < clock.now < STILL_S
        changed(taken_over)


@pytest.mark.parametrize("spoiled", ["torn", "foreign", "newer", "text"])
def test_a_bad_backup_changes_nothing(
    place: Place, tmp_path: Path, waiting: Waiting, spoiled: str
) -> None:
    file = tmp_path / "backup"
    with life(place) as one:
        address = address_of(one.database)
        one.begin()
        back_up(address, file)
        tasks = one.tasks()
    spoil(file, spoiled)
    with pytest.raises(StorageError, match="cannot be restored"):
        restore(address, file, overwrites=True, waiting=waiting)
    with life(place) as two:
        assert two.tasks() == tasks


def spoil(file: Path, how: str) -> None:
    if how == "torn":
        content = bytearray(file.read_bytes())
        content[4096 * 3 : 4096 * 6] = b"\x55" * (4096 * 3)
        file.write_bytes(content)
    elif how == "text":
        file.write_bytes(b"what an operator may give by mistake\n" * 100)
    else:
        if how == "foreign":
            file.unlink()
        connection = sqlite3.connect(file)
        statement = {
            "foreign": "CREATE TABLE birds (name TEXT)",
            "newer": f"INSERT INTO schema_version VALUES ({newest() + 1})",
        }[how]
        connection.execute(statement)
        connection.commit()
        connection.close()


def test_a_damaged_store_can_be_replaced(tmp_path: Path, waiting: Waiting) -> None:
    path, file = tmp_path / "db", tmp_path / "backup"
    with life(lambda: SqliteDatabase(path)) as one:
        one.begin()
        back_up(Address(path=str(path)), file)
    path.write_bytes(b"\x55" * 50_000)
    with pytest.raises(StorageError, match="is no database"):
        back_up(Address(path=str(path)), tmp_path / "second")
    assert path.read_bytes() == b"\x55" * 50_000
    assert not list(tmp_path.glob("*second*"))
    restore(Address(path=str(path)), file, overwrites=True, waiting=waiting)
    with life(lambda: SqliteDatabase(path)) as two:
        assert two.tasks()[0].state == "delivered"


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    spoil_absent(path)
    content = path.read_bytes()
    with pytest.raises(StorageError, match="of another program"):
        SqliteDatabase(path)
    assert path.read_bytes() == content


def spoil_absent(path: Path) -> None:
    path.touch()
    spoil(path, "foreign")


def test_a_full_disk_leaves_no_torn_backup(tmp_path: Path, small_disk: Path) -> None:
    path = tmp_path / "db"
    with life(lambda: SqliteDatabase(path)) as one:
        one.begin()
        with one.database.transaction() as connection:
            row = {"seq": 0, "number": 7, "content": bytes(2_000_000)}
            connection.change("INSERT INTO snapshot_pieces VALUES (:seq, :number, :content)", row)
        with pytest.raises(StorageError, match="full"):
            back_up(Address(path=str(path)), small_disk / "backup")
    assert list(small_disk.iterdir()) == []


def order(one: Life, archive: Path) -> Order:
    return Order(
        address=Address(path=""),
        holder="test",
        epoch=one.store.epoch,
        upto=one.recorder.seq,
        archive=str(archive),
        at=NOW,
    )


def test_a_store_that_is_well_is_found_so_beside_its_service(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "journal"
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        take(one.database, order(one, archive))
        changed(one)
        found = {each.what: each for each in check(address_of(one.database), archive)}
    assert all(each.ok for each in found.values()), found
    assert found["open tasks"].told.startswith("1, ")
    assert "1 steps since the snapshot" in found["journal"].told
    assert "2 under way" in found["commands"].told
    next(archive.glob("*.gz")).unlink()
    with life(place) as two:
        found = {each.what: each for each in check(address_of(two.database), archive)}
    assert not found["archive"].ok
    assert "lacks the steps 1 to" in found["archive"].told


@pytest.mark.parametrize(
    ("statement", "what", "told"),
    [
        ("DELETE FROM subscriptions", "subscriptions", "as ('med', 1, False)"),
        ("UPDATE tasks SET ended_at = 1.0", "open tasks", "1 are listed otherwise"),
        ("DELETE FROM nodes", "nodes", "1 are listed otherwise"),
        ("UPDATE journal SET line = replace(line, :was, :is)", "journal", "decided otherwise"),
    ],
)
def test_what_is_wrong_with_a_store_is_found(
    place: Place, tmp_path: Path, statement: str, what: str, told: str
) -> None:
    with life(place, stalls=(RunPart,)) as one:
        one.begin()
        with one.database.transaction() as connection:
            connection.change(statement, OTHERWISE)
        found = [each for each in check(address_of(one.database), tmp_path) if not each.ok]
    assert [each.what for each in found] == [what]
    assert told in found[0].told


def test_an_upgrade_leaves_a_snapshot_and_nothing_behind_it(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "journal"
    with life(place, stalls=(RunPart,)) as one:
        address = address_of(one.database)
        one.begin()
        seq, desk = one.recorder.seq, one.service.planner.snapshot().desk
    done = move_on(address, archive)
    assert (done.migrations, done.steps, done.build) == ((), seq, "build")
    with life(place, stalls=(RunPart,)) as two:
        assert two.store.snapshot() is not None
        assert two.recorder.snapshot_seq == two.recorder.seq == seq
        assert two.recovered.planner.snapshot().desk == desk
        header = two.store.header(seq)
        assert header is not None
        assert header.build == BUILD
        assert list(two.store.lines(0)) == []


def test_an_upgrade_refuses_a_tail_that_it_decides_otherwise(place: Place, tmp_path: Path) -> None:
    with life(place) as one:
        address = address_of(one.database)
        one.begin()
        with one.database.transaction() as connection:
            connection.change("UPDATE journal SET line = replace(line, :was, :is)", OTHERWISE)
        lines = dict(one.store.lines(0))
    with pytest.raises(BrokenJournal, match="Start build once more and end it with SIGTERM"):
        move_on(address, tmp_path)
    database = place()
    with database.reading() as connection:
        found = connection.fetch("SELECT COUNT(*) FROM journal", {})
    database.close()
    assert found == [(len(lines),)]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_an_export_is_a_journal_that_replays(tmp_path: Path, command: Command, name: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with life(lambda: SqliteDatabase(data / "slackwater.db")) as one:
        one.begin()
        take(one.database, order(one, data / "journal"))
        changed(one)
        steps = one.recorder.seq
        ended = command("db", "export", tmp_path / name, "--data", data)
    assert (ended.code, ended.out.split(": ")[1]) == (0, f"{steps} steps\n")
    told = command("replay", tmp_path / name, "--exact")
    assert told.code == 0
    assert f"{steps} steps" in told.out


def test_lines_that_move_to_the_archive_meanwhile_are_exported_once(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, file = tmp_path / "journal", tmp_path / "all.jsonl"
    with life(place) as one:
        one.begin()
        lines = type(one.store).lines
        moved: list[int] = []

        def move_first(store: object, after: int, upto: int | None = None) -> object:
            if not moved:
                moved.append(after)
                take(one.database, order(one, archive))
                changed(one)
            return lines(store, after, upto)  # type: ignore[arg-type]

        monkeypatch.setattr(type(one.store), "lines", move_first)
        steps = export(address_of(one.database), archive, file)
        assert steps == one.recorder.seq
    with file.open("rb") as journal:
        header = decode_header(journal.readline())
        assert replay(header, read_steps(journal), BUILT_IN) == (steps, None)


def test_the_commands_tell_what_they_did(tmp_path: Path, command: Command) -> None:
    data, file = tmp_path / "data", tmp_path / "backup"
    ended = command("db", "backup", file, "--data", data)
    assert (ended.code, "there is no store at" in ended.err) == (1, True)
    data.mkdir()
    with life(lambda: SqliteDatabase(data / "slackwater.db")) as one:
        one.begin()
    assert command("db", "backup", file, "--data", data, "--json").code == 0
    assert command("db", "restore", file, "--data", tmp_path / "elsewhere").code == 0
    ended = command("db", "check", "--data", tmp_path / "elsewhere")
    assert ended.code == 0
    assert "✓ open tasks" in ended.out
    ended = command("db", "upgrade", "--data", data)
    assert (ended.code, "begins from a snapshot after step" in ended.out) == (0, True)
