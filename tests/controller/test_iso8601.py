"""Durations, instants and intervals as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config.iso8601 import parse_duration, parse_instant, parse_interval
from planner.extent import Period


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("PT2H", 7200),
        ("PT90S", 90),
        ("PT1M30S", 90),
        ("PT0.5S", 0.5),
        ("PT1,5H", 5400),
        ("P1D", 86400),
        ("P1DT12H", 129600),
        ("P2W", 1209600),
        ("+PT1S", 1),
        ("PT0S", 0),
    ],
)
def test_durations(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, s: int) -> None:
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=s)
    assert parse_duration(f"P{days}DT{hours}H{minutes}M{s}S") == length.total_seconds()


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P1Y2M", "P0.5M", "P1MT1M"])
def test_months_and_years_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no fixed length"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "2H", "PT2", "P2H", "pt2h", "PT1S1M", "PT1e3S", "PT٢H", "-PT1S"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no ISO 8601 duration|is negative"):
        parse_duration(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_read_back(moment: datetime) -> None:
    assert parse_instant(moment.isoformat()) == moment.timestamp()
    assert parse_instant(moment.replace(tzinfo=None).isoformat()) == moment.timestamp()


@pytest.mark.parametrize("text", ["2010-02-30", "2010-13-01", "2010", "yesterday", "", "1.5"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        parse_instant(text)


def test_intervals() -> None:
    january, february = 1_262_304_000.0, 1_264_982_400.0
    assert parse_interval("2010-01-01/2010-02-01") == Period(start_at=january, end_at=february)
    assert parse_interval("2010-01-01T00:00:00Z/..") == Period(start_at=january)
    assert parse_interval("/2010-02-01T01:00+01:00") == Period(end_at=february)
    assert parse_interval("../..") == Period()


@pytest.mark.parametrize("text", ["", "..", "a/b/c", "2010-01-01/P1Y", "2010-01-02/2010-01-01"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"interval|no date|ends before"):
        parse_interval(text)
