"""The columns that a parameter has, one value a level: their names, types and blanks."""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float32] | NDArray[np.int8]

FLAG_MISSING = 9
"""The quality flag of what is not there (Argo reference table 2)."""

MERGED = ("", "_QC", "_ERROR")
"""The version that stands, its flag, and the error of the value where it is an adjusted one."""

BOTH = ("", "_QC", "_ADJUSTED", "_ADJUSTED_QC", "_ADJUSTED_ERROR")
"""As measured and as adjusted, each with its flag; the error is that of the adjusted value."""


DERIVED = ("", "_QC")
"""A derived parameter follows from the versions that stand, and nobody tells its error."""


def column_names(
    parameters: Iterable[str], *, both_versions: bool, derived: Container[str] = ()
) -> tuple[str, ...]:
    """Return the names of the columns of some parameters (TEMP, TEMP_QC, TEMP_ERROR...).

    Parameters
    ----------
    parameters : iterable of str
    both_versions : bool
        Whether measured and adjusted values stand side by side.
    derived : container of str
        Which of the parameters are derived.
    """
    measured = BOTH if both_versions else MERGED
    return tuple(
        name + suffix
        for name in parameters
        for suffix in (DERIVED if name in derived else measured)
    )


def blank(name: str, rows: int) -> Column:
    """Return a column of which nothing is known: NaN [float32], or flags for missing [int8]."""
    if name.endswith("_QC"):
        return np.full(rows, FLAG_MISSING, np.int8)
    return np.full(rows, np.nan, np.float32)


def stacked(name: str, pieces: Iterable[tuple[Column | None, int]]) -> Column:
    """Return a column put together from pieces and their lengths; None is a blank."""
    arrays = [blank(name, rows) if piece is None else piece for piece, rows in pieces]
    whole: Column = np.concatenate([blank(name, 0), *arrays])
    return whole
