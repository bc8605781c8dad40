"""Opens a trace of any kind, and writes it as another: by the ending of its name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from partitioners.catalogue import BUILT_IN
from partitioners.protocol import Partitioner
from planner.events import AnyEvent, OffersChanged
from planner.journal import Header, Step, encode_header, encode_step
from sim.traces.deadlines import DeadlineRule
from sim.traces.faults import BrokenTrace, LeftOut
from sim.traces.journal import TraceLoad
from sim.traces.native import header_of, opened, steps_of, steps_of_jobs
from sim.traces.record import Told
from sim.traces.swf import read_swf
from sim.traces.table import read_table, write_table
from sim.workload import DATASET, Job, JobsLoad, Load

NATIVE, SWF, TABLE = "native", "swf", "csv"

ENDINGS: Mapping[str, str] = {
    ".jsonl": NATIVE,
    ".jsonl.gz": NATIVE,
    ".swf": SWF,
    ".swf.gz": SWF,
    ".csv": TABLE,
    ".csv.gz": TABLE,
}
"""What kind of trace a file is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace that can be played: make it with `open_trace`.

    Parameters
    ----------
    path : Path
    kind : str
    load : Load
    header : Header or None
        Of a native one.
    offers : tuple of OffersChanged
        The nodes that were offered, where the trace tells.
    listed : callable
        Returns the jobs of one that is no native trace.
    left_out : LeftOut
        Lines that make no job: filled while the load is played.
    """

    path: Path
    kind: str
    load: Load
    header: Header | None = None
    offers: tuple[OffersChanged, ...] = ()
    listed: Callable[[], Iterable[Job]] = lambda: ()
    left_out: LeftOut = field(default_factory=LeftOut)

    def steps(self) -> Iterator[Step]:
        """Return what a native trace of the same would hold."""
        return steps_of(self.path) if self.kind == NATIVE else steps_of_jobs(self.jobs())

    def jobs(self) -> Iterator[Job]:
        """Return the tasks of the trace as jobs, in order of arrival.

        Raises
        ------
        BrokenTrace
            A native trace tells of no task: it holds outside events alone.
        """
        if isinstance(self.load, TraceLoad):
            told = self.load.told
            if not told.tasks:
                raise BrokenTrace(
                    str(self.path),
                    ["it tells of no task, for nothing was commanded in it"],
                    fix="Play it first: `slackwater trace record` writes a trace with tasks",
                )
            return _jobs_told(told)
        return iter(self.listed())


def kind_of(path: Path) -> str:
    """Return what kind of trace a file is, by the ending of its name.

    Raises
    ------
    BrokenTrace
        It ends like none.
    """
    name = path.name.lower()
    for ending, kind in ENDINGS.items():
        if name.endswith(ending):
            return kind
    raise BrokenTrace(
        str(path),
        ["its name does not end like a trace's"],
    )


def open_trace(
    path: Path,
    rule: DeadlineRule | None = None,
    partitioners: Mapping[str, Partitioner] = BUILT_IN,
    jobs_max: int | None = None,
) -> Trace:
    """Open a trace.

    Parameters
    ----------
    path : Path
    rule : DeadlineRule, optional
        Gives deadlines to the jobs of a log that knows none.
    partitioners : mapping of str to Partitioner
        That tasks are cut by which a native trace does not tell the cut of.
    jobs_max : int, optional
        Of a log or table: no more than its first so many.

    Raises
    ------
    BrokenTrace, BrokenJournal
        It cannot be read, or has faults.
    """
    kind = kind_of(path)
    if kind == NATIVE:
        header, load = header_of(path), TraceLoad(lambda: steps_of(path), partitioners)
        offers = tuple(load.told.offers)
        return Trace(path=path, kind=kind, load=load, header=header, offers=offers)
    if kind == TABLE:
        with opened(path) as stream, _text(stream) as lines:
            jobs = read_table(lines, str(path))[:jobs_max]
        return Trace(path=path, kind=kind, load=JobsLoad(lambda: jobs), listed=lambda: jobs)
    left_out = LeftOut()

    def listed() -> Iterator[Job]:
        return islice(_log(path, rule or DeadlineRule(), left_out), jobs_max)

    load_of_log = JobsLoad(listed)
    return Trace(path=path, kind=kind, load=load_of_log, listed=listed, left_out=left_out)


def write_native(out: IO[bytes], header: Header, steps: Iterable[Step]) -> int:
    """Write a native trace and return how many steps it has."""
    count = 0
    out.write(encode_header(header))
    for step in steps:
        out.write(encode_step(step.event, step.commands))
        count += 1
    return count


def write_jobs(out: IO[bytes], jobs: Iterable[Job]) -> int:
    """Write a table of jobs and return how many there are."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    count = -1
    for row in write_table(jobs):
        count += 1
        rows.writerow(row)
        out.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
    return count


def outside(events: Iterable[AnyEvent]) -> Iterator[Step]:
    """Return outside events as steps that nothing was commanded in."""
    return (Step(event=event, commands=()) for event in events)


def _log(path: Path, rule: DeadlineRule, left_out: LeftOut) -> Iterator[Job]:
    with opened(path) as lines:
        yield from read_swf(lines, rule, left_out)


def _text(stream: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")


def _jobs_told(told: Told) -> Iterator[Job]:
    tasks = sorted(told.tasks.items(), key=lambda item: item[1].arrived_at)
    for product, task in tasks:
        if task.cut is None or not task.cut.parts:
            continue
        parts, costs, truth = task.cut.parts, task.command.costs, task.true_parts_s
        is_job = all(each.view.dataset == DATASET for each in task.command.selections)
        yield Job(
            id=task.command.subscription_id if is_job else product,
            at=task.arrived_at,
            deadline_s=task.deadline_s,
            parts_s=tuple(costs[part.selection].seconds(part.features) for part in parts),
            true_parts_s=tuple(truth[place] for place in range(len(parts)))
            if len(truth) == len(parts)
            else None,
            part_bytes=round(sum(part.features.size_bytes for part in parts) / len(parts)),
            size_bytes=task.size_bytes or 0,
            priority=task.priority,
        )
