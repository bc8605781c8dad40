"""Reads the Standard Workload Format: logs of parallel machines, a job a line.

Eighteen numbers a line, of which six matter here; -1 stands for unknown. Comments begin with ``;``,
and those at the top say when the log begins. A job's processors become the parts of a task: a
machine that gives them all at once is not pretended, parts start as slots come free.

Notes
-----
The format: D. G. Feitelson, D. Tsafrir, D. Krakov, Experience with using the Parallel Workloads
Archive, J. Parallel Distrib. Comput. 74 (2014).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sim.traces.deadlines import DeadlineRule
from sim.traces.faults import LeftOut
from sim.workload import Job

FIELDS = 18
"""Of a line."""

PARTS_MAX = 4096
"""Of a job: as many as a task may have by default. Beyond, its parts are longer instead."""

RUN_S_MIN = 0.5
"""A log counts whole seconds: 0 is anything below one."""

PARTIAL = (2, 3, 4)
"""Status of a line that tells of one stretch of a job; another line tells of it whole."""

START = "unixstarttime:"
"""The comment that says when the log begins [POSIX s]; without it, it begins at 0."""


class _Line(NamedTuple):
    """What matters of a line: `FIELDS` 1, 2, 4, 5, 8, 9 and 11."""

    number: int
    submit_s: float
    run_s: float
    processors: float
    processors_asked: float
    run_s_asked: float
    status: float


def read_swf(
    lines: Iterable[bytes], rule: DeadlineRule, left_out: LeftOut, parts_max: int = PARTS_MAX
) -> Iterator[Job]:
    """Read a log as jobs in order of arrival, a line at a time.

    Parameters
    ----------
    lines : iterable of bytes
    rule : DeadlineRule
    left_out : LeftOut
        Is told of lines that make no job.
    parts_max : int

    Returns
    -------
    iterator of Job
        A part for each processor; each truly runs as long as the job did, and is predicted to take
        what was asked for, or its true time where nothing was.
    """
    left_out.clear()
    began_at, last_s, last_number = 0.0, -math.inf, -1
    for count, raw in enumerate(lines, start=1):
        text = raw.decode("utf-8", "replace").strip()
        if text.startswith(";"):
            began_at = _start(text, began_at)
        if not text or text.startswith(";"):
            continue
        line = _parsed(text)
        reason = line if isinstance(line, str) else _fault(line, last_s)
        if reason or isinstance(line, str):
            left_out.note(count, reason)
            continue
        # A number may come again; a subscription's name may not.
        name = str(line.number) if line.number > last_number else f"{line.number}.{count}"
        last_s, last_number = line.submit_s, max(last_number, line.number)
        yield _job(line, name, began_at, rule, parts_max)


def _start(comment: str, began_at: float) -> float:
    word, _, value = comment.lstrip("; ").partition(" ")
    if word.lower() != START:
        return began_at
    try:
        return float(value.split()[0])
    except (ValueError, IndexError):
        return began_at


def _parsed(text: str) -> _Line | str:
    """Return a line's fields, or what is wrong with it."""
    words = text.split()
    if len(words) != FIELDS:
        return f"not {FIELDS} fields"
    try:
        values = [float(word) for word in words]
    except ValueError:
        return "a field is no number"
    if not all(map(math.isfinite, values)):
        return "a field is no number"
    return _Line(int(values[0]), *(values[place] for place in (1, 3, 4, 7, 8, 10)))


def _fault(line: _Line, last_s: float) -> str:
    """Return why a line makes no job, empty where it does."""
    if line.status in PARTIAL:
        return "tells of one stretch of a job only"
    if line.submit_s < 0:
        return "no time of arrival"
    if line.submit_s < last_s:
        return "arrives before the line above it"
    if line.run_s < 0:
        return "never ran, or nobody knows how long"
    return ""


def _job(line: _Line, name: str, began_at: float, rule: DeadlineRule, parts_max: int) -> Job:
    known = (count for count in (line.processors, line.processors_asked) if count > 0)
    processors = int(next(known, 1))
    parts = min(processors, parts_max)
    run_s = max(line.run_s, RUN_S_MIN)
    asked_s = line.run_s_asked if line.run_s_asked > 0 else run_s
    share = processors / parts
    return Job(
        id=name,
        at=began_at + line.submit_s,
        deadline_s=rule.deadline_s(name, asked_s * share),
        parts_s=(asked_s * share,) * parts,
        true_parts_s=(run_s * share,) * parts,
    )
