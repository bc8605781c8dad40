"""The engine carries real parts to real worker processes; each attempt ends in one report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed.batched import BatchedSend

from controller.engines import dask_settings
from planner.events import AttemptLost, NodeReady, PartFailed, PartFinished
from planner.model import Fragment
from tests.controller.engines import works
from tests.controller.engines.carrier import Carrier, held, until, work


def test_a_batch_of_parts_runs_on_the_nodes_they_were_planned_for(carrier: Carrier) -> None:
    two, one = carrier.node(2), carrier.node(1)
    batch = [work((two, one)[i % 2], f"p{i}", works.fragment, i) for i in range(20)]
    carrier.engine.submit(batch)
    finished = {event.part_id: event for event in carrier.inbox.ended(20)}
    pids: dict[str, set[str]] = {two: set(), one: set()}
    for each in batch:
        event = finished[each.part_id]
        assert isinstance(event, PartFinished)
        assert (event.attempt, event.node_id) == (1, each.node_id)
        assert event.fragment.url.endswith(f"/{each.order}")
        assert 0 <= event.run_s < 10
        assert abs(event.at - time.time()) < 60
        pids[event.node_id].add(event.fragment.url.split("/")[2])
    assert len(pids[one]) == 1
    assert 1 <= len(pids[two]) <= 2
    assert not pids[one] & pids[two]


@pytest.mark.parametrize(
    ("extract", "reason", "retry"),
    [
        (works.raise_value_error, "ValueError: cannot read order, in raise_value_error", True),
        (works.refuse_for_good, "order is forbidden", False),
        (works.refuse_now, "order is not there", False),
        (works.raise_unpicklable, "no way for order", True),
        (works.return_unpicklable, "returned lock, not a Fragment", False),
    ],
)
def test_a_part_that_fails_says_why_and_whether_to_retry(
    carrier: Carrier, extract: Callable[[Any], Fragment], reason: str, retry: bool
) -> None:
    carrier.engine.submit([work(carrier.node(), "p1", extract)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFailed)
    assert reason in event.reason
    assert event.retry is retry


def test_a_work_that_cannot_be_sent_fails_alone(carrier: Carrier) -> None:
    def local(order: object) -> Fragment:
        return works.fragment(order)

    node_id = carrier.node()
    extracts = {"p1": works.fragment, "p-local": local, "p2": works.fragment}
    carrier.engine.submit([work(node_id, part_id, each) for part_id, each in extracts.items()])
    ended = {event.part_id: event for event in carrier.inbox.ended(3)}
    assert isinstance(ended["p1"], PartFinished)
    assert isinstance(ended["p2"], PartFinished)
    failed = ended["p-local"]
    assert isinstance(failed, PartFailed)
    assert failed.retry is False
    assert "p-local" in failed.reason


def test_an_attempt_that_is_under_way_is_not_sent_twice(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    holding = work(node_id, "p-held", works.hold, tmp_path / "held")
    carrier.engine.submit([holding])
    carrier.engine.submit([holding])
    held(tmp_path / "held")
    (tmp_path / "held").unlink()
    carrier.engine.submit([work(node_id, "p-after", works.fragment)])
    assert [event.part_id for event in carrier.inbox.ended(2)] == ["p-held", "p-after"]


def test_nothing_is_reported_of_a_stopped_attempt(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    carrier.engine.submit([work(node_id, "p-runs", works.hold, tmp_path / "held")])
    carrier.engine.submit([work(node_id, "p-waits", works.fragment)])
    held(tmp_path / "held")
    for part_id in ("p-runs", "p-waits", "p-never"):
        carrier.engine.stop(part_id, 1)
    (tmp_path / "held").unlink()
    carrier.engine.submit([work(node_id, "p-next", works.fragment)])
    (event,) = carrier.inbox.ended(1)
    assert event.part_id == "p-next"
    assert isinstance(event, PartFinished)


def test_a_long_part_keeps_no_other_from_an_idle_worker(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node(2)
    carrier.engine.submit([work(node_id, "p-long", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    carrier.engine.submit([work(node_id, f"p{i}", works.fragment) for i in range(10)])
    assert {event.part_id for event in carrier.inbox.ended(10)} == {f"p{i}" for i in range(10)}
    (tmp_path / "held").unlink()
    (event,) = carrier.inbox.ended(1)
    assert event.part_id == "p-long"


def test_parts_of_a_node_begin_in_the_order_they_were_sent(carrier: Carrier) -> None:
    node_id = carrier.node(1)
    ids = [f"p{i}" for i in range(30)]
    for part_id in ids:
        carrier.engine.submit([work(node_id, part_id, works.fragment)])
    assert [event.part_id for event in carrier.inbox.ended(30)] == ids


def test_a_node_without_workers_loses_what_it_is_sent(carrier: Carrier) -> None:
    carrier.engine.submit([work("n-none", "p1", works.fragment)])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    assert event.reason == "node n-none has no worker"


def test_a_limit_counts_from_the_start_of_the_part(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    first = work(node_id, "p1", works.hold, tmp_path / "held")
    carrier.engine.submit([first, work(node_id, "p2", works.fragment, limit_s=0.2)])
    held(tmp_path / "held")
    time.sleep(0.4)
    (tmp_path / "held").unlink()
    assert all(isinstance(event, PartFinished) for event in carrier.inbox.ended(2))


def test_a_part_may_have_no_limit(carrier: Carrier) -> None:
    carrier.engine.submit([work(carrier.node(), "p1", works.fragment, limit_s=float("inf"))])
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, PartFinished)


def test_a_shrinking_node_lets_its_parts_end(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node(2)
    paths = [tmp_path / name for name in ("a", "b")]
    carrier.engine.submit([work(node_id, path.name, works.hold, path) for path in paths])
    for path in paths:
        held(path)
    carrier.nodes.resize(node_id, 1)
    carrier.inbox.ready(node_id, 1)
    for path in paths:
        path.unlink()
    assert all(isinstance(event, PartFinished) for event in carrier.inbox.ended(2))
    carrier.nodes.resize(node_id, 3)
    carrier.inbox.ready(node_id, 3)


def test_the_number_of_joined_workers_is_told_once_per_change(carrier: Carrier) -> None:
    node_id = carrier.node(1)
    carrier.nodes.resize(node_id, 2)
    carrier.inbox.ready(node_id, 2)
    until(lambda: carrier.nodes.delete(node_id))
    carrier.inbox.ready(node_id, 0)
    told = [event for event in carrier.inbox.seen if isinstance(event, NodeReady)]
    assert [event.workers for event in told if event.node_id == node_id] == [1, 2, 1, 0]


def test_few_messages_are_kept_of_what_was_sent() -> None:
    async def kept_max() -> int | None:
        return BatchedSend(interval="2 ms").recent_message_log.maxlen

    dask_settings.apply()
    assert asyncio.run(kept_max()) == dask_settings.MESSAGES_KEPT
