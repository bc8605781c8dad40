"""Linear programmes, built column block by column block and solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from sim.bound.silence import silenced
from sim.bound.terms import Floats, Ints


class Answer(NamedTuple):
    """What a solver found.

    Parameters
    ----------
    values : ndarray or None
        The best solution it knows, one value a column; None where it has none.
    value : float
        What that is worth; infinite where it has none.
    proven : float
        No solution is worth less. Where time ran out it is below `value`.
    infeasible : bool
        It is proven that there is no solution.
    """

    values: Floats | None
    value: float
    proven: float
    infeasible: bool


@dataclass(slots=True)
class Rows:
    """Sparse rows under construction."""

    count: int = 0
    rows: list[Ints] = field(default_factory=list)
    columns: list[Ints] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    sides: list[Floats] = field(default_factory=list)

    def more(self, side: Floats) -> Ints:
        """Add rows with these right-hand sides; return their numbers."""
        numbers = np.arange(self.count, self.count + len(side))
        self.count += len(side)
        self.sides.append(side)
        return numbers

    def put(self, rows: Ints, columns: Ints, values: Floats | float) -> None:
        """Add entries; those of the same place add up."""
        self.rows.append(rows)
        self.columns.append(columns)
        self.values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape))

    def matrix(self, width: int) -> tuple[csr_array | None, Floats | None]:
        """Return the rows as a matrix of so many columns, and their right-hand sides."""
        if not self.count:
            return None, None
        places = (np.concatenate(self.rows), np.concatenate(self.columns))
        entries = (np.concatenate(self.values), places)
        return csr_array(entries, shape=(self.count, width)), np.concatenate(self.sides)


class Programme:
    """A programme under construction: minimise costs, all columns between 0 and their limits."""

    def __init__(self) -> None:
        self.at_most = Rows()
        self.exactly = Rows()
        self._costs: list[Floats] = []
        self._most: list[Floats] = []
        self._whole: list[Floats] = []
        self._width = 0

    def columns(self, costs: Floats, most: Floats | float = np.inf, *, whole: bool = False) -> Ints:
        """Add columns; return their numbers.

        Parameters
        ----------
        costs : ndarray
            Of one each.
        most : ndarray or float
            Limits.
        whole : bool
            They take whole numbers only.
        """
        numbers = np.arange(self._width, self._width + len(costs))
        self._width += len(costs)
        self._costs.append(costs)
        self._most.append(np.broadcast_to(np.asarray(most, dtype=np.float64), costs.shape))
        self._whole.append(np.full(len(costs), float(whole)))
        return numbers

    def at_least(self, columns: Ints, sum_min: float) -> None:
        """Let some columns be so much together."""
        row = self.at_most.more(np.array([-float(sum_min)]))
        self.at_most.put(np.repeat(row, len(columns)), columns, -1.0)

    def solve(self, seconds_max: float) -> Answer:
        """Return the least that a solution costs, as far as found in so much time [s]."""
        if not self._width:
            return Answer(np.zeros(0), 0.0, 0.0, infeasible=False)
        costs, whole = np.concatenate(self._costs), np.concatenate(self._whole)
        at_most, at_most_sides = self.at_most.matrix(self._width)
        exactly, exactly_sides = self.exactly.matrix(self._width)
        with silenced():
            found = linprog(
                costs,
                A_ub=at_most,
                b_ub=at_most_sides,
                A_eq=exactly,
                b_eq=exactly_sides,
                bounds=np.column_stack([np.zeros(self._width), np.concatenate(self._most)]),
                integrality=whole if whole.any() else None,
                method="highs",
                options={"time_limit": seconds_max},
            )
        solved = found.status == 0
        value = float(costs @ found.x) if found.x is not None else np.inf
        proven = value if solved else -np.inf
        if whole.any() and found.get("mip_dual_bound") is not None:
            proven = min(value, float(found.mip_dual_bound))
        return Answer(found.x, value, proven, infeasible=found.status == 2)

    def settle(self, gap: float, branches_max: int) -> Floats | None:
        """Return a solution that is good enough; None where none was found.

        Unlike `solve` it looks at no clock: the same programme has the same answer each time.

        Parameters
        ----------
        gap : float
            It costs at most this share more than the best.
        branches_max : int
            Branches that are looked at, over whole numbers.
        """
        sides = [
            (*self.at_most.matrix(self._width), -np.inf),
            (*self.exactly.matrix(self._width), None),
        ]
        with silenced():
            found = milp(
                np.concatenate(self._costs),
                integrality=np.concatenate(self._whole),
                bounds=(0.0, np.concatenate(self._most)),
                constraints=[
                    LinearConstraint(matrix, right if low is None else low, right)
                    for matrix, right, low in sides
                    if matrix is not None
                ],
                options={"mip_rel_gap": gap, "node_limit": branches_max},
            )
        values: Floats | None = found.x
        return values
