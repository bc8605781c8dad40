"""Ranges of pressure and depth: read from options, half-open, and the same however told."""

from __future__ import annotations

from pathlib import Path

import gsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo.fragment import Harvest, read_fragment
from controller.apps.argo.vertical import VerticalRange, vertical_range
from controller.demo.profiles import Cast, Measured
from planner.errors import InvalidSubscription
from tests.argo_files import (
    LEVELS,
    PRESSURE,
    WANTED,
    a_cast,
    archive_of,
    extracted,
    in_delayed_mode,
    measuring,
)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("0/500", 0, 500),
        ("../500", None, 500),
        ("100/..", 100, None),
        (" 1e2 / 250.5 ", 100, 250.5),
    ],
)
def test_a_range_is_read(text: str, start: float | None, end: float | None) -> None:
    assert vertical_range("depth", text) == VerticalRange(of="depth", start=start, end=end)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("500", r"option pressure '500' is no range. Write pressure: 0/500"),
        ("0/10/20", r"is no range"),
        ("500/0", r"ends before it starts, or is empty. Write the shallow end first"),
        ("10/10", r"is empty"),
        ("-5/10", r"is negative. Count downward from 0 at the surface"),
        ("0/deep", r"has the end 'deep', which is no number of dbar"),
        ("nan/10", r"'nan'"),
        ("0/inf", r"'inf'"),
        ("../..", r"is open at both ends. Leave it out"),
        ("/", r"is open at both ends"),
        ("", r"is no range"),
    ],
)
def test_what_is_no_range_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidSubscription, match=says):
        vertical_range("pressure", text)


@given(
    st.lists(st.floats(-5, 2100, width=32), min_size=1, max_size=20),
    st.floats(0, 2000),
    st.floats(-90, 90),
    st.sampled_from(["pressure", "depth"]),
)
def test_neighbouring_ranges_share_no_level_and_leave_none_out(
    pressures: list[float], edge: float, latitude: float, of: str
) -> None:
    levels = np.array(pressures, np.float32)
    above = VerticalRange(of=of, end=edge).holds(levels, latitude)
    below = VerticalRange(of=of, start=edge).holds(levels, latitude)
    assert (above ^ below).all()


def test_an_unknown_pressure_lies_nowhere() -> None:
    assert not vertical_range("pressure", "../500").holds(np.array([np.nan]), 0.0).any()


def test_depth_depends_on_the_latitude() -> None:
    pressure = gsw.p_from_z(-1000.0, [0.0, 80.0])
    assert pressure[1] - pressure[0] > 5
    between = np.array([pressure.mean()])
    assert not vertical_range("depth", "0/1000").holds(between, 0.0).any()
    assert vertical_range("depth", "0/1000").holds(between, 80.0).all()


def harvest_of(folder: Path, *casts: Cast, **options: str) -> Harvest:
    address, files = archive_of(folder / "archive", casts)
    return read_fragment(extracted(address, files, folder / "f.npz", WANTED, **options))


def test_levels_outside_are_dropped_and_the_profile_is_listed(tmp_path: Path) -> None:
    harvest = harvest_of(tmp_path, a_cast(), pressure="20/50")
    assert harvest.columns["PRES"].tolist() == [20, 30, 40]
    none = harvest_of(tmp_path, a_cast(), pressure="500/..")
    assert none.profiles["rows"].tolist() == [0]
    assert none.left_out == ()
    assert harvest_of(tmp_path, a_cast(), depth="20/50").columns["PRES"].tolist() == [30, 40, 50]


def test_the_pressure_that_stands_decides(tmp_path: Path) -> None:
    for mode in ("standard", "expert"):
        cast = in_delayed_mode(a_cast(), by=15.0)
        harvest = harvest_of(tmp_path, cast, pressure="0/30", mode=mode)
        assert harvest.rows == 2, mode
    raw = harvest_of(tmp_path, a_cast(), pressure="0/30", mode="expert")
    assert raw.columns["PRES"].tolist() == [0, 10, 20]


def test_the_few_pressures_above_the_surface_are_kept_by_an_open_start(tmp_path: Path) -> None:
    cast = measuring(a_cast(), PRES=Measured(values=np.concatenate([[-0.2], PRESSURE[1:]])))
    assert harvest_of(tmp_path, cast, pressure="0/500").rows == LEVELS - 1
    assert harvest_of(tmp_path, cast, pressure="../500").rows == LEVELS
