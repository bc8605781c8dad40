"""Boxes as people write them: west,south,east,north in degrees, also with longitudes of 0..360."""

from __future__ import annotations

from planner.errors import InvalidExtent
from planner.extent import Box


def parse_bbox(given: object) -> Box:
    """Return a box written as ``west,south,east,north`` or as a list of the four.

    Longitudes counted 0..360, as some datasets have them, are brought to -180..180.

    Raises
    ------
    ValueError
        It is not four numbers, lies off the globe, is upside down or flat.
    """
    west, south, east, north = _edges(given)
    if _counts_to_360(west, east):
        west, east = _to_180(west, east)
    try:
        return Box(west=west, south=south, east=east, north=north)
    except InvalidExtent as fault:
        raise ValueError(str(fault).replace("box", "bbox", 1)) from fault


def is_counted_to_360(given: object) -> bool:
    """Tell whether `parse_bbox` brings the longitudes of a box to -180..180."""
    west, _, east, _ = _edges(given)
    return _counts_to_360(west, east)


def _edges(given: object) -> tuple[float, float, float, float]:
    numbers = given.split(",") if isinstance(given, str) else given
    try:
        west, south, east, north = map(float, numbers if isinstance(numbers, list) else ())
    except (TypeError, ValueError) as error:
        written = ",".join(map(str, given)) if isinstance(given, list) else given
        raise ValueError(
            f"bbox {written} is not four numbers. Write west,south,east,north in degrees"
        ) from error
    return west, south, east, north


def _counts_to_360(west: float, east: float) -> bool:
    return min(west, east) >= 0 and 180 < max(west, east) <= 360


def _to_180(west: float, east: float) -> tuple[float, float]:
    if east - west == 360:
        return -180.0, 180.0
    return west - 360 * (west > 180), east - 360 * (east > 180)
