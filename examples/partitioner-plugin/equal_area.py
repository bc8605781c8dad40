"""A partitioner of another distribution: bands of latitude of equal area.

It suits a dataset that covers the globe evenly at all times, such as a model's output on a grid of
equal area, and it needs no index.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.density import Density
from planner.extent import Extent
from planner.model import UnitCosts


@dataclass(frozen=True, slots=True)
class EqualArea:
    """Cuts a box into bands from south to north, each with the same area on the sphere."""

    name = "equal-area"
    version = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        """Cut an extent (see `partitioners.protocol.Partitioner`)."""
        south, north = extent.box.south, extent.box.north
        low, high = (math.sin(math.radians(edge)) for edge in (south, north))
        # The area south of a parallel grows with the sine of its latitude. A set, and the bounds:
        # in a box of a hair's height parallels coincide with each other or with its edges.
        parallels = {math.degrees(math.asin(low + (high - low) * band / n)) for band in range(1, n)}
        inside = sorted(parallel for parallel in parallels if south < parallel < north)
        return tuple(extent.with_box(box) for box in extent.box.cut_latitude(inside))


equal_area = EqualArea()
