"""Snapshots are taken beside the loop, prove what they replay, and keep the store small."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from controller.build import BUILD
from controller.errors import Fenced
from controller.snapshotting import Order, Snapshots, archive_lines, archived_lines, take
from controller.store.opening import Address
from planner.errors import BrokenJournal
from planner.events import OffersChanged
from planner.journal import decode_step, replay
from planner.scaling.policy import BUILT_IN
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place, place, server
from tests.planner.building import OFFER

__all__ = ["place", "server"]

PATIENCE_S = 60.0


def order(one: Life, folder: Path, address: Address | None = None) -> Order:
    return Order(
        address=address or Address(path=""),
        holder="test",
        epoch=one.store.epoch,
        upto=one.recorder.seq,
        archive=str(folder),
        at=NOW,
    )


def test_a_restart_begins_from_the_snapshot(place: Place, tmp_path: Path) -> None:
    with life(place) as one:
        one.begin()
        take(one.database, order(one, tmp_path / "journal"))
        seq, desk = one.recorder.seq, one.service.planner.snapshot().desk
        one.inbox.put(OffersChanged(at=NOW, offers=(OFFER, OFFER)))
        one.play()
    with life(place) as two:
        assert two.recorder.snapshot_seq == seq < two.recorder.seq
        assert two.recovered.planner.snapshot().desk.tasks_made == desk.tasks_made == 1
        assert [number for number, _ in two.store.lines(0)] == [seq + 1]


def test_archived_lines_are_the_journal_once_and_whole(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    with life(place) as one:
        one.begin()
        header = one.store.header(0)
        before = dict(one.store.lines(0))
        take(one.database, order(one, folder))
        one.inbox.put(OffersChanged(at=NOW, offers=(OFFER, OFFER)))
        one.play()
        before |= dict(one.store.lines(0))
        archive_lines(one.store, folder, one.recorder.seq - 1)  # As a kill before dropping does.
        take(one.database, order(one, folder))
    assert header is not None
    assert dict(archived_lines(folder)) == before
    steps = [decode_step(line, number) for number, line in archived_lines(folder)]
    assert replay(header, steps, BUILT_IN) == (len(before), None)
    next(iter(sorted(folder.glob("*")))).unlink()
    with pytest.raises(BrokenJournal, match="lacks the steps 1 to"):
        dict(archived_lines(folder))


def test_nothing_is_written_for_a_service_that_was_taken_over(place: Place, tmp_path: Path) -> None:
    with life(place) as one:
        one.begin()
        old = order(one, tmp_path)
        one.store.take_lease()
        with pytest.raises(Fenced):
            take(one.database, old)
        kept = one.store.snapshot()
        assert kept is not None
        assert kept.seq == 0


def test_a_long_tail_has_a_snapshot_taken(place: Place, tmp_path: Path) -> None:
    with life(place) as one:
        one.begin()
        address = Address(path=str(tmp_path / "db"), url=getattr(one.database, "url", ""))
        told: list[int] = []
        snapshots = Snapshots(address, one.store, tmp_path / "j", steps=2, done=told.append)
        give_up_at = time.monotonic() + PATIENCE_S
        while not told and not snapshots.fault and time.monotonic() < give_up_at:
            snapshots.look(one.recorder.seq, one.recorder.snapshot_seq)
            time.sleep(0.02)
        snapshots.close()
        assert (told, snapshots.fault) == ([one.recorder.seq], "")
        kept = one.store.snapshot()
        assert kept is not None
        assert (kept.seq, kept.build) == (one.recorder.seq, BUILD)


def test_a_journal_that_is_decided_otherwise_gets_no_snapshot(place: Place, tmp_path: Path) -> None:
    with life(place) as one:
        one.begin()
        with one.database.transaction() as connection:
            otherwise = "UPDATE journal SET line = replace(line, :was, :is)"
            connection.change(otherwise, {"was": '"parts_wanted":', "is": '"parts_wanted":1'})
        with pytest.raises(BrokenJournal, match="is decided otherwise"):
            take(one.database, order(one, tmp_path))
