"""What a product holds whatever its format: its rows as columns by name, and their digest.

A product is the same in every format: the same columns of the same types, in the same order. So the
digest of what it holds is computed here, from columns, and each format gives its columns back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.derived.account import derived_attributes
from controller.apps.argo.extract import EPOCH_D
from controller.apps.argo.fragment import Harvest
from controller.apps.argo.rows import CORE_PARAMETERS, Int64s, Kind
from controller.apps.argo.vocabulary import COORDINATES, DERIVED, attributes_of

POINTS = "N_POINTS"

Column = NDArray[Any]

PROFILE_COLUMNS = {
    "TIME": "time_d",
    "LATITUDE": "latitude",
    "LONGITUDE": "longitude",
    "PLATFORM_NUMBER": "platform",
    "CYCLE_NUMBER": "cycle",
    "DIRECTION": "direction",
    "TIME_QC": "time_flag",
    "POSITION_QC": "position_flag",
}
"""The columns that are the same for all rows of a profile, and their fields of `PROFILE`."""

DAY_NS = 86_400 * 10**9

_DTYPES: Mapping[str, str] = {
    "TIME": "<f8",
    "LATITUDE": "<f8",
    "LONGITUDE": "<f8",
    "PLATFORM_NUMBER": "<i4",
    "CYCLE_NUMBER": "<i4",
    "DIRECTION": "S1",
}


class Points:
    """The rows of a harvest as columns, each made when it is asked for.

    Parameters
    ----------
    harvest : Harvest
        Sorted, each profile once (see `merge`).

    Attributes
    ----------
    names : tuple of str
        Of the columns, in their order.
    rows : int
    """

    def __init__(self, harvest: Harvest) -> None:
        profiles = harvest.profiles
        self._of_profile = {name: profiles[field] for name, field in PROFILE_COLUMNS.items()}
        self._of_profile["TIME"] = days(nanoseconds(profiles["time_d"]))
        for name, modes in _data_modes(harvest).items():
            self._of_profile[name] = np.where(modes == b"", np.array(b" ", "S1"), modes)
        self._of_row = harvest.columns
        self._derived = derived_attributes(harvest)
        self._profile = np.repeat(np.arange(len(profiles), dtype=np.int32), profiles["rows"])
        self.names = (*self._of_profile, *self._of_row)
        self.rows = harvest.rows

    def column(self, name: str, rows: slice = slice(None)) -> Column:
        """Return a column, or some rows of it."""
        if name in self._of_row:
            column: Column = self._of_row[name][rows]
        else:
            column = self._of_profile[name][self._profile[rows]]
        # argopy's point2profile overflows on flags of one byte.
        return column.astype(dtype_of(name), copy=False)

    def attributes(self, name: str) -> dict[str, object]:
        """Return what is said of a column, links to others included."""
        derived = self._derived.get(name)
        said = {"coverage_content_type": DERIVED, **derived} if derived else attributes_of(name)
        if name not in COORDINATES:
            said["coordinates"] = " ".join(COORDINATES)
        about = [other for other in (f"{name}_QC", f"{name}_ERROR") if other in self._of_row]
        if about:
            said["ancillary_variables"] = " ".join(about)
        return said

    def repeats(self, name: str) -> bool:
        """Tell whether a column has few values that repeat."""
        return name not in self._of_row or name.endswith("_QC")

    def blocks(self, rows_max: int) -> Iterator[slice]:
        """Yield rows in their order, so many at a time; the last block may be shorter."""
        for start in range(0, self.rows, rows_max):
            yield slice(start, min(start + rows_max, self.rows))


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the type of a column, which is the same in every product."""
    if name.endswith("_QC"):
        return np.dtype("<i4")
    return np.dtype("S1" if name.endswith("DATA_MODE") else _DTYPES.get(name, "<f4"))


def digest_of(columns: Iterable[tuple[str, Column]]) -> str:
    """Return the canonical digest of columns: names, types and values, not their order."""
    digests = {name: _column_digest(column) for name, column in columns}
    lines = (f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def nanoseconds(time_d: NDArray[np.float64]) -> Int64s:
    """Return days since 1950 as nanoseconds since 1970; the least number where it is not known."""
    known = np.isfinite(time_d)
    whole = np.floor(np.where(known, time_d, 0.0))
    within = np.rint((np.where(known, time_d, 0.0) - whole) * DAY_NS).astype(np.int64)
    since = (whole.astype(np.int64) - EPOCH_D) * DAY_NS + within
    return cast(Int64s, np.where(known, since, np.iinfo(np.int64).min))


def days(since_1970_ns: Int64s) -> NDArray[np.float64]:
    """Return nanoseconds since 1970 as days since 1950: of a time of `nanoseconds` the same again.

    A double tells days of our time to some 300 ns, so nothing of it is lost on the way.
    """
    known = since_1970_ns != np.iinfo(np.int64).min
    whole, within = np.divmod(np.where(known, since_1970_ns, 0), DAY_NS)
    return np.where(known, (whole + EPOCH_D) + within / DAY_NS, np.nan)


def _data_modes(harvest: Harvest) -> dict[str, Column]:
    """Return the data mode of the profile where that says all, else that of each parameter."""
    only_core_files = bool(np.all(harvest.profiles["kind"] == Kind.CORE.encode()))
    if only_core_files and set(harvest.measured) <= set(CORE_PARAMETERS):
        return {"DATA_MODE": harvest.modes["PRES"]}
    return {f"{name}_DATA_MODE": modes for name, modes in harvest.modes.items()}


def _column_digest(column: Column) -> str:
    if column.dtype.kind == "f":
        column = np.where(np.isnan(column), np.array(np.nan, column.dtype), column)
    plain = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    return f"{plain.dtype.str} {len(plain)} {hashlib.sha256(plain.data).hexdigest()}"
