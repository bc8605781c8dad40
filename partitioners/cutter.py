"""Cuts a task: how many parts, by which partitioner, what each costs, and what if that fails.

The answer to `CutTask`. A plug-in is never trusted: its answer is checked against the laws of a
cut, and where it gives none or a broken one the task is cut linearly instead and the event says
why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from partitioners.laws import BrokenLaw, check_cut
from partitioners.linear import Linear
from partitioners.protocol import CutRequest, Partitioner, PartitionerFailed, Run, in_place
from planner.commands import CutTask
from planner.density import Density
from planner.durations import TIME_S_MIN
from planner.errors import BrokenPlugin, UnknownPlugin
from planner.events import TaskCut
from planner.extent import Extent, Period
from planner.model import Features, PartSpec

Answer = tuple[tuple[Extent, ...], Partitioner, str]
"""The pieces, the partitioner that made them, and why it is not the one that was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLoad:
    """What is known of the load of one selection.

    Parameters
    ----------
    density : Density or None
        Where it lies; None where the application has no index.
    period : Period or None
        What the dataset spans, to cut open periods where there is no density.
    """

    density: Density | None = None
    period: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A task in parts, as `TaskCut` tells it."""

    task_id: str
    parts: tuple[PartSpec, ...]
    partitioner: str
    version: str
    fallback: str = ""

    def event(self, at: float) -> TaskCut:
        """Return the event that tells of this cut, made at an instant [POSIX s]."""
        return TaskCut(
            at=at,
            task_id=self.task_id,
            parts=self.parts,
            partitioner=self.partitioner,
            version=self.version,
            fallback=self.fallback,
        )


def cut_task(
    command: CutTask,
    loads: Sequence[KnownLoad],
    partitioners: Mapping[str, Partitioner],
    run: Run = in_place,
) -> Cut:
    """Carry out a `CutTask`.

    Parameters
    ----------
    command : CutTask
    loads : sequence of KnownLoad
        Of each of its selections.
    partitioners : mapping of str to Partitioner
        By name, as `partitioners.catalogue.Partitioners`.
    run : callable
        Asks a partitioner. The default trusts it; `controller.cutting` bounds and isolates it.

    Returns
    -------
    Cut
        Where the density is exact, parts that hold no file are left out. A first delivery has at
        least one part; one of updates that hold nothing has none.
    """

    def ask(request: CutRequest) -> Answer:
        return _pieces(command.partitioner, request, partitioners, run)

    cuts = [
        _cut_selection(command, place, load, share, ask)
        for place, (load, share) in enumerate(zip(loads, _shares(command, loads), strict=True))
    ]
    fallback = next((cut.fallback for cut in cuts if cut.fallback), "")
    last = next((cut for cut in cuts if cut.fallback), cuts[0])
    return replace(last, parts=tuple(p for cut in cuts for p in cut.parts), fallback=fallback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many parts of those wanted, and of those allowed, are for one selection."""

    wanted: int
    parts_max: int


def _cut_selection(
    command: CutTask, place: int, load: KnownLoad, share: Share, ask: Callable[[CutRequest], Answer]
) -> Cut:
    """Cut what a task delivers of one dataset."""
    selection, costs = command.selections[place], command.costs[place]
    extent = selection.view.extent
    inside = None if load.density is None else load.density.within(extent)
    window = _closed(extent, inside, load.period)
    n = count_parts(command, place, inside, share)
    request = CutRequest(extent=window, density=inside, costs=costs, n=n)
    pieces, partitioner, fallback = ask(request)
    parts = _priced(_reopened(pieces, window, extent), inside, place)
    if not parts and selection.is_first:
        parts = (PartSpec(extent=extent, features=Features(), selection=place),)
    return Cut(
        task_id=command.task_id,
        parts=parts,
        partitioner=partitioner.name,
        version=partitioner.version,
        fallback=fallback,
    )


def _shares(command: CutTask, loads: Sequence[KnownLoad]) -> list[Share]:
    """Return how many parts each selection may have, by its predicted work: at least one."""
    works_s = [
        None if load.density is None else float(load.density.cost_s(costs, s.view.extent).sum())
        for load, costs, s in zip(loads, command.costs, command.selections, strict=True)
    ]
    known_s = [work_s for work_s in works_s if work_s is not None]
    typical_s = max(sum(known_s) / len(known_s) if known_s else 0.0, TIME_S_MIN)
    weights = [typical_s if work_s is None else work_s for work_s in works_s]
    whole = max(sum(weights), TIME_S_MIN)
    return [
        Share(
            wanted=max(1, round(command.parts_wanted * weight / whole)),
            parts_max=max(1, math.floor(command.parts_max * weight / whole)),
        )
        for weight in weights
    ]


def count_all_parts(command: CutTask, loads: Sequence[KnownLoad]) -> int:
    """Return how many parts a task would be cut into, without cutting it."""
    shares = _shares(command, loads)
    return sum(
        count_parts(command, place, load.density, share)
        for place, (load, share) in enumerate(zip(loads, shares, strict=True))
    )


def count_parts(command: CutTask, place: int, density: Density | None, share: Share) -> int:
    """Return how many parts the selection at a place should have, by its predicted run time.

    As many as wanted, but fewer where they would be shorter than `part_s_min`, and more where they
    would be longer than `part_s_max`, up to `parts_max`. What every part costs anew
    (`UnitCosts.base_s`) is not work that cutting divides. Without a density the work is unknown
    and the selection gets what is wanted.
    """
    if density is None:
        return min(share.wanted, share.parts_max)
    extent = command.selections[place].view.extent
    work_s = float(density.cost_s(command.costs[place], extent).sum())
    worthwhile = work_s / command.part_s_min if command.part_s_min > 0 else math.inf
    short_enough = work_s / command.part_s_max
    most = math.floor(min(share.wanted, share.parts_max, worthwhile))
    return max(1, most, math.ceil(min(short_enough, share.parts_max)))


def _closed(extent: Extent, density: Density | None, period_of_data: Period | None) -> Extent:
    """Return the extent with its open ends at the data's, or as it is where there are no data."""
    data = period_of_data
    if density is not None and len(density):
        last = math.nextafter(float(density.time_s[-1]), math.inf)
        data = Period(start_at=float(density.time_s[0]), end_at=last)
    if data is None:
        return extent
    start, end = extent.period.start_at, extent.period.end_at
    start, end = data.start_at if start is None else start, data.end_at if end is None else end
    if start is not None and end is not None and start >= end:
        return extent
    return replace(extent, period=Period(start_at=start, end_at=end))


def _reopened(pieces: tuple[Extent, ...], window: Extent, extent: Extent) -> tuple[Extent, ...]:
    """Return the pieces of the window as pieces of the task's own extent.

    The outermost get its open ends back: what the data's period misses still belongs to a part.
    """
    ends, own = window.period, extent.period
    periods = (
        Period(
            start_at=own.start_at if piece.start_at == ends.start_at else piece.start_at,
            end_at=own.end_at if piece.end_at == ends.end_at else piece.end_at,
        )
        for piece in (piece.period for piece in pieces)
    )
    return tuple(
        replace(piece, period=period) for piece, period in zip(pieces, periods, strict=True)
    )


def _pieces(
    name: str, request: CutRequest, partitioners: Mapping[str, Partitioner], run: Run
) -> Answer:
    linear = Linear()
    try:
        wanted = _named(name, partitioners)
        return _checked(wanted, request, run), wanted, ""
    except (UnknownPlugin, BrokenPlugin, PartitionerFailed, BrokenLaw) as error:
        reason = f"partitioner {name!r}: {error.what}"
    return _checked(linear, request, in_place), linear, reason


def _named(name: str, partitioners: Mapping[str, Partitioner]) -> Partitioner:
    try:
        return partitioners[name]
    except KeyError as error:
        raise UnknownPlugin("there is none of that name") from error


def _checked(partitioner: Partitioner, request: CutRequest, run: Run) -> tuple[Extent, ...]:
    if request.n == 1:
        return (request.extent,)
    pieces = run(partitioner, request)
    check_cut(request, pieces)
    return pieces


def _priced(
    pieces: tuple[Extent, ...], density: Density | None, selection: int
) -> tuple[PartSpec, ...]:
    """Return the parts with what each reads, without those that are sure to read nothing."""
    if density is None:
        return tuple(
            PartSpec(extent=piece, features=Features(), selection=selection) for piece in pieces
        )
    # Where masses stand for files around them, a piece without a mass may still hold a file.
    keep_all = not density.is_exact
    return tuple(
        PartSpec(extent=piece, features=density.features_at(held, piece), selection=selection)
        for piece, held in zip(pieces, density.members(pieces), strict=True)
        if keep_all or density.files[held].any()
    )
