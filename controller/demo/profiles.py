"""Writes single profile files as an Argo data centre does, quirks included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.demo.layouts import FILL, JULD_FILL, argo_layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One parameter of one profile.

    Parameters
    ----------
    values : array of shape (levels,)
        NaN is written as missing.
    flags : str
        A quality flag for each level, or one for all.
    adjusted : array of shape (levels,), optional
        Written as missing where there are none.
    adjusted_flags : str
    error : float
        Of the adjusted values.
    data_mode : str
        Its own, in files that mix core and biogeochemistry; empty takes that of the profile.
    """

    values: ArrayLike
    flags: str = "1"
    adjusted: ArrayLike | None = None
    adjusted_flags: str = "1"
    error: float = 0.01
    data_mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """One profile as a file holds it (one of N_PROF).

    Parameters
    ----------
    platform, cycle : int
    direction : str
        "A" ascending, "D" descending.
    time_d : float or None
        Days since 1950-01-01T00:00:00Z.
    latitude, longitude : float or None
        Degrees north, degrees east.
    time_flag, position_flag : str
    data_mode : str
        "R", "A" or "D".
    measured : mapping of str to Measured
        PRES among them.
    """

    platform: int
    cycle: int
    direction: str = "A"
    time_d: float | None
    latitude: float | None
    longitude: float | None
    time_flag: str = "1"
    position_flag: str = "1"
    data_mode: str = "R"
    measured: Mapping[str, Measured]


def profile_file(
    casts: Sequence[Cast],
    *,
    synthetic: bool = False,
    date_update: str = "20240101000000",
    padding: str = " ",
) -> bytes:
    """Return the bytes of one file.

    Parameters
    ----------
    casts : sequence of Cast
        One or several; a parameter that one of them lacks is filled there.
    synthetic : bool
        Whether it mixes core and biogeochemistry, with a data mode for each parameter.
    date_update : str
        YYYYMMDDHHMMSS.
    padding : str
        What follows a float's number: blanks by the manual, NULs in the files of some centres.
    """
    names = tuple(dict.fromkeys(name for cast in casts for name in cast.measured))
    levels = max(np.size(one.values) for cast in casts for one in cast.measured.values())
    values = _identity(casts, padding) | _places(casts)
    values["DATA_TYPE"] = _word("Argo synthetic profile" if synthetic else "Argo profile", 32)
    values["DATE_CREATION"] = values["DATE_UPDATE"] = _word(date_update, 14)
    stations = [[name if name in cast.measured else "" for name in names] for cast in casts]
    values["STATION_PARAMETERS"] = np.array(
        [[list(n.ljust(16)) for n in row] for row in stations], "S1"
    )
    if synthetic:
        modes = [[_data_mode(cast, name) for name in names] for cast in casts]
        values["PARAMETER_DATA_MODE"] = np.array(modes, "S1")
    for name in names:
        values |= _levels(name, [cast.measured.get(name) for cast in casts], levels)
    return argo_layout(len(casts), levels, names, synthetic).file(values)


def _identity(casts: Sequence[Cast], padding: str) -> dict[str, NDArray[Any]]:
    platforms = [list(str(cast.platform).ljust(8, padding)) for cast in casts]
    return {
        "FORMAT_VERSION": _word("3.1", 4),
        "REFERENCE_DATE_TIME": _word("19500101000000", 14),
        "PLATFORM_NUMBER": np.array(platforms, "S1"),
        "CYCLE_NUMBER": np.array([cast.cycle for cast in casts]),
        "DIRECTION": np.array([cast.direction for cast in casts], "S1"),
        "DATA_MODE": np.array([cast.data_mode for cast in casts], "S1"),
    }


def _places(casts: Sequence[Cast]) -> dict[str, NDArray[Any]]:
    time_d = [JULD_FILL if cast.time_d is None else cast.time_d for cast in casts]
    return {
        "JULD": np.array(time_d),
        "JULD_LOCATION": np.array(time_d),
        "JULD_QC": np.array([cast.time_flag for cast in casts], "S1"),
        "LATITUDE": np.array([FILL if c.latitude is None else c.latitude for c in casts]),
        "LONGITUDE": np.array([FILL if c.longitude is None else c.longitude for c in casts]),
        "POSITION_QC": np.array([cast.position_flag for cast in casts], "S1"),
    }


def _data_mode(cast: Cast, name: str) -> str:
    one = cast.measured.get(name)
    return " " if one is None else one.data_mode or cast.data_mode


def _levels(name: str, column: list[Measured | None], levels: int) -> dict[str, NDArray[Any]]:
    """Return the five variables of one parameter, and the flag of its profiles."""
    numbers = {
        s: np.full((len(column), levels), FILL) for s in ("", "_ADJUSTED", "_ADJUSTED_ERROR")
    }
    flags = {s: np.full((len(column), levels), b" ") for s in ("_QC", "_ADJUSTED_QC")}
    for place, one in enumerate(column):
        if one is None:
            continue
        size = np.size(one.values)
        numbers[""][place, :size] = _without_nan(one.values)
        flags["_QC"][place, :size] = _flags(one.flags)
        if one.adjusted is not None:
            numbers["_ADJUSTED"][place, :size] = _without_nan(one.adjusted)
            numbers["_ADJUSTED_ERROR"][place, :size] = one.error
            flags["_ADJUSTED_QC"][place, :size] = _flags(one.adjusted_flags)
    profile = np.array([" " if one is None else "A" for one in column], "S1")
    return {f"{name}{s}": v for s, v in (numbers | flags).items()} | {f"PROFILE_{name}_QC": profile}


def _without_nan(values: ArrayLike) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(values, np.float64), nan=FILL)


def _flags(flags: str) -> NDArray[np.bytes_]:
    return np.array(list(flags), "S1")


def _word(word: str, length: int) -> NDArray[np.bytes_]:
    return np.array(list(word.ljust(length)), "S1")
