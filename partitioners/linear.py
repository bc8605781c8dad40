"""Equal spans of time: the chapter's linear partitioning, and what every other falls back on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.density import Density
from planner.extent import Extent
from planner.model import UnitCosts


@dataclass(frozen=True, slots=True)
class Linear:
    """Cuts a closed period into spans of equal length; cannot cut an open one."""

    name = "linear"
    version = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent (see `partitioners.protocol.Partitioner`)."""
        return cut_at_fractions(extent, (part / n for part in range(1, n)))


def cut_at_fractions(extent: Extent, fractions: Iterable[float]) -> tuple[Extent, ...]:
    """Cut a closed period at fractions of its length, increasing in (0, 1).

    A period of a few ulps gives fewer pieces, an open one a single piece.
    """
    start, end = extent.period.start_at, extent.period.end_at
    if start is None or end is None:
        return (extent,)
    instants = {start + (end - start) * fraction for fraction in fractions}
    return extent.cut_time(sorted(instant for instant in instants if start < instant < end))
