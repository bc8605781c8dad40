"""A service under load holds no more and no more; `make soak` looks for hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.soak import Look, judged, soak

RISE_MAX = {"resident_mb": 0.05, "files": 0.1, "connections": 0.5, "threads": 0.15}
"""Over a minute the last thing that is loaded late weighs more than any leak that matters: these
catch what grows with each product."""


def test_a_minute_of_load_leaves_nothing_behind(tmp_path: Path) -> None:
    found = soak(tmp_path, 1.0)
    assert found.products >= 3
    assert {name: rise for name, rise in found.rise.items() if rise > RISE_MAX[name]} == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_minutes_of_load_leave_nothing_behind(tmp_path: Path) -> None:
    found = soak(tmp_path, 5.0)
    assert found.products >= 15
    assert {name: rise for name, rise in found.rise.items() if rise > RISE_MAX[name] / 2} == {}


def test_what_grows_is_seen() -> None:
    looks = [
        Look(at_s=float(s), resident_mb=100.0 + s / 100.0, files=20.0, connections=2.0, threads=9.0)
        for s in range(3600)
    ]
    found = judged(looks, products=9, minutes=60.0)
    assert found.growth_per_h["resident_mb"] == pytest.approx(36.0 / 123.4, rel=0.01)
    assert found.growth_per_h["files"] == 0.0
    assert not found.is_steady
    assert found.rise["resident_mb"] > RISE_MAX["resident_mb"]
