"""Rows by where they lie, so that a request for a place looks at little of an archive.

The globe in cells of `CELL_DEG` degrees, numbered along the parallels from the south-west: the
cells that a box touches in one row are neighbours, so their rows are one stretch of `order`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.apps.argo.rows import NO_POSITION, TICKS_PER_DEGREE, Int32s, Int64s, Mask, Rows
from planner.extent import Box

CELL_DEG = 5
"""Of a box of 20 degrees some 60 % of what its cells hold lies inside; smaller cells would make
more stretches to look up than they save rows."""

ROWS_MIN = 50_000
"""Fewer rows than this are scanned as quickly as they are looked up."""

_CELL_TICKS = CELL_DEG * TICKS_PER_DEGREE
_COLUMNS, _ROWS = 360 // CELL_DEG, 180 // CELL_DEG + 1  # the pole has a row of its own
_NOWHERE = _COLUMNS * _ROWS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickBox:
    """A box in whole ticks, its edges as half-open as the box's own.

    Parameters
    ----------
    south, north : int
        First tick inside, first tick beyond [1e-7 degree].
    spans : tuple of (int, int)
        The same of one or two spans of longitude, from the west.
    """

    south: int
    north: int
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, box: Box) -> TickBox:
        """Return a box in ticks."""
        spans = ((_tick(west), _tick(east)) for west, _, east, _ in box.rectangles())
        return cls(
            south=_tick(box.south),
            north=_tick(box.north) + (1 if box.north == 90.0 else 0),
            # A box of less than a tick may hold none, and one at 180 degrees has no cell.
            spans=tuple((west, east) for west, east in spans if west < east),
        )

    def holds(self, latitude_ticks: Int32s, longitude_ticks: Int32s) -> Mask:
        """Tell which positions lie inside."""
        # On whole ticks this takes a few milliseconds for the whole archive, ten times less than
        # on doubles. `NO_POSITION` lies in no box.
        inside = (latitude_ticks >= self.south) & (latitude_ticks < self.north)
        across = np.zeros(len(inside), np.bool_)
        for west, east in self.spans:
            across |= (longitude_ticks >= west) & (longitude_ticks < east)
        return inside & across


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Rows ordered by cell and in each by time; 12 bytes a row.

    Parameters
    ----------
    order : array of int32, shape (n,)
        Their places in `Rows`.
    latitude_ticks, longitude_ticks : array of int32, shape (n,)
        Their positions once more, in this order: to gather them from `Rows` takes three times as
        long as to read on.
    starts : array of int64, shape (cells + 1,)
        Where each cell begins.
    """

    order: Int32s
    latitude_ticks: Int32s
    longitude_ticks: Int32s
    starts: Int64s

    @classmethod
    def of(cls, rows: Rows) -> Cells:
        """Order rows by cell; takes some tenths of a second for all of Argo."""
        cells = (rows.latitude_ticks + 90 * TICKS_PER_DEGREE) // _CELL_TICKS
        cells *= _COLUMNS
        # Wider than the ticks' own type: 180 + 180 degrees of them overflow it.
        cells += (rows.longitude_ticks.astype(np.int64) + 180 * TICKS_PER_DEGREE) // _CELL_TICKS
        cells[rows.latitude_ticks == NO_POSITION] = _NOWHERE
        codes = cells.astype(np.int16)
        order = np.argsort(codes, kind="stable").astype(np.int32)
        return cls(
            order=order,
            latitude_ticks=rows.latitude_ticks[order],
            longitude_ticks=rows.longitude_ticks[order],
            starts=np.append(0, np.cumsum(np.bincount(codes, minlength=_NOWHERE + 1))),
        )

    def inside(self, box: TickBox, most: int) -> Int32s | None:
        """Return the places of the rows inside a box, or None where too many rows lie near it.

        Parameters
        ----------
        box : TickBox
        most : int
            Rows to be looked at.
        """
        stretches = self._stretches(box)
        if sum(stretch.stop - stretch.start for stretch in stretches) > most:
            return None
        found = [
            self.order[stretch][
                box.holds(self.latitude_ticks[stretch], self.longitude_ticks[stretch])
            ]
            for stretch in stretches
        ]
        return np.concatenate([np.empty(0, np.int32), *found])

    def _stretches(self, box: TickBox) -> list[slice]:
        rows = _touched(box.south + 90 * TICKS_PER_DEGREE, box.north + 90 * TICKS_PER_DEGREE)
        columns = [
            _touched(west + 180 * TICKS_PER_DEGREE, east + 180 * TICKS_PER_DEGREE)
            for west, east in box.spans
        ]
        return [
            slice(
                int(self.starts[row * _COLUMNS + first]),
                int(self.starts[row * _COLUMNS + last + 1]),
            )
            for row in range(rows[0], rows[1] + 1)
            for first, last in columns
        ]


def _touched(start: int, end: int) -> tuple[int, int]:
    """Return the first and the last cell of a span of ticks [start, end) along an axis."""
    return start // _CELL_TICKS, max(start, end - 1) // _CELL_TICKS


def _tick(edge: float) -> int:
    """Return the first tick that is not below an edge [degrees]."""
    tick = math.ceil(edge * TICKS_PER_DEGREE)
    # The product is rounded, so the tick beside it may be the one.
    while (tick - 1) / TICKS_PER_DEGREE >= edge:
        tick -= 1
    while tick / TICKS_PER_DEGREE < edge:
        tick += 1
    return tick
