"""What was asked for counts until no listing can be older than it."""

from __future__ import annotations

import time

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes import libcloud_asked
from controller.nodes.libcloud_asked import AskedMachines
from tests.fleet.clouds import machine_type

SMALL = machine_type("m1.tiny", "debian", nodes_max=1)


def full(asked: AskedMachines, listed: dict[str, str], since: float) -> bool:
    """Tell whether another one is refused; if it is not, it gives its place up again."""
    try:
        asked.reserve("another", SMALL, 1, listed, since)
    except NodeError as error:
        return error.fault is NodeFault.QUOTA
    asked.forget("another")
    return False


def test_a_place_counts_before_and_after_its_machine_is_made() -> None:
    asked = AskedMachines()
    assert not full(asked, {}, 0.0)
    assert asked.reserve("n1", SMALL, 1, {}, 0.0)
    assert full(asked, {}, time.monotonic())
    asked.made("n1")
    assert full(asked, {}, time.monotonic())
    assert not asked.reserve("n1", SMALL, 1, {}, 0.0), "it has its place"
    asked.forget("n1")
    assert not full(asked, {}, 0.0)


def test_a_listing_that_began_before_it_was_seen_misses_it_and_it_counts() -> None:
    asked = AskedMachines()
    asked.reserve("n1", SMALL, 1, {}, 0.0)
    asked.made("n1")
    slow = time.monotonic()
    assert list(asked.see([])) == ["n1"]
    assert asked.see(["n1"]) == {}
    assert full(asked, {}, slow)
    # One that began later shows it, or it is gone.
    later = time.monotonic()
    assert full(asked, {"n1": "small"}, later)
    assert not full(asked, {}, later)
    assert not asked.is_awaited("n1")


def test_what_is_being_made_is_awaited_however_long_that_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libcloud_asked, "LAG_S", 0.0)
    asked = AskedMachines()
    asked.reserve("n1", SMALL, 1, {}, 0.0)
    assert list(asked.see([])) == ["n1"]
    asked.made("n1")
    assert asked.see([]) == {}, "made, and not listed for longer than a listing lags"
    assert not full(asked, {}, time.monotonic())
