"""Makes a load map of selected profiles: exact when they are few, in cells when they are many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.rows import TICKS_PER_DEGREE, Int32s, Int64s, Places
from planner.density import Density

MASSES_MAX = 250_000
"""Masses of a load map: 12 MB, and every cut of it takes milliseconds."""

_DAY_S = 86_400
GRAINS = ((1, 1), (8, 2), (16, 2), (32, 4), (64, 4), (128, 8))
"""Cells from fine to coarse [days, degrees]; all profiles to 2024 fit the last but one."""

_COLUMNS, _ROWS = 361, 181

GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly: randomness would not repeat."""


def load_map(
    time_s: Int64s,
    longitude_ticks: Int32s,
    latitude_ticks: Int32s,
    values: Int64s,
    masses_max: int = MASSES_MAX,
) -> Density:
    """Return the masses that one file for each of these profiles makes.

    Parameters
    ----------
    time_s : array of shape (n,)
        Observation time [POSIX s], in any order.
    longitude_ticks, latitude_ticks : array of shape (n,)
        Position [1e-7 degree east in [-180, 180), north].
    values : array of shape (n,)
        Parameters to be read of each [count].
    masses_max : int
        Beyond this many profiles, those of a cell of time and place become one mass, in the finest
        of the `GRAINS` that keeps to this number, or in the coarsest.

    Notes
    -----
    The mass of a cell lies at one of its profiles, never at a mean: so it lies inside every extent
    that holds them all, whatever a sum of them would be rounded to. From cell to cell it is an
    earlier or a later one, evenly: were it always the middle one, all masses of a month would lie
    about the 15th, and cuts into slices of a month would be uneven by a third.
    """
    order = np.argsort(time_s, kind="stable")
    files, values = np.ones(len(order), np.int64), values[order]
    if len(order) > masses_max:
        cells = _cells(time_s, longitude_ticks, latitude_ticks, masses_max)
        members, files, values = _gathered(cells[order], values)
        order = order[members]
    return _density(time_s[order], longitude_ticks[order], latitude_ticks[order], files, values)


def sampled_map(
    time_s: Int64s,
    longitude_ticks: Int32s,
    latitude_ticks: Int32s,
    values: Int64s,
    files: Int64s,
) -> Density:
    """Return the masses of a sample, of which each profile stands for so many files like it."""
    order = np.argsort(time_s, kind="stable")
    each = files[order]
    return _density(
        time_s[order], longitude_ticks[order], latitude_ticks[order], each, each * values[order]
    )


def _density(
    time_s: Int64s, longitude: Int32s, latitude: Int32s, files: Int64s, values: Int64s
) -> Density:
    return Density(
        time_s=time_s.astype(np.float64),
        longitude=longitude / TICKS_PER_DEGREE,
        latitude=latitude / TICKS_PER_DEGREE,
        files=files.astype(np.float64),
        size_bytes=np.zeros(len(files)),
        values=values.astype(np.float64),
    )


def _cells(time_s: Int64s, longitude: Int32s, latitude: Int32s, masses_max: int) -> Int64s:
    # From coarse to fine: counting few distinct cells is much faster than counting many.
    chosen = None
    for days, degrees in reversed(GRAINS):
        cells = time_s // (days * _DAY_S) * _COLUMNS
        cells += longitude // (degrees * TICKS_PER_DEGREE) + _COLUMNS // 2
        cells *= _ROWS
        cells += latitude // (degrees * TICKS_PER_DEGREE) + _ROWS // 2
        if chosen is not None and len(np.unique(cells)) > masses_max:
            break
        chosen = cells
    assert chosen is not None
    return chosen


def _gathered(cells: Int64s, values: Int64s) -> tuple[Places, NDArray[np.int64], NDArray[np.int64]]:
    """Return of every cell one member, how many it has and the sum of their values.

    In the order of those members.
    """
    order = np.argsort(cells, kind="stable")
    sorted_cells = cells[order]
    firsts = np.flatnonzero(np.diff(sorted_cells, prepend=sorted_cells[0] - 1))
    counts = np.diff(firsts, append=len(cells))
    sums = np.add.reduceat(values[order], firsts)
    share = np.mod(0.5 + np.arange(len(firsts)) * GOLDEN, 1.0)
    members = order[firsts + (share * counts).astype(np.intp)]
    rank = np.argsort(members)
    return members[rank], counts[rank], sums[rank]
