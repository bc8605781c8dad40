"""Durations, instants and intervals as ISO 8601 and RFC 3339 write them; all is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from planner.errors import InvalidExtent
from planner.extent import Period

_NUMBER = r"(\d{1,15}(?:[.,]\d{1,9})?)"
_DURATION = re.compile(
    rf"([+-]?)P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_UNITS_S = (7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0)


def parse_duration(text: str) -> float:
    """Return the length of an ISO 8601 duration [s]; ``PT2H`` is 7200.

    Weeks, days, hours, minutes and seconds, each with a fraction if need be.

    Raises
    ------
    ValueError
        It is no duration, has years or months (which have no fixed length), or is negative.
    """
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()[1:]):
        raise ValueError(f"{text!r} is no ISO 8601 duration. Write PT90S, PT30M, PT2H, P1D or P1W")
    sign, years, months, *amounts = found.groups()
    if years or months:
        raise ValueError(
            f"{text!r} has years or months, which have no fixed length. Write days or weeks"
            " (P30D, P4W); minutes stand after a T (PT5M)"
        )
    if sign == "-":
        raise ValueError(f"{text!r} is negative")
    numbers = (float((amount or "0").replace(",", ".")) for amount in amounts)
    return sum(number * unit_s for number, unit_s in zip(numbers, _UNITS_S, strict=True))


def parse_instant(text: str, *, zone_needed: bool = False) -> float:
    """Return an ISO 8601 date or date and time as POSIX seconds.

    A date stands for its first instant. Without an offset it is UTC, unless `zone_needed`, which
    asks for an RFC 3339 instant.

    Raises
    ------
    ValueError
        There is no such instant, or no offset where it is needed.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        reason = "" if "isoformat" in str(error) else f" ({error})"
        raise ValueError(
            f"{text!r} is no date{reason}. Write 2010-01-31 or 2010-01-31T12:00:00Z"
        ) from error
    if zone_needed and moment.tzinfo is None:
        raise ValueError(
            f"{text!r} does not say in which time zone. Write it in UTC: 2010-01-31T12:00:00Z"
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def parse_interval(text: str) -> Period:
    """Return an ISO 8601 interval ``start/end``; an end that is ``..`` or empty is open.

    Raises
    ------
    ValueError
        It has not two ends, one of them is no date, or the end comes before the start.
    """
    ends = [end.strip() for end in text.split("/")]
    if len(ends) != 2:
        raise ValueError(
            f"{text!r} is no interval. Write start/end, as 2010-01-01/2015-01-01 or 2010-01-01/.."
        )
    start_at, end_at = (None if end in ("", "..") else parse_instant(end) for end in ends)
    try:
        return Period(start_at=start_at, end_at=end_at)
    except InvalidExtent as error:
        raise ValueError(f"{text!r} ends before it starts, or is empty. {error.fix}") from error


_FIRST_AT = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST_AT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def instant_text(at: float) -> str:
    """Return an instant [POSIX s] as RFC 3339 in UTC; what lies beyond its years as their ends."""
    text = datetime.fromtimestamp(min(max(at, _FIRST_AT), _LAST_AT), UTC).isoformat(
        timespec="milliseconds"
    )
    return text.replace("+00:00", "Z").replace(".000Z", "Z")


def duration_text(duration_s: float) -> str:
    """Return a length of time [s] as an ISO 8601 duration; 5400 is ``PT1H30M``."""
    days, rest_s = divmod(duration_s, 86400.0)
    hours, rest_s = divmod(rest_s, 3600.0)
    minutes, seconds = divmod(rest_s, 60.0)
    amounts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    time = "".join(f"{amount:g}{unit}" for amount, unit in amounts if amount)
    day = f"{days:g}D" if days else ""
    return f"P{day}T{time}" if time else f"P{day or 'T0S'}"


def interval_text(period: Period) -> str:
    """Return a period as an ISO 8601 interval; an open end is ``..``."""
    ends = (period.start_at, period.end_at)
    return "/".join(".." if end is None else instant_text(end) for end in ends)
