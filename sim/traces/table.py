"""Reads and writes jobs as CSV: one a line, with the columns of `COLUMNS`."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from sim.traces.faults import BrokenTrace
from sim.workload import Job

COLUMNS = (
    "id",
    "at",
    "deadline_s",
    "parts",
    "work_s",
    "true_work_s",
    "part_bytes",
    "size_bytes",
    "priority",
)
NEEDED = ("id", "at", "work_s")
"""Columns that must be there; of the others, an empty field or none at all means the default."""

PARTS_MAX = 4096
"""Of a job: as many as a task may have by default."""

BIG = 1e15
"""No time of a trace lies further from 1970, and none lasts longer [s]."""


def read_table(lines: Iterable[str], name: str) -> list[Job]:
    """Read jobs, and return them in order of arrival.

    Parameters
    ----------
    lines : iterable of str
    name : str
        What to call it in errors.

    Raises
    ------
    BrokenTrace
        With all that is wrong, line by line.
    """
    rows = csv.DictReader(lines, strict=True)
    faults: list[str] = []
    jobs: dict[str, Job] = {}
    try:
        faults += [f"line 1: {fault}" for fault in _faults_of_header(rows.fieldnames or ())]
        for row in () if faults else rows:
            found: list[str] = []
            job = _job(row, found)
            if job and job.id in jobs:
                found.append(f"id {job.id!r} is there twice")
            faults += [f"line {rows.line_num}: {fault}" for fault in found]
            if job:
                jobs[job.id] = job
    except csv.Error as error:
        faults.append(f"line {rows.line_num}: {error}")
    if faults:
        raise BrokenTrace(name, faults, fix=f"Its columns are {', '.join(COLUMNS)}")
    return sorted(jobs.values(), key=lambda job: job.at)


def write_table(jobs: Iterable[Job]) -> Iterator[list[str]]:
    """Return the rows of a table, the names of the columns first; `read_table` reads them back."""
    yield list(COLUMNS)
    for job in jobs:
        yield [
            job.id,
            repr(job.at),
            "" if job.deadline_s is None else repr(job.deadline_s),
            str(len(job.parts_s)),
            _told(job.parts_s),
            "" if job.true_parts_s is None else _told(job.true_parts_s),
            str(job.part_bytes),
            str(job.size_bytes),
            repr(job.priority),
        ]


def _told(parts_s: tuple[float, ...]) -> str:
    """Return lengths as one sum where they are equal, else one by one."""
    whole_s = parts_s[0] * len(parts_s)
    if parts_s == (whole_s / len(parts_s),) * len(parts_s):
        return repr(whole_s)
    return " ".join(map(repr, parts_s))


def _faults_of_header(names: Iterable[str]) -> Iterator[str]:
    names = list(names)
    for name in names:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            yield f"there is no column {name!r}{guess}"
    for name in COLUMNS:
        if names.count(name) > 1:
            yield f"the column {name!r} is there twice"
    lacking = [name for name in NEEDED if name not in names]
    if lacking:
        yield f"it lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}"


def _job(row: Mapping[str | None, Any], faults: list[str]) -> Job | None:
    """Return the job of a line, or None and what is wrong with it."""
    before = len(faults)
    if None in row or None in row.values():
        faults.append(f"it has {'more' if None in row else 'fewer'} fields than columns")
        return None

    def read(name: str, of: Callable[[str], Any], default: Any) -> Any:
        text = (row.get(name) or "").strip()
        if not text and name not in NEEDED:
            return default
        try:
            return of(text)
        except ValueError as error:
            faults.append(f"{name}: {error}")
            return default

    parts = read("parts", _count, None)
    parts_s = read("work_s", _lengths, ())
    true_parts_s = read("true_work_s", _lengths, None)
    job = Job(
        id=read("id", _name, ""),
        at=read("at", _instant, 0.0),
        deadline_s=read("deadline_s", _span, None),
        parts_s=_divided("work_s", parts_s, parts, faults),
        true_parts_s=None
        if true_parts_s is None
        else _divided("true_work_s", true_parts_s, parts or len(parts_s), faults),
        part_bytes=read("part_bytes", _size, 0),
        size_bytes=read("size_bytes", _size, 0),
        priority=read("priority", _span, 1.0),
    )
    return job if len(faults) == before else None


def _divided(
    name: str, lengths_s: tuple[float, ...], parts: int | None, faults: list[str]
) -> tuple[float, ...]:
    """Return the length of each part: one for all is divided evenly."""
    if parts is None or len(lengths_s) in (0, parts):
        return lengths_s
    if len(lengths_s) == 1:
        return (lengths_s[0] / parts,) * parts
    faults.append(f"{name}: {len(lengths_s)} lengths for {parts} parts")
    return lengths_s


def _name(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _instant(text: str) -> float:
    """Return an instant [POSIX s] given as such or as ISO 8601, in UTC where it does not say."""
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither seconds nor an ISO 8601 time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    if not abs(value) < BIG:
        raise ValueError(f"{text!r} is no instant")
    return value


def _span(text: str) -> float:
    value = _number(text)
    if not 0 < value < BIG:
        raise ValueError(f"{text!r} is not above 0")
    return value


def _lengths(text: str) -> tuple[float, ...]:
    lengths_s = tuple(map(_number, text.split()))
    if not lengths_s or not all(0 <= length_s < BIG for length_s in lengths_s):
        raise ValueError(f"{text!r} is no length, nor several separated by spaces")
    if len(lengths_s) > PARTS_MAX:
        raise ValueError(f"more than {PARTS_MAX} parts")
    return lengths_s


def _size(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number of bytes")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= PARTS_MAX:
        raise ValueError(f"{text!r} is no number from 1 to {PARTS_MAX}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number")
    return value
