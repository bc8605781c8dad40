"""What a partitioner is asked and what it answers: an extent and n in, n pieces out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from planner.density import Density
from planner.errors import SlackwaterError
from planner.extent import Extent
from planner.model import UnitCosts


@runtime_checkable
class Partitioner(Protocol):
    """A way to cut an extent into pieces that workers read side by side.

    The laws, checked by `partitioners.testing.check_partitioner`: the pieces cover the extent
    exactly and never overlap, keep its parameters, and are at most `n`, fewer only where it cannot
    be cut further; the same question always gets the same answer.

    Attributes
    ----------
    name : str
        What settings and events call it.
    version : str
        Changes whenever answers do; events carry it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent.

        Parameters
        ----------
        extent : Extent
            Its period is closed wherever the data's period is known.
        density : Density or None
            Where the load inside the extent lies; None where the application has no index.
        costs : UnitCosts
            What reading costs.
        n : int
            Pieces wanted, at least 1.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRequest:
    """The arguments of one `Partitioner.cut`."""

    extent: Extent
    density: Density | None
    costs: UnitCosts
    n: int


class PartitionerFailed(SlackwaterError):
    """A partitioner gave no answer: it raised, took too long or took its process down."""


Run = Callable[[Partitioner, CutRequest], tuple[Extent, ...]]
"""Asks a partitioner; raises `PartitionerFailed` where a plug-in gives no answer."""


def in_place(partitioner: Partitioner, request: CutRequest) -> tuple[Extent, ...]:
    """Ask a partitioner that is trusted to answer, in this process and for as long as it takes."""
    return partitioner.cut(request.extent, request.density, request.costs, request.n)
