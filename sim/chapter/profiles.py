"""An archive's index as plain columns, and the regions and years that the chapter asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from planner.density import Density
from planner.errors import SlackwaterError
from planner.extent import GLOBE, Box, Extent, Floats, Period

PARAMETERS = ("PRES", "PSAL", "TEMP")
"""What a core file holds. The chapter asks for 412 parameters; no Argo file has so many."""

MEDITERRANEAN = Box(west=-6.0, south=30.0, east=36.5, north=46.0)


def years(first: int, end: int) -> Period:
    """Return the period from the start of a year to the start of another."""
    start_at, end_at = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (first, end))
    return Period(start_at=start_at, end_at=end_at)


REQUEST = Extent(box=MEDITERRANEAN, period=years(1999, 2007), parameters=PARAMETERS)
"""The task of the chapter's section 4.1: the Mediterranean, 01/01/99 to 01/01/07."""

GLOBE_TO_2024 = Extent(box=GLOBE, period=years(1999, 2024), parameters=PARAMETERS)


class TooFewProfiles(SlackwaterError):
    """An index holds too little of what the chapter asks for to repeat its experiments."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profiles:
    """Profiles with a time and a place, sorted by time.

    Parameters
    ----------
    time_s : array of shape (n,)
        Observation time [POSIX s], increasing.
    longitude, latitude : array of shape (n,)
        Position [degrees east in [-180, 180), degrees north].
    float_number : array of int, shape (n,)
        The same for all profiles of a float, and for no other.
    """

    time_s: Floats
    longitude: Floats
    latitude: Floats
    float_number: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.time_s)

    def within(self, extent: Extent) -> Profiles:
        """Return those inside an extent."""
        first, end = np.searchsorted(self.time_s, _ends(extent.period))
        inside = slice(int(first), int(end))
        held = extent.box.contains(self.longitude[inside], self.latitude[inside])
        return Profiles(
            time_s=self.time_s[inside][held],
            longitude=self.longitude[inside][held],
            latitude=self.latitude[inside][held],
            float_number=self.float_number[inside][held],
        )

    def thinned(self, profiles_max: int) -> tuple[Profiles, float]:
        """Return every k-th, so that at most so many are left, and k."""
        step = -(-len(self) // profiles_max)
        kept = slice(None, None, max(1, step))
        thin = Profiles(
            time_s=self.time_s[kept],
            longitude=self.longitude[kept],
            latitude=self.latitude[kept],
            float_number=self.float_number[kept],
        )
        return thin, len(self) / max(1, len(thin))

    def density(self) -> Density:
        """Return the load map that partitioners cut by: one file for each profile."""
        files = np.ones(len(self))
        return Density(
            time_s=self.time_s,
            longitude=self.longitude,
            latitude=self.latitude,
            files=files,
            size_bytes=0.0 * files,
            values=len(PARAMETERS) * files,
        )

    def require(self, extent: Extent, least: int, what: str) -> Profiles:
        """Return those inside an extent.

        Raises
        ------
        TooFewProfiles
            They are fewer than `least`.
        """
        inside = self.within(extent)
        if len(inside) < least:
            raise TooFewProfiles(
                f"the index lists {len(inside)} profiles of {what}, and {least} are needed",
                fix="Give the index of the whole archive, ar_index_global_prof.txt.gz",
            )
        return inside


def _ends(period: Period) -> tuple[float, float]:
    start = -np.inf if period.start_at is None else period.start_at
    return start, np.inf if period.end_at is None else period.end_at
