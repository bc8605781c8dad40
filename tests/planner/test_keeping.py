"""Snapshots are written whole, or without the rows of subscriptions, and read back the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from planner.books import Snapshot
from planner.commands import RunPart
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.events import SubscriptionAdded, SubscriptionPaused, SubscriptionRemoved, Ticked
from planner.keeping import FORMAT, decode_snapshot, encode_snapshot, encode_state, holds_rows
from planner.settings import PlannerSettings
from tests.planner.building import (
    PACIFIC,
    cut,
    every,
    feed,
    finished,
    node_up,
    opened,
    opened_task,
    subscription,
    update,
    view,
)


def story() -> Planner:
    """Return a planner with tasks in all states, of versions that stand and that do not."""
    planner = opened(PlannerSettings())
    opened_task(planner, 10, 20, 30)
    node_up(planner)
    runs = every(planner.handle(Ticked(at=2.0)), RunPart)
    feed(planner, finished(runs[0], 3.0))
    feed(planner, SubscriptionAdded(at=3.0, subscription=subscription(version=2)))
    feed(planner, SubscriptionAdded(at=3.0, subscription=subscription("pac", box=PACIFIC)))
    feed(planner, SubscriptionAdded(at=3.0, subscription=subscription("gone")))
    feed(planner, SubscriptionRemoved(at=3.0, subscription_id="gone"))
    feed(planner, SubscriptionPaused(at=3.0, subscription_id="pac"))
    feed(planner, update(4.0, 1))
    second = list(planner.books.backlog.tasks)[-1]
    piece = replace(view().extent, box=replace(view().extent.box, east=0.0))
    feed(planner, cut(second, 4.0, 5, extent=piece), Ticked(at=4.0))
    return planner


def plain(snapshot: Snapshot) -> Any:
    """Return all that a snapshot holds, field by field."""
    return msgspec.to_builtins(snapshot, str_keys=True)


def first_format(snapshot: Snapshot) -> bytes:
    """Return a snapshot as version 1 was written: the books as they are."""
    told = plain(snapshot)
    for row in told["registry"]["rows"].values():
        row["paused"] = row["covered_to"] is not None
        row["covered_to"] = row["covered_to"] or {view().dataset: 1}
    return msgspec.json.encode(told)


@pytest.mark.parametrize("write", [encode_snapshot, first_format])
def test_one_piece_holds_all(write: Callable[[Snapshot], bytes]) -> None:
    snapshot = story().snapshot()
    data = write(snapshot)
    assert holds_rows(data)
    assert plain(decode_snapshot(data)) == plain(snapshot)


def test_the_rows_may_be_kept_elsewhere() -> None:
    snapshot = story().snapshot()
    rows = list(snapshot.registry.rows.items())
    data = encode_state(snapshot)
    assert not holds_rows(data)
    assert snapshot.registry.rows[1].subscription.destination.encode() not in data
    assert plain(decode_snapshot(data, rows=rows)) == plain(snapshot)


def test_a_task_shares_what_its_subscription_says() -> None:
    snapshot = story().snapshot()
    rows = dict(snapshot.registry.rows)
    first, *_, last = decode_snapshot(encode_state(snapshot), rows=rows.items()).tasks
    assert first.subscription.version == 1
    assert last.subscription is rows[0].subscription
    assert last.selections[0].view is rows[0].subscription.views[0]
    assert first.parts[0].extent is first.selections[0].view.extent


def test_waiting_tasks_do_not_repeat_their_subscription() -> None:
    planner = opened(PlannerSettings())
    sizes = []
    for number in range(2):
        opened_task(planner, 10, name=f"s{number}")
        sizes.append(len(encode_state(planner.snapshot())))
    wish = len(msgspec.json.encode(subscription("s1")))
    assert sizes[1] - sizes[0] < 300 < wish


def test_rows_that_are_not_there_are_missed() -> None:
    snapshot = story().snapshot()
    rows = list(snapshot.registry.rows.items())
    with pytest.raises(BrokenJournal, match="of 2 subscriptions, and 1 of them"):
        decode_snapshot(encode_state(snapshot), rows=rows[1:])


@pytest.mark.parametrize(
    ("was", "told"),
    [
        ({"format": FORMAT + 1}, f"has format {FORMAT + 1}, this program reads up to {FORMAT}"),
        ({"tasks": [["t1"]]}, "not a snapshot of this version"),
        ({"books": {}}, "not a snapshot of this version"),
        ({"former": []}, "not a snapshot of this version"),
    ],
)
def test_what_cannot_be_read_is_refused(was: dict[str, Any], told: str) -> None:
    data = msgspec.json.decode(encode_snapshot(story().snapshot()))
    with pytest.raises(BrokenJournal, match=told):
        decode_snapshot(msgspec.json.encode(data | was))
