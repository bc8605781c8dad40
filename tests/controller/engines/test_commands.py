"""Commands on real workers: their fragments come back, and nothing of them outlives its part."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from controller.apps.command.extract import extract
from planner.events import AttemptLost, PartFailed, PartFinished
from tests.controller.apps.command.orders import part, shell
from tests.controller.engines.carrier import Carrier, until, work

HELD_S = "4712.5"
"""An odd time to sleep, by which these tests find their processes again."""


def sleepers() -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["cmdline", "status"])
        if HELD_S in (each.info["cmdline"] or ()) and each.info["status"] != psutil.STATUS_ZOMBIE
    ]


def test_a_worker_runs_commands_and_tells_how_they_end(carrier: Carrier, tmp_path: Path) -> None:
    orders = {
        "p-good": part(tmp_path, shell("echo h > $1; echo 1 >> $1"), name="good"),
        "p-bad": part(tmp_path, shell("echo no licence >&2; exit 2"), name="bad"),
        "p-busy": part(tmp_path, shell("exit 75"), name="busy"),
    }
    node_id = carrier.node()
    carrier.engine.submit([work(node_id, name, extract, order) for name, order in orders.items()])
    ended = {event.part_id: event for event in carrier.inbox.ended(3)}
    good, bad, busy = (ended[name] for name in orders)
    assert isinstance(good, PartFinished)
    assert good.fragment.rows == 1
    assert isinstance(bad, PartFailed)
    assert isinstance(busy, PartFailed)
    assert "exit code 2, having said: no licence" in bad.reason
    assert (bad.retry, busy.retry) == (False, True)


def test_a_part_that_outruns_its_limit_takes_its_command_along(
    carrier: Carrier, tmp_path: Path
) -> None:
    order = part(tmp_path, shell(f"trap '' TERM\n(setsid sleep {HELD_S} &)\nsleep {HELD_S}"))
    carrier.engine.submit([work(carrier.node(), "p1", extract, order, limit_s=2.0)])
    until(lambda: len(sleepers()) == 2)
    (event,) = carrier.inbox.ended(1)
    assert isinstance(event, AttemptLost)
    until(lambda: not sleepers())


def test_a_deleted_node_leaves_no_command_behind(carrier: Carrier, tmp_path: Path) -> None:
    node_id = carrier.node()
    order = part(tmp_path, shell(f"(setsid sleep {HELD_S} &)\nsleep {HELD_S}"))
    carrier.engine.submit([work(node_id, "p1", extract, order)])
    until(lambda: len(sleepers()) == 2)
    began = time.monotonic()
    until(lambda: carrier.nodes.delete(node_id))
    until(lambda: not sleepers())
    assert time.monotonic() - began < 15.0
