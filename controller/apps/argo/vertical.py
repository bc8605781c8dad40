"""A range of pressure or depth that a subscriber wants, half-open like a period of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.errors import InvalidSubscription

UNITS = {"pressure": "dbar", "depth": "m"}
"""The options that set a range, at most one of them, and the units of each."""

_OPEN = ("..", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalRange:
    """Levels from a start up to, not including, an end; an open end is None.

    Parameters
    ----------
    of : str
        A key of `UNITS`: pressure as measured [dbar], or the depth it means there [m].
    start, end : float or None
        Not negative, start < end.
    """

    of: str
    start: float | None = None
    end: float | None = None

    def holds(self, pressure_dbar: NDArray[Any], latitude: float) -> NDArray[np.bool_]:
        """Tell which levels lie inside, shape (levels,); an unknown pressure lies nowhere.

        Parameters
        ----------
        pressure_dbar : array of shape (levels,)
        latitude : float
            Of the profile [degrees north]: the same pressure is reached deeper at the equator.

        Notes
        -----
        Depth is that of TEOS-10 (`gsw.z_from_p`) with no dynamic height added.
        """
        place = pressure_dbar.astype(np.float64)
        if self.of == "depth":
            import gsw  # noqa: PLC0415 - on workers only: the service names a range, no more

            place = -gsw.z_from_p(place, latitude)
        start = -math.inf if self.start is None else self.start
        end = math.inf if self.end is None else self.end
        inside: NDArray[np.bool_] = (place >= start) & (place < end)
        return inside

    def describe(self) -> dict[str, object]:
        """Return it fit for JSON."""
        return {"of": self.of, "units": UNITS[self.of], "from": self.start, "below": self.end}


def vertical_range(of: str, text: str) -> VerticalRange:
    """Read a range as an option has it: "0/500", "../500", "100/..".

    Raises
    ------
    InvalidSubscription
        It is no range, or holds nothing or everything.
    """
    edges = [edge.strip() for edge in text.split("/")]
    if len(edges) != 2:
        raise _refused(of, text, f"is no range. Write {of}: 0/500, with .. for an open end")
    start, end = (_edge(of, text, edge) for edge in edges)
    if start is None and end is None:
        raise _refused(of, text, "is open at both ends. Leave it out for all levels")
    if start is not None and end is not None and start >= end:
        raise _refused(of, text, "ends before it starts, or is empty. Write the shallow end first")
    return VerticalRange(of=of, start=start, end=end)


def _edge(of: str, text: str, edge: str) -> float | None:
    if edge in _OPEN:
        return None
    try:
        number = float(edge)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _refused(of, text, f"has the end {edge!r}, which is no number of {UNITS[of]}")
    if number < 0:
        raise _refused(of, text, "is negative. Count downward from 0 at the surface")
    return number


def _refused(of: str, text: str, why: str) -> InvalidSubscription:
    what, _, fix = why.partition(". ")
    return InvalidSubscription(f"option {of} {text!r} {what}", fix=fix)
