"""Spans in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.spans import rounded_up, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (8.24, "8.2 s"),
        (59.96, "1 m 00 s"),
        (843.4, "14 m 03 s"),
        (3599.7, "1 h 00 m"),
        (7500.0, "2 h 05 m"),
        (-61.0, "-1 m 01 s"),
    ],
)
def test_a_span_is_told_in_the_unit_that_reads_best(seconds: float, words: str) -> None:
    assert span(seconds) == words


@given(st.floats(0.01, 1e7))
def test_what_is_rounded_up_is_no_shorter_and_stays_what_it_is(seconds: float) -> None:
    longer = rounded_up(seconds)
    assert longer >= seconds * (1 - 1e-9)
    assert math.isclose(rounded_up(longer), longer)
    assert longer <= max(1.0, 2.0 * seconds)
