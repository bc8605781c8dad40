"""The chapter's figures 5 and 6: how much sooner one task ends on several VMs, and at what waste.

A strategy cuts the task into one or four parts for each worker, by what it predicts. The parts then
take what their files truly cost (`sim.chapter.costs`), and the task ends with its last part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import numpy as np

from partitioners.catalogue import BUILT_IN
from partitioners.comparison import dispatched, makespan_s
from planner.density import Positions
from planner.durations import DEFAULT_COSTS
from planner.extent import Extent, Floats
from sim.chapter.costs import FileCosts
from sim.chapter.profiles import Profiles

VMS = (1, 2, 4, 8)
"""As in the chapter, with one worker each."""

SEEDS = 20
"""Draws of what files cost, each the same for all lines."""


class Handing(StrEnum):
    """How parts get to workers; of this the chapter says nothing."""

    LONGEST_FIRST = "longest first"
    """Each free worker takes the longest predicted part that is left, as slackwater does."""

    IN_TURN = "in turn"
    """Each free worker takes the next part in the order of time."""

    IN_ADVANCE = "in advance"
    """Each worker gets as many parts that follow each other, before any of them runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the figures.

    Parameters
    ----------
    name : str
        As in the chapter: the strategy and how many parts a worker.
    partitioner : str
    parts_per_worker : int
    is_ours : bool
        Whether the chapter did not have it.
    """

    name: str
    partitioner: str
    parts_per_worker: int
    is_ours: bool = False


LINES = (
    Line(name="lin1", partitioner="linear", parts_per_worker=1),
    Line(name="lin4", partitioner="linear", parts_per_worker=4),
    Line(name="log1", partitioner="logarithmic", parts_per_worker=1),
    Line(name="log4", partitioner="logarithmic", parts_per_worker=4),
    Line(name="balanced1", partitioner="balanced", parts_per_worker=1, is_ours=True),
    Line(name="balanced4", partitioner="balanced", parts_per_worker=4, is_ours=True),
    Line(name="bisecting1", partitioner="bisecting", parts_per_worker=1, is_ours=True),
    Line(name="bisecting4", partitioner="bisecting", parts_per_worker=4, is_ours=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A line under one way of handing out its parts.

    Parameters
    ----------
    line : Line
    handing : Handing
    speed_ups : array of shape (seeds, len(VMS))
        Time on one VM, uncut, over the time on so many; by draw of costs.
    """

    line: Line
    handing: Handing
    speed_ups: Floats

    @property
    def means(self) -> Floats:
        """Mean speed-up on each number of VMs, shape (len(VMS),)."""
        return np.asarray(self.speed_ups.mean(axis=0))

    @property
    def efficiencies(self) -> Floats:
        """Mean share of the VMs' time that is put to use, shape (len(VMS),)."""
        return np.asarray(self.means / np.array(VMS))

    @property
    def spreads(self) -> Floats:
        """Standard deviation over the draws, shape (len(VMS),)."""
        return np.asarray(self.speed_ups.std(axis=0))


def curves(
    profiles: Profiles, extent: Extent, costs: FileCosts, seeds: Sequence[int]
) -> list[Curve]:
    """Return every line under every way of handing out its parts.

    Parameters
    ----------
    profiles : Profiles
        All inside the extent.
    extent : Extent
        Of the task; its period is closed.
    costs : FileCosts
    seeds : sequence of int
    """
    drawn = [costs.drawn(profiles, seed) for seed in seeds]
    found: dict[tuple[Line, Handing], list[list[float]]] = {}
    for line, vms in product(LINES, VMS):
        cut = _cut(line, vms, profiles, extent)
        for handing in Handing:
            ratios = [_speed_up(cut, cost_s, costs.base_s, vms, handing) for cost_s in drawn]
            found.setdefault((line, handing), []).append(ratios)
    return [
        Curve(line=line, handing=handing, speed_ups=np.array(ratios).T)
        for (line, handing), ratios in found.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """The parts of a task: the files of each, its predicted length [s], and parts a worker."""

    files: tuple[Positions, ...]
    predicted_s: tuple[float, ...]
    parts_per_worker: int


def _cut(line: Line, vms: int, profiles: Profiles, extent: Extent) -> _Cut:
    density = profiles.density()
    pieces = BUILT_IN[line.partitioner].cut(
        extent, density, DEFAULT_COSTS, vms * line.parts_per_worker
    )
    held = tuple(density.members(pieces))
    return _Cut(
        files=held,
        predicted_s=tuple(
            DEFAULT_COSTS.seconds(density.features_at(inside, extent)) for inside in held
        ),
        parts_per_worker=line.parts_per_worker,
    )


def _speed_up(cut: _Cut, cost_s: Floats, base_s: float, vms: int, handing: Handing) -> float:
    # A piece without files makes no part.
    parts_s = [base_s + float(cost_s[held].sum()) if len(held) else 0.0 for held in cut.files]
    alone_s = base_s + float(cost_s.sum())
    match handing:
        case Handing.LONGEST_FIRST:
            ended_s = makespan_s([parts_s[part] for part in dispatched(cut.predicted_s)], vms)
        case Handing.IN_TURN:
            ended_s = makespan_s(parts_s, vms)
        case Handing.IN_ADVANCE:
            ended_s = max(_blocks(parts_s, cut.parts_per_worker))
    return alone_s / ended_s


def _blocks(parts_s: Sequence[float], size: int) -> Iterator[float]:
    for first in range(0, len(parts_s), size):
        yield sum(parts_s[first : first + size])
