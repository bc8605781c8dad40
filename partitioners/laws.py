"""The laws of a cut, checked exactly: the pieces cover the extent, never overlap, lose no mass.

Rounding must not decide whether two pieces touch or overlap, so volumes are not computed: every
coordinate is replaced by its rank among all edges of the cut. In that grid of integers the pieces
cover the extent if none leaves it, no two overlap and their volumes add up to its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partitioners.protocol import CutRequest
from planner.errors import SlackwaterError
from planner.extent import Extent

Ranks = NDArray[np.int64]


class BrokenLaw(SlackwaterError):
    """A partitioner's answer is not a cut of the extent it was given."""


def check_cut(request: CutRequest, pieces: Sequence[Extent]) -> None:
    """Check that an answer obeys the laws of `partitioners.protocol.Partitioner`.

    Raises
    ------
    BrokenLaw
        Says which law, and which pieces (counted from 0).
    """
    _check_form(request, pieces)
    _check_geometry(request.extent, pieces)
    _check_masses(request, pieces)


def _check_form(request: CutRequest, pieces: Sequence[Extent]) -> None:
    if not isinstance(pieces, tuple) or not all(isinstance(piece, Extent) for piece in pieces):
        raise BrokenLaw(f"the answer is no tuple of extents but {type(pieces).__name__}")
    if not 1 <= len(pieces) <= request.n:
        raise BrokenLaw(f"{request.n} pieces were wanted and {len(pieces)} came")
    for number, piece in enumerate(pieces):
        if piece.parameters != request.extent.parameters:
            raise BrokenLaw(f"piece {number} asks for other parameters than the extent")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blocks:
    """Plain blocks of time, latitude and longitude; an extent over 180 degrees gives two.

    `low` and `high` have shape (k, 3); `piece`, of shape (k,), is the piece that a block is of.
    """

    low: Ranks
    high: Ranks
    piece: NDArray[np.int64]

    @property
    def volumes(self) -> Ranks:
        volumes: Ranks = np.prod(self.high - self.low, axis=1)
        return volumes


def _check_geometry(extent: Extent, pieces: Sequence[Extent]) -> None:
    whole, parts = _ranked(extent, pieces)
    _check_none_leaves(whole, parts)
    _check_none_overlap(parts)
    if whole.volumes.sum() != parts.volumes.sum():
        raise BrokenLaw("the pieces leave a gap in the extent")


def _ranked(extent: Extent, pieces: Sequence[Extent]) -> tuple[_Blocks, _Blocks]:
    blocks = [_blocks(item) for item in (extent, *pieces)]
    corners = np.concatenate(blocks)
    ranks = np.empty(corners.shape, np.int64)
    for axis in range(3):
        edges = np.unique(corners[:, :, axis])
        ranks[:, :, axis] = np.searchsorted(edges, corners[:, :, axis])
    piece = np.repeat(np.arange(-1, len(pieces)), [len(block) for block in blocks])
    of_whole = piece == -1
    whole, parts = (
        _Blocks(low=ranks[mask, 0], high=ranks[mask, 1], piece=piece[mask])
        for mask in (of_whole, ~of_whole)
    )
    return whole, parts


def _blocks(extent: Extent) -> NDArray[np.float64]:
    """Return the low and high corners of an extent's blocks, shape (1 or 2, 2, 3)."""
    period = extent.period
    start = -math.inf if period.start_at is None else period.start_at
    end = math.inf if period.end_at is None else period.end_at
    return np.array(
        [
            [(start, south, west), (end, north, east)]
            for west, south, east, north in extent.box.rectangles()
        ]
    )


def _check_none_leaves(whole: _Blocks, parts: _Blocks) -> None:
    inside = np.zeros(len(parts.piece), np.bool_)
    for low, high in zip(whole.low, whole.high, strict=True):
        inside |= ((parts.low >= low) & (parts.high <= high)).all(axis=1)
    if not inside.all():
        raise BrokenLaw(f"piece {parts.piece[~inside][0]} leaves the extent")


def _check_none_overlap(parts: _Blocks) -> None:
    """Sweep along the axis with the most edges, so that few blocks meet each other."""
    axis = int(np.argmax(parts.high.max(axis=0) - parts.low.min(axis=0)))
    order = np.argsort(parts.low[:, axis], kind="stable")
    low, high, piece = parts.low[order], parts.high[order], parts.piece[order]
    reach = np.searchsorted(low[:, axis], high[:, axis])
    for block in range(len(order)):
        met = slice(block + 1, reach[block])
        clash = ((low[met] < high[block]) & (high[met] > low[block])).all(axis=1)
        if clash.any():
            other = piece[met][clash][0]
            first, second = sorted((int(piece[block]), int(other)))
            raise BrokenLaw(f"pieces {first} and {second} overlap")


def _check_masses(request: CutRequest, pieces: Sequence[Extent]) -> None:
    """Say the same of what will be read, whatever `Extent.contains` makes of an edge."""
    if request.density is None:
        return
    inside = request.density.within(request.extent)
    times_held = np.zeros(len(inside), np.int64)
    for positions in inside.members(pieces):
        times_held[positions] += 1
    if (times_held == 0).any():
        raise BrokenLaw(f"{int((times_held == 0).sum())} masses of the load map are in no piece")
    if (times_held > 1).any():
        raise BrokenLaw(f"{int((times_held > 1).sum())} masses are in more than one piece")
