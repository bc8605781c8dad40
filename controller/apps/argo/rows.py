"""Profile files as an index lists them, in columns: about 40 bytes a row, names included.

A GDAC path says everything twice (``aoml/13857/profiles/R13857_001.nc``), so it is kept as numbers
and written out again on demand. Positions are whole ticks of 1e-7 degree: half the memory of
doubles, and still exactly the decimals that the index printed, so that a profile on the edge of a
box falls on the same side everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.orders import SourceFile, Superseded

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

TICKS_PER_DEGREE = 10_000_000
NO_TIME = np.iinfo(np.int64).max
"""Observation time of a row without a usable date; sorts behind all others."""
NO_POSITION = np.iinfo(np.int32).min
"""Latitude and longitude of a row without a usable position."""

CORE_PARAMETERS = ("PRES", "PSAL", "TEMP")
"""What a core profile may hold; its index does not say which of them a float lacks."""

WMO_DIGITS_MAX = 8
CYCLE_DIGITS_MAX = 5
_WMO_BITS, _CYCLE_BITS = 27, 17
assert 10**WMO_DIGITS_MAX <= 2**_WMO_BITS
assert 10**CYCLE_DIGITS_MAX <= 2**_CYCLE_BITS


class Kind(StrEnum):
    """The families of profile files; each has an index of its own."""

    CORE = "core"
    BIO = "bio"
    SYNTHETIC = "synthetic"


_KINDS = tuple(Kind)
CORE_CODE = _KINDS.index(Kind.CORE)
_KIND_LETTERS = {Kind.CORE: "", Kind.BIO: "B", Kind.SYNTHETIC: "S"}


def profile_keys(kind_code: Int64s, wmo: Int64s, cycle: Int64s, descending: Mask) -> Int64s:
    """Return one number for (kind, float, cycle, direction), the stem without its R or D.

    Parameters
    ----------
    kind_code : array of shape (n,)
        Position in `Kind`.
    wmo, cycle : array of shape (n,)
        Float and cycle number, of at most 8 and 5 digits.
    descending : array of shape (n,)
    """
    stem = (kind_code << _WMO_BITS | wmo) << _CYCLE_BITS | cycle
    return cast(Int64s, stem << 1 | descending)


def kind_codes(profile: Int64s) -> Int64s:
    """Return the position in `Kind` of each of these `profile_keys`."""
    return cast(Int64s, profile >> (_WMO_BITS + _CYCLE_BITS + 1))


def float_keys(profile: Int64s) -> Int64s:
    """Return one number for the float (and kind) of each of these `profile_keys`."""
    return cast(Int64s, profile >> (_CYCLE_BITS + 1))


def stems(profile: Int64s) -> Int64s:
    """Return one number for float, cycle and direction of each: the same in files of any kind."""
    return cast(Int64s, profile & (1 << _WMO_BITS + _CYCLE_BITS + 1) - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows of an index, sorted by time.

    Parameters
    ----------
    time_s : array of int64, shape (n,)
        Observation time [POSIX s], increasing; `NO_TIME` where it is not known.
    latitude_ticks, longitude_ticks : array of int32, shape (n,)
        Position [1e-7 degree north, east in [-180, 180)]; `NO_POSITION` where it is not known.
    profile : array of int64, shape (n,)
        What is listed, see `profile_keys`; the same before and after a file is renamed.
    delayed : array of bool, shape (n,)
        Whether the file is a delayed-mode one (D), not a real-time one (R).
    dac : array of uint16, shape (n,)
        Position in `dacs` of the centre whose folder holds the file.
    date_update : array of int64, shape (n,)
        YYYYMMDDHHMMSS read as a number; 0 where the index has none.
    parameter_set : array of int32, shape (n,)
        Position in `parameter_sets` of what the file holds.
    dacs : tuple of str
    parameter_sets : tuple of tuple of str
    """

    time_s: Int64s
    latitude_ticks: Int32s
    longitude_ticks: Int32s
    profile: Int64s
    delayed: Mask
    dac: NDArray[np.uint16]
    date_update: Int64s
    parameter_set: Int32s
    dacs: tuple[str, ...]
    parameter_sets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Check the shape and order once, so that every use may rely on them."""
        assert all(getattr(self, name).shape == self.time_s.shape for name in COLUMNS)
        assert bool(np.all(self.time_s[1:] >= self.time_s[:-1])), "rows must be sorted by time"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_s)

    @property
    def located(self) -> Mask:
        """Which rows have a time and a position, so that a request can match them."""
        dated: Mask = self.time_s != NO_TIME
        placed: Mask = self.latitude_ticks != NO_POSITION
        return dated & placed

    def taken(self, places: Places | Mask) -> Rows:
        """Return some of the rows, in the order of time."""
        columns = {name: getattr(self, name)[places] for name in COLUMNS}
        return in_time_order(columns, self.dacs, self.parameter_sets)

    def by_kind(self) -> dict[Kind, Rows]:
        """Return the rows of each kind that there are any of."""
        codes = kind_codes(self.profile)
        if len(codes) and codes.min() == codes.max():
            return {_KINDS[int(codes[0])]: self}
        return {_KINDS[code]: self.taken(codes == code) for code in np.unique(codes).tolist()}

    def source_files(self, places: Places) -> list[SourceFile]:
        """Write out the files at these places, in their order."""
        columns = (self.dac, self.profile, self.delayed, self.date_update)
        taken = (column[places].tolist() for column in columns)
        return list(map(self._source_file, *taken))

    def former(self, places: Places) -> list[Superseded]:
        """Write out what these rows list, for who must know what superseded them."""
        files = self.source_files(places)
        profiles, delayed = self.profile[places].tolist(), self.delayed[places].tolist()
        return [
            Superseded(
                profile=_named(key),
                path=file.path,
                date_update=file.date_update,
                data_mode="D" if was_delayed else "R",
            )
            for key, was_delayed, file in zip(profiles, delayed, files, strict=True)
        ]

    def _source_file(self, dac: int, profile: int, delayed: bool, update: int) -> SourceFile:
        wmo, cycle, direction, kind = _named(profile)
        descending = "D" if direction == "D" else ""
        letters = f"{_KIND_LETTERS[Kind(kind)]}{'D' if delayed else 'R'}"
        return SourceFile(
            path=f"{self.dacs[dac]}/{wmo}/profiles/{letters}{wmo}_{cycle:03d}{descending}.nc",
            date_update=f"{update:014d}" if update else "",
        )


def _named(profile: int) -> tuple[int, int, str, str]:
    """Return float, cycle, direction and kind of one of the `profile_keys`."""
    cycle = profile >> 1 & (1 << _CYCLE_BITS) - 1
    wmo = profile >> 1 + _CYCLE_BITS & (1 << _WMO_BITS) - 1
    kind = _KINDS[profile >> 1 + _CYCLE_BITS + _WMO_BITS]
    return wmo, cycle, "D" if profile & 1 else "A", kind.value


COLUMNS: dict[str, type[np.generic]] = {
    "time_s": np.int64,
    "latitude_ticks": np.int32,
    "longitude_ticks": np.int32,
    "profile": np.int64,
    "delayed": np.bool_,
    "dac": np.uint16,
    "date_update": np.int64,
    "parameter_set": np.int32,
}
"""The columns of `Rows` and what they are made of."""


def in_time_order(
    columns: dict[str, NDArray[Any]],
    dacs: tuple[str, ...],
    parameter_sets: tuple[tuple[str, ...], ...],
) -> Rows:
    """Return columns as rows sorted by time; empties the dictionary to spare memory."""
    time_s = columns["time_s"]
    if bool(np.any(time_s[1:] < time_s[:-1])):
        order = np.argsort(time_s, kind="stable")
        del time_s
        for name in COLUMNS:
            columns[name] = columns[name][order]
    return Rows(
        **{name: columns.pop(name) for name in COLUMNS}, dacs=dacs, parameter_sets=parameter_sets
    )


def no_rows() -> Rows:
    """Return a table without rows."""
    empty = {name: np.empty(0, dtype) for name, dtype in COLUMNS.items()}
    return in_time_order(empty, (), ())


def together(tables: Sequence[Rows]) -> Rows:
    """Return the rows of several tables as one."""
    tables = [table for table in tables if len(table)]
    if len(tables) < 2:
        return tables[0] if tables else no_rows()
    columns = {
        name: np.concatenate([np.empty(0, dtype), *(getattr(table, name) for table in tables)])
        for name, dtype in COLUMNS.items()
        if name not in ("dac", "parameter_set")
    }
    dacs = tuple(dict.fromkeys(dac for table in tables for dac in table.dacs))
    sets = tuple(dict.fromkeys(names for table in tables for names in table.parameter_sets))
    columns["dac"] = _recoded(tables, lambda t: (t.dac, t.dacs), dacs, np.uint16)
    columns["parameter_set"] = _recoded(
        tables, lambda t: (t.parameter_set, t.parameter_sets), sets, np.int32
    )
    return in_time_order(columns, dacs, sets)


def _recoded(
    tables: Sequence[Rows],
    column: Callable[[Rows], tuple[NDArray[Any], tuple[Any, ...]]],
    meanings: tuple[Any, ...],
    dtype: type[np.generic],
) -> NDArray[Any]:
    parts = [recode(codes, own, meanings) for codes, own in map(column, tables)]
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(dtype)


def recode(codes: NDArray[Any], own: Sequence[Any], other: Sequence[Any]) -> Int64s:
    """Translate codes of one table of meanings to another's; -1 where it lacks the meaning."""
    place = {meaning: code for code, meaning in enumerate(other)}
    table = np.array([place.get(meaning, -1) for meaning in own] or [-1], np.int64)
    return cast(Int64s, table[codes])
