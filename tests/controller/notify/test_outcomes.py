"""When what failed is tried again, and when no more."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.notify.carrier import verdict
from controller.notify.letterbox import Letter
from controller.notify.outcomes import (
    DELAYS_S,
    JITTER,
    RETRY_AFTER_S_MAX,
    Fate,
    LetterState,
    Outcome,
    Schedule,
    retry_after_s,
)
from controller.notify.webhooks import Endpoint
from tests.controller.notify.receiver import SECRET, notice

NOW = 1790000000.0
FAILED = Outcome(fate=Fate.FAILED, reason="it answered 500")


def letter(attempts: int) -> Letter:
    to = Endpoint(id="e1", url="https://hooks.example.org/", secrets=(SECRET,))
    return Letter(id="l1", lane="hooks.example.org", attempts=attempts, to=to, notice=notice())


@given(attempt=st.integers(1, len(DELAYS_S)), chance=st.floats(0, 1, exclude_max=True))
def test_pauses_are_those_of_the_table_and_a_little_more(attempt: int, chance: float) -> None:
    pause_s = Schedule().pause_s(attempt, FAILED, chance)
    assert pause_s is not None
    assert DELAYS_S[attempt - 1] <= pause_s < DELAYS_S[attempt - 1] * (1 + JITTER) + 1e-6


def test_after_the_last_attempt_there_is_no_pause() -> None:
    assert Schedule().pause_s(len(DELAYS_S) + 1, FAILED, 0.0) is None


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_a_shorter_or_an_endless_one() -> None:
    def pause_s(asked_s: float) -> float | None:
        return Schedule().pause_s(2, Outcome(fate=Fate.FAILED, retry_after_s=asked_s), 0.0)

    assert pause_s(1.0) == DELAYS_S[1]
    assert pause_s(3600.0) == 3600.0
    assert pause_s(1e9) == RETRY_AFTER_S_MAX


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-5", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("1e9", 0.0),
        ("9" * 400, RETRY_AFTER_S_MAX),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("Mon, 21 Sep 2026 14:14:50", 90.0),
        ("Fri, 31 Feb 2026 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 99999 00:00:00 GMT", 0.0),
        ("٣", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nonsense(header: str, expected: float) -> None:
    assert retry_after_s(header, NOW) == pytest.approx(expected, abs=1.0)


@given(st.text())
def test_no_retry_after_header_does_harm(header: str) -> None:
    assert 0.0 <= retry_after_s(header, NOW) <= RETRY_AFTER_S_MAX


@pytest.mark.parametrize(
    ("fate", "attempts", "state", "disables"),
    [
        (Fate.SENT, 0, LetterState.SETTLED, False),
        (Fate.FAILED, 0, LetterState.WAITING, False),
        (Fate.FAILED, len(DELAYS_S) - 1, LetterState.WAITING, False),
        (Fate.FAILED, len(DELAYS_S), LetterState.DEAD, False),
        (Fate.GONE, 0, LetterState.DEAD, True),
        (Fate.REFUSED, 0, LetterState.DEAD, False),
    ],
)
def test_what_an_attempt_makes_of_a_letter(
    fate: Fate, attempts: int, state: LetterState, disables: bool
) -> None:
    found = verdict(letter(attempts), Outcome(fate=fate), Schedule(), now=NOW, chance=0.0)
    assert (found.state, found.disables, found.attempts) == (state, disables, attempts + 1)
    if state is LetterState.WAITING:
        assert found.due_at == NOW + DELAYS_S[attempts]
