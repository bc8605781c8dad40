"""Where and when the floats of the demonstration archive drift.

Profiles grow in number until 2007 and stay flat after, as the real ones do (fewer than 1 in 10 are
older than 2005); some seas hold more of them than in truth, so that every subscription of the
demonstration has something to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Randomness = np.random.Generator

FIRST_YEAR = 1997
ARCHIVE_AT = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""The archive is made as if at this instant [POSIX s]."""

CYCLES_MIN, CYCLES_MAX = 8, 20
"""Profiles of one float: fewer than a real one's 150, for more floats in a small archive."""

_WORLD = (
    *(232, 718, 1352, 3137, 7797, 17783, 30365, 46985, 71813, 95075, 108990, 122311, 126119),
    *(121341, 130037, 143918, 156780, 160271, 173029, 177827, 172392, 174520, 166689, 167659),
    *(172174, 170303, 164514),
)
_MEDITERRANEAN = (
    *(0, 0, 0, 0, 70, 165, 317, 691, 2037, 2195, 1934, 1637, 1496, 1542, 2068, 3083, 4894, 6512),
    *(8387, 9780, 7367, 6992, 7683, 7768, 7038, 7167, 7247),
)
"""Profiles a year from `FIRST_YEAR` on, counted in the Argo archive's global index of May 2024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sea:
    """A part of the ocean that floats drift in.

    Parameters
    ----------
    share : float
        Of the archive's profiles.
    basins : tuple of (west, south, east, north)
        Open water [degrees]; a float stays in the one it was launched in.
    dac, institution : str
        Data centre whose folder holds the floats, and its two letters.
    wmo_first : int
        Numbers of its floats count up from here.
    step_d : float
        Days between two profiles of a float.
    eastward_deg : float
        Mean drift [degrees of longitude a cycle].
    profiles_per_year : tuple of int
        Only their proportions count.
    """

    share: float
    basins: tuple[tuple[float, float, float, float], ...]
    dac: str
    institution: str
    wmo_first: int
    step_d: float = 10.0
    eastward_deg: float = 0.0
    profiles_per_year: tuple[int, ...] = _WORLD


SEAS = (
    Sea(
        share=0.24,
        basins=((18.5, 33.7, 27.3, 37.5), (3.5, 38.0, 8.0, 42.5), (28.0, 32.0, 33.5, 35.5)),
        dac="coriolis",
        institution="IF",
        wmo_first=6990001,
        step_d=5.0,
        profiles_per_year=_MEDITERRANEAN,
    ),
    Sea(
        share=0.24,
        basins=((-60.0, 22.0, -18.0, 45.0), (-40.0, 45.0, -15.0, 62.0)),
        dac="aoml",
        institution="AO",
        wmo_first=4990001,
        eastward_deg=0.15,
    ),
    Sea(
        share=0.24,
        basins=((160.0, -20.0, 200.0, 20.0), (150.0, 25.0, 215.0, 45.0)),
        dac="jma",
        institution="JA",
        wmo_first=5990001,
        eastward_deg=0.2,
    ),
    Sea(
        share=0.16,
        basins=((-180.0, -62.0, 180.0, -45.0),),
        dac="csiro",
        institution="CS",
        wmo_first=7990001,
        eastward_deg=0.9,
    ),
    Sea(
        share=0.12,
        basins=((60.0, -30.0, 95.0, 5.0), (-30.0, -35.0, 5.0, -5.0)),
        dac="incois",
        institution="IN",
        wmo_first=2990001,
        eastward_deg=-0.1,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The profiles of one float, in the order of their cycles.

    Parameters
    ----------
    wmo : int
    sea : Sea
    time_s : array of shape (n,)
        Whole minutes [POSIX s].
    latitude, longitude : array of shape (n,)
        Thousandths of a degree [degrees north, degrees east in -180..180].
    """

    wmo: int
    sea: Sea
    time_s: Floats
    latitude: Floats
    longitude: Floats

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.time_s)


def launch_fleet(profiles: int, randomness: Randomness) -> tuple[Track, ...]:
    """Return the tracks of floats that give this many profiles in all."""
    shares = np.cumsum([0.0, *(sea.share for sea in SEAS)])
    edges = np.rint(shares / shares[-1] * profiles).astype(int)
    return tuple(
        track
        for sea, count in zip(SEAS, np.diff(edges).tolist(), strict=True)
        for track in _launch(sea, count, randomness)
    )


def _launch(sea: Sea, profiles: int, randomness: Randomness) -> list[Track]:
    lengths = _lengths(profiles, randomness)
    # Even quantiles rather than free draws: a small archive has the density of a large one.
    quantiles = (np.arange(len(lengths)) + randomness.random(len(lengths))) / max(1, len(lengths))
    middles = _instants(sea, quantiles)
    return [
        _track(sea, sea.wmo_first + number, length, middle, randomness)
        for number, (length, middle) in enumerate(zip(lengths, middles, strict=True))
    ]


def _lengths(profiles: int, randomness: Randomness) -> list[int]:
    lengths: list[int] = []
    while profiles > 0:
        lengths.append(min(profiles, int(randomness.integers(CYCLES_MIN, CYCLES_MAX + 1))))
        profiles -= lengths[-1]
    return lengths


def _instants(sea: Sea, quantiles: Floats) -> Floats:
    """Return the instants before which these fractions of a sea's profiles were measured."""
    counts = np.cumsum([0, *sea.profiles_per_year])
    years = range(FIRST_YEAR, FIRST_YEAR + len(counts))
    begins = [datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in years]
    return np.interp(quantiles, counts / counts[-1], begins)


def _track(sea: Sea, wmo: int, length: int, middle: float, randomness: Randomness) -> Track:
    step_s = sea.step_d * 86400.0
    time_s = middle + (np.arange(length) - length / 2) * step_s
    time_s += randomness.uniform(-3 * 3600.0, 3 * 3600.0, length)
    # A float that would still report after the archive is made was launched that much earlier.
    time_s -= max(0.0, time_s.max(initial=0.0) - (ARCHIVE_AT - 86400.0))
    west, south, east, north = sea.basins[int(randomness.integers(len(sea.basins)))]
    longitude = randomness.uniform(west, east) + _drift(length, randomness)
    longitude += sea.eastward_deg * np.arange(length)
    latitude = randomness.uniform(south, north) + 0.6 * _drift(length, randomness)
    if east - west < 360.0:
        longitude = _reflected(longitude, west, east)
    return Track(
        wmo=wmo,
        sea=sea,
        time_s=np.round(time_s / 60.0) * 60.0,
        latitude=np.round(_reflected(latitude, south, north), 3),
        longitude=np.round((longitude + 180.0) % 360.0 - 180.0, 3),
    )


def _drift(length: int, randomness: Randomness) -> Floats:
    """Return a smooth random way [degrees]: each step takes after the one before."""
    steps = randomness.normal(0.0, 0.15, length)
    for i in range(1, length):
        steps[i] += 0.7 * steps[i - 1]
    return np.cumsum(steps)


def _reflected(way: Floats, low: float, high: float) -> Floats:
    """Return a way folded back at both shores."""
    folded = np.mod(way - low, 2 * (high - low))
    return low + np.minimum(folded, 2 * (high - low) - folded)
