"""Creations that a cloud does not answer hold nobody up but themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.slow_cloud import CREATIONS, OURS, Kept, kept_service
from bench.standing import letter_ms, p99
from tests.fleet.canned import canned_cloud

LETTERS = 200
WAIT_S_MAX = 60.0

PAUSE_MS_MAX = 100.0
"""Promised of the loop at the 99 % quantile [ms]."""


def letters(kept: Kept) -> Iterator[float]:
    """Yield how long each letter took to be durable [ms]; each changes what is offered."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < give_up_at:
        for boot_s in (1.0, 2.0):
            yield letter_ms(kept.inbox, replace(OURS, boot_s=boot_s))


def test_fifty_creations_that_are_pending_do_not_hold_the_loop_up(tmp_path: Path) -> None:
    with canned_cloud() as cloud, kept_service(tmp_path, cloud.url, CREATIONS) as kept:
        cloud.let_create.clear()
        coming = letters(kept)
        next(coming)
        kept.ask(CREATIONS)
        while cloud.asked.count("POST /servers") < CREATIONS:
            next(coming)
        kept.pauses_ms.clear()
        took_ms = [next(coming) for _ in range(LETTERS)]
        assert kept.nodes.pending == CREATIONS
        assert not cloud.servers
        assert p99(kept.pauses_ms) < PAUSE_MS_MAX, took_ms
