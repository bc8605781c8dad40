"""What became of an attempt to tell a notice, and so what happens to it next.

The retries are a table: short pauses for a receiver that restarts, long ones for one that is away
for a weekend. A notice that is still not taken three days later goes to the dead letters, where an
operator finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

DELAYS_S = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Pauses after each failed attempt [s]: ten attempts over three days (Standard Webhooks 1.0)."""

JITTER = 0.2
"""A pause is longer by up to this share, so that what failed together is not retried together."""

RETRY_AFTER_S_MAX = 86400.0
"""A receiver may ask for a longer pause, but not put a notice off for ever [s]."""


class Fate(StrEnum):
    """How an attempt ended."""

    SENT = "sent"
    FAILED = "failed"
    GONE = "gone"
    REFUSED = "refused"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended.

    Parameters
    ----------
    fate : Fate
        "failed" may succeed later; "gone" wants nothing any more; "refused" cannot succeed;
        "abandoned" was given up by us and counts for nothing.
    reason : str
        In words. Nothing that the other side wrote is in it: it may be shown to whoever named
        the address, and must not tell them what answers inside our network.
    retry_after_s : float
        What the receiver asks us to wait [s].
    """

    fate: Fate
    reason: str = ""
    retry_after_s: float = 0.0


class LetterState(StrEnum):
    """How a letter stands."""

    WAITING = "waiting"
    SETTLED = "settled"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt makes of its letter.

    Parameters
    ----------
    letter_id, addressee_id : str
    state : LetterState
    attempts : int
        Made so far [count].
    at : float
        When the attempt ended [POSIX s].
    due_at : float
        When it is tried again, if it waits [POSIX s].
    reason : str
        Of a failure.
    disables : bool
        Whether its addressee wants nothing any more.
    """

    letter_id: str
    addressee_id: str
    state: LetterState
    attempts: int
    at: float
    due_at: float
    reason: str
    disables: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When what failed is tried again.

    Parameters
    ----------
    delays_s : tuple of float
        Pause after each failed attempt [s]; there is one attempt more than pauses.
    jitter : float
        Share by which a pause may be longer.
    """

    delays_s: tuple[float, ...] = DELAYS_S
    jitter: float = JITTER

    def pause_s(self, attempts: int, outcome: Outcome, chance: float) -> float | None:
        """Return the pause after so many attempts [s], or None after the last.

        Parameters
        ----------
        attempts : int
            Made so far, this one included.
        outcome : Outcome
            Of the last one.
        chance : float
            In [0, 1), drawn for this pause.
        """
        if attempts > len(self.delays_s):
            return None
        pause_s = self.delays_s[attempts - 1] * (1.0 + self.jitter * chance)
        return max(pause_s, min(outcome.retry_after_s, RETRY_AFTER_S_MAX))


def retry_after_s(header: str, now: float) -> float:
    """Return what a Retry-After header asks to wait [s]; 0 for one that makes no sense.

    Parameters
    ----------
    header : str
        Seconds, or a date (RFC 9110, 10.2.3).
    now : float
        [POSIX s]
    """
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(float(header[:12]), RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    asked_s = (moment - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(asked_s, 0.0), RETRY_AFTER_S_MAX)
