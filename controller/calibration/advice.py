"""Which partitioner, and how many parts a worker: tried out on the archive's own load map.

Every strategy cuts the whole archive; its parts are run by list scheduling on so many workers, the
longest first as the planner sends them, each with the scatter that was measured. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partitioners.comparison import dispatched, makespan_s
from partitioners.protocol import Partitioner
from planner.density import Density
from planner.extent import Extent, Floats, Period
from planner.model import UnitCosts

PARTS_PER_WORKER = (1, 2, 4, 8)
CARRY_S = 0.003
"""What carrying a part costs beside running it [s]: 1,000 parts that do nothing take 2.9 s."""
DRAWS = 50
"""Of the scatter; the mean of so many makespans is good to about a hundredth."""
WORTH = 0.01
"""Of choices that lie closer than this together the one with fewer parts is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One strategy and number of parts, and how long the archive takes that way.

    Parameters
    ----------
    partitioner : str
    parts_per_worker : int
    parts : int
        Pieces that hold anything.
    ratio : float
        Expected time over the ideal one: the work spread evenly, without what each part adds.
    balance : float
        Predicted work of the largest part over the mean, as if all workers got one part.
    """

    partitioner: str
    parts_per_worker: int
    parts: int
    ratio: float
    balance: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeArchive:
    """What is cut and read in the trial: all of an archive, at what it was measured to cost.

    Parameters
    ----------
    density : Density
        Of the whole archive; not empty.
    parameters : tuple of str
        Of the request for all of it.
    costs : UnitCosts
    scatter : float
        Relative error of the prediction of one part.
    workers : int
    seed : int
        Of the scatter that is drawn.
    """

    density: Density
    parameters: tuple[str, ...]
    costs: UnitCosts
    scatter: float
    workers: int
    seed: int

    @property
    def extent(self) -> Extent:
        """The request for all of it, its period closed at the data's."""
        last = math.nextafter(float(self.density.time_s[-1]), math.inf)
        period = Period(start_at=float(self.density.time_s[0]), end_at=last)
        return Extent(period=period, parameters=self.parameters)

    def tried(self, partitioner: Partitioner, parts_per_worker: int) -> Choice:
        """Return what a strategy and number of parts would take."""
        mass_s = self.density.cost_s(self.costs, self.extent)
        n = self.workers * parts_per_worker
        pieces = partitioner.cut(self.extent, self.density, self.costs, n)
        held = [members for members in self.density.members(pieces) if len(members)]
        part_s = np.array([float(mass_s[members].sum()) for members in held])
        return Choice(
            partitioner=partitioner.name,
            parts_per_worker=parts_per_worker,
            parts=len(part_s),
            ratio=self._expected_s(part_s) * self.workers / float(part_s.sum()),
            balance=float(part_s.max()) * n / float(part_s.sum()),
        )

    def _expected_s(self, part_s: Floats) -> float:
        rng = np.random.default_rng(self.seed)
        overhead_s = self.costs.base_s + CARRY_S
        order = list(dispatched(part_s.tolist()))
        drawn = (part_s * _scattered(rng, len(part_s), self.scatter) for _ in range(DRAWS))
        ends = [makespan_s((s + overhead_s)[order].tolist(), self.workers) for s in drawn]
        return float(np.mean(ends))


def compare(load: WholeArchive, partitioners: Mapping[str, Partitioner]) -> list[Choice]:
    """Return what each strategy and number of parts would take, the quickest first."""
    choices = [
        load.tried(partitioner, parts_per_worker)
        for partitioner in partitioners.values()
        for parts_per_worker in PARTS_PER_WORKER
    ]
    return sorted(choices, key=lambda choice: (choice.ratio, choice.parts_per_worker))


def _scattered(rng: np.random.Generator, count: int, scatter: float) -> Floats:
    """Return log-normal factors of mean 1 and this standard deviation."""
    variance = math.log1p(scatter**2)
    return rng.lognormal(-variance / 2.0, math.sqrt(variance), count)


def advised(choices: Sequence[Choice]) -> Choice:
    """Return the choice to take: the quickest, or with fewer parts one hardly slower."""
    quickest = min(choice.ratio for choice in choices)
    close = [choice for choice in choices if choice.ratio <= quickest * (1.0 + WORTH)]
    return min(close, key=lambda choice: (choice.parts_per_worker, choice.ratio))


def best_of_each(choices: Sequence[Choice]) -> list[Choice]:
    """Return the best number of parts for each strategy, the quickest first."""
    names = dict.fromkeys(choice.partitioner for choice in choices)
    best = [advised([c for c in choices if c.partitioner == name]) for name in names]
    return sorted(best, key=lambda choice: choice.ratio)
