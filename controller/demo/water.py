"""What a float of the demonstration archive measures: plausible, not real, ocean water.

Warm at the surface of low latitudes, with a thermocline that lies deepest in the subtropics, a
summer and a winter; the Mediterranean is warm and salt down to its floor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

YEAR_S = 365.25 * 86400.0


def temperature(latitude: Floats, longitude: Floats, time_s: Floats, pressure: Floats) -> Floats:
    """Return the temperature [degrees Celsius], shape (profiles, levels).

    Parameters
    ----------
    latitude, longitude, time_s : array of shape (profiles,)
        Degrees north, degrees east, POSIX seconds.
    pressure : array of shape (levels,)
        Decibars.
    """
    radians = np.radians(latitude)
    phase = 2 * np.pi * (time_s / YEAR_S - 0.62)  # warmest in the middle of August
    season = 4.0 * np.sin(2 * radians) * np.cos(phase)
    surface = 29.0 * np.cos(radians) ** 2 - 1.5
    floor = np.where(_is_mediterranean(latitude, longitude), 13.6, 2.0)
    depth = 120.0 + 400.0 * np.sin(2 * radians) ** 2
    warm = (surface - floor)[:, None] * _faded(pressure, depth)
    water: Floats = floor[:, None] + warm + season[:, None] * np.exp(-pressure / 60.0)
    return water


def salinity(latitude: Floats, longitude: Floats, pressure: Floats) -> Floats:
    """Return the practical salinity, shape (profiles, levels); see `temperature`."""
    inside = _is_mediterranean(latitude, longitude)
    subtropics = np.exp(-(((np.abs(latitude) - 25.0) / 14.0) ** 2))
    surface = np.where(inside, 37.4 + 0.05 * longitude, 34.2 + 1.8 * subtropics)
    floor = np.where(inside, 38.6, 34.7)
    depth = np.full_like(latitude, 300.0)
    return floor[:, None] + (surface - floor)[:, None] * _faded(pressure, depth)


def oxygen(pressure: Floats) -> Floats:
    """Return the dissolved oxygen [micromole/kg], shape (levels,), least at 700 dbar."""
    return 310.0 - 120.0 * np.exp(-((pressure / 700.0 - 1.0) ** 2))


def _faded(pressure: Floats, depth: Floats) -> Floats:
    """Return how much of the surface is left, 1 to 0, half of it at these depths [dbar]."""
    return 1.0 / (1.0 + (pressure / depth[:, None]) ** 2)


def _is_mediterranean(latitude: Floats, longitude: Floats) -> NDArray[np.bool_]:
    return (latitude > 30) & (latitude < 46) & (longitude > -5.5) & (longitude < 36.5)
