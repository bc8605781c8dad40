"""Reads and writes native traces: the text of `planner.journal`, also packed by gzip.

A trace need not be a record. One that was generated holds outside events alone; one that was made
of jobs also tells what each is cut into and how long that truly takes, as if every job had found
all the slots it wanted at once. Neither holds what a planner would have commanded, and its header
says so (`planner.journal.Header.record`).
"""

from __future__ import annotations

import gzip
import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, cast

from planner.commands import AnyCommand, CutTask
from planner.errors import BrokenJournal
from planner.events import (
    AnyEvent,
    PartFinished,
    ProductCombined,
    SubscriptionAdded,
    UpdateArrived,
)
from planner.journal import Header, Step, decode_header, read_steps
from planner.model import Fragment, Product, Selection, Subscription, UpdateSpan
from planner.settings import CuttingSettings
from sim.traces.faults import BrokenTrace
from sim.workload import COSTS, Job, JobsLoad

PACKED = (".gz",)
"""Endings of files that are packed."""

UNREADABLE = (OSError, EOFError)
"""What is raised by a file that is not there, may not be read, or is packed but torn."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read, unpacked.

    Raises
    ------
    BrokenTrace
        It cannot be read, at once or later.
    """
    opener = gzip.open if path.suffix in PACKED else open
    try:
        with cast("IO[bytes]", opener(path, "rb")) as stream:
            yield stream
    except UNREADABLE as error:
        said = getattr(error, "strerror", None) or str(error)
        raise BrokenTrace(str(path), [f"it cannot be read: {said}"]) from None


@contextmanager
def packing(stream: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """Return what to write a file of this name to: packed where the name says so."""
    if not name.endswith(PACKED):
        yield stream
        return
    # Without the time of writing, so that equal traces are equal files.
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
        yield cast("IO[bytes]", packed)


def header_of(path: Path) -> Header:
    """Return the header of a native trace.

    Raises
    ------
    BrokenTrace
        The file cannot be read.
    BrokenJournal
        It does not begin with a header.
    """
    with opened(path) as lines:
        try:
            return decode_header(lines.readline())
        except BrokenJournal as error:
            raise BrokenJournal(f"trace {path}: {error.what}", fix=error.fix) from None


def steps_of(path: Path) -> Iterator[Step]:
    """Read the steps of a native trace, one at a time; a torn last one is left out.

    Raises
    ------
    BrokenTrace
        The file cannot be read.
    BrokenJournal
        A line is no step.
    """
    with opened(path) as lines:
        lines.readline()
        try:
            yield from read_steps(lines)
        except BrokenJournal as error:
            raise BrokenJournal(f"trace {path}: {error.what}", fix=error.fix) from None


def steps_of_jobs(jobs: Iterable[Job]) -> Iterator[Step]:
    """Return what a native trace holds of jobs, in order of time.

    Notes
    -----
    Of each job: its subscription with the task that it makes, its cut, and each part's end where
    true lengths are known. Its product ends with the last part, if a size is known.
    """
    load = JobsLoad(lambda: jobs)
    waiting: list[tuple[float, int, AnyEvent]] = []
    order = count()
    for event in load.events():
        while waiting and waiting[0][0] <= event.at:
            yield _step(heapq.heappop(waiting)[2])
        match event:
            case SubscriptionAdded(subscription=wish):
                command = _question(wish, f"t{next(order)}")
                yield _step(event, command)
                for told in _told(load, wish, command, event.at):
                    heapq.heappush(waiting, (told.at, next(order), told))
            case UpdateArrived():
                yield _step(event)
            case _:
                yield _step(event)
    while waiting:
        yield _step(heapq.heappop(waiting)[2])


def _step(event: AnyEvent, *commands: AnyCommand) -> Step:
    return Step(event=event, commands=commands)


def _question(wish: Subscription, task_id: str) -> CutTask:
    updates = UpdateSpan(after=None, upto=0)
    return CutTask(
        task_id=task_id,
        subscription_id=wish.id,
        version=wish.version,
        selections=(Selection(view=wish.views[0], updates=updates),),
        partitioner=_CUTTING.partitioner,
        parts_wanted=1,
        part_s_min=_CUTTING.part_s_min,
        part_s_max=_CUTTING.part_s_max,
        parts_max=_CUTTING.parts_max,
        costs=(COSTS,),
    )


def _told(load: JobsLoad, wish: Subscription, command: CutTask, at: float) -> Iterator[AnyEvent]:
    name = f"{wish.id}-v1-to-u0"
    cut = load.cut(command, at)
    yield cut
    end_at = at
    for position, part in enumerate(cut.parts):
        true_s = load.run_s(name, position, part)
        if true_s is not None:
            end_at = max(end_at, at + true_s)
            yield PartFinished(
                at=at + true_s,
                part_id=f"{cut.task_id}/{position}",
                attempt=1,
                node_id="",
                run_s=true_s,
                fragment=_FRAGMENT,
            )
    if size_bytes := load.size_bytes(name):
        product = Product(url="", rows=0, size_bytes=size_bytes, sha256="", digest="")
        yield ProductCombined(at=end_at, task_id=cut.task_id, attempt=1, run_s=0.0, product=product)
    load.ended(name, end_at)


_CUTTING = CuttingSettings()
_FRAGMENT = Fragment(url="", rows=0, size_bytes=0, sha256="")
