"""What the bound is told: demands, and on what terms nodes may be had."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Demand(NamedTuple):
    """A task as the bound sees it: its true work, and when that may be done.

    Parameters
    ----------
    id : str
    released_at : float
        When it becomes known [POSIX s].
    due_at : float
        By when it must be done [POSIX s]; infinite for best effort.
    work_s : float
        The least work that it can truly take [reference s].
    longest_s : float
        Of its longest part [reference s].
    parallel_max : int
        Parts, thus slots that can work on it at once.
    weight : float
        What meeting it counts, where not all can be met.
    firm : bool
        It is given up, not delivered late, where it cannot be met.
    """

    id: str
    released_at: float
    due_at: float
    work_s: float
    longest_s: float = 0.0
    parallel_max: int = 1
    weight: float = 1.0
    firm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTerms:
    """Nodes of a type, on the best terms on which one may be had.

    Parameters
    ----------
    slots : int
        The most that one can be grown to.
    speed : float
        The highest: reference seconds of work a second and slot.
    boot_s : float
        The shortest boot that can occur [s]; it is billed.
    price_per_s : float
        The cheapest price of a node [currency/s].
    quantum_s : float
        Billing unit [s]; 0 bills by the second.
    nodes_max : float
        How many may stand at once.
    """

    slots: int
    speed: float = 1.0
    boot_s: float = 0.0
    price_per_s: float = 1.0
    quantum_s: float = 0.0
    nodes_max: float = math.inf

    @property
    def power(self) -> float:
        """Work that a node does [reference s/s]."""
        return self.slots * self.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTerms:
    """All that may be had.

    Parameters
    ----------
    types : tuple of NodeTerms
        At least one.
    nodes_max : float
        Nodes of all types that may stand at once.
    boots_ahead : bool
        A node may be launched before the first demand is known. What holds then holds for every
        policy; False is for those that start from nothing and cannot foresee.
    """

    types: tuple[NodeTerms, ...]
    nodes_max: float = math.inf
    boots_ahead: bool = True

    @property
    def speed(self) -> float:
        """The fastest slot's."""
        return max(one.speed for one in self.types)

    @property
    def boot_s(self) -> float:
        """The shortest boot [s]."""
        return min(one.boot_s for one in self.types)

    def ready_from_s(self, one: NodeTerms) -> float:
        """Return how long [s] after the first demand is known a node of a type can be ready."""
        return -math.inf if self.boots_ahead else one.boot_s

    @property
    def opens_s(self) -> float:
        """How long after the first demand is known any node can be ready [s]."""
        return min(map(self.ready_from_s, self.types))

    @property
    def power_max(self) -> float:
        """Work that the whole fleet can do at most [reference s/s]."""
        left, power = self.nodes_max, 0.0
        for one in sorted(self.types, key=lambda one: -one.power):
            count = min(left, one.nodes_max)
            if count > 0:
                power += count * one.power
                left -= count
        return power


class Load(NamedTuple):
    """Demands as columns, in order of release; times are seconds after the first is known."""

    released_s: Floats
    due_s: Floats
    work_s: Floats
    longest_s: Floats
    parallel: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.released_s)

    def taken(self, chosen: Ints | Bools | slice) -> Load:
        """Return some of the demands, on the same clock."""
        return Load(*(column[chosen] for column in self))


def load_of(demands: Iterable[Demand], start_at: float) -> Load:
    """Return demands as columns, given when the first of all is known [POSIX s]."""
    rows = sorted(demands, key=lambda one: one.released_at)
    columns = np.array([one[1:-1] for one in rows], dtype=np.float64).reshape(-1, 6)
    columns[:, :2] -= start_at
    return Load(*columns.T)


def first_known_at(demands: Iterable[Demand]) -> float:
    """Return when the first of some demands is known [POSIX s]; 0 if there is none."""
    return min((one.released_at for one in demands), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Demands by what can be hoped for.

    Parameters
    ----------
    within_reach : tuple of Demand
        Those whose deadlines the bound holds to.
    hopeless : tuple of Demand
        No fleet could meet them: the longest part alone takes longer than the time there is.
    only_ahead : tuple of Demand
        Within reach of a node that stands already, not of one launched when they become known.
    patient : tuple of Demand
        Best effort, and the hopeless ones that are delivered late: work without a deadline.
    """

    within_reach: tuple[Demand, ...]
    hopeless: tuple[Demand, ...]
    only_ahead: tuple[Demand, ...]
    patient: tuple[Demand, ...]


CLOCK_S = 1e-5
"""Instants this close are the same [s]: POSIX seconds have some 2e-7 s of precision."""


def sort_out(demands: Sequence[Demand], fleet: FleetTerms) -> Sorted:
    """Return demands by whether their deadlines can be met at all."""
    start_at = first_known_at(demands)
    hopeless: list[Demand] = []
    rest: list[Demand] = []
    for one in demands:
        begins_at = max(one.released_at, start_at + fleet.opens_s)
        (hopeless if _late_s(one, begins_at, fleet) > CLOCK_S else rest).append(one)
    return Sorted(
        within_reach=tuple(one for one in rest if one.due_at < math.inf),
        hopeless=tuple(hopeless),
        only_ahead=tuple(
            one for one in rest if _late_s(one, one.released_at + fleet.boot_s, fleet) > CLOCK_S
        ),
        patient=(
            *(one for one in rest if one.due_at == math.inf),
            *(one for one in hopeless if not one.firm),
        ),
    )


def _late_s(demand: Demand, begins_at: float, fleet: FleetTerms) -> float:
    """Return how late a demand is done that has all the slots it can use from an instant on [s]."""
    takes_s = max(demand.longest_s, demand.work_s / demand.parallel_max) / fleet.speed
    return begins_at + takes_s - demand.due_at
