"""Opens one profile file: the only place that knows how its bytes are laid out (netCDF4, for now).

A file holds one or several profiles (N_PROF) of one float's cycle, each measurement in up to two
versions: as measured (PARAM) and adjusted (PARAM_ADJUSTED). A profile's data mode says which one
stands: R the measured one, A and D the adjusted one (Argo user's manual 3.41, section 2.2.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.columns import BOTH, FLAG_MISSING, MERGED, Column
from controller.apps.argo.rows import CORE_PARAMETERS, CYCLE_DIGITS_MAX, WMO_DIGITS_MAX, Kind
from planner.errors import SlackwaterError

Flags = NDArray[np.int8]
Mask = NDArray[np.bool_]

DATA_MODES = ("R", "A", "D")
"""Real time, adjusted in real time, delayed mode."""

ADJUSTED_MODES = ("A", "D")
"""Those whose adjusted version stands."""

POINTS_MAX = 50_000_000
"""Most levels times profiles taken from one file: the largest float-level files have 2 million."""

TIME_D_MAX = 100_000
"""Later days [since 1950], after the year 2223, are no dates."""

DIMENSIONS_MAX = 1024
"""Most dimensions that a file may declare; profile files have about 15."""

_FLAG_OF_BYTE = np.full(256, FLAG_MISSING, np.int8)
_FLAG_OF_BYTE[ord("0") : ord("9") + 1] = np.arange(10)

_LIBRARY_FAULTS = (OSError, RuntimeError, ValueError, AttributeError, IndexError, MemoryError)
"""What netCDF4 raises, by turns, for bytes that it cannot make sense of."""


class UnreadableProfile(SlackwaterError):
    """A file is torn, empty, of another format or no Argo profile file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile, level by level; levels without a measured pressure are not levels.

    Parameters
    ----------
    platform : int
        The float's WMO number.
    cycle : int
    direction : str
        "A" ascending, "D" descending.
    kind : Kind
    time_d : float
        Days since 1950-01-01T00:00:00Z (JULD); NaN where unknown.
    latitude, longitude : float
        Position [degrees north, degrees east]; NaN where unknown.
    time_flag, position_flag : int
        Quality flags, 0-9 (Argo reference table 2).
    modes : dict of str to str
        The data mode of each parameter: "R", "A", "D", or "" where the file names none.
    columns : dict of str to array of shape (levels,)
        `columns.column_names` of the parameters that the file has, as far as it has them.
    """

    platform: int
    cycle: int
    direction: str
    kind: Kind
    time_d: float
    latitude: float
    longitude: float
    time_flag: int
    position_flag: int
    modes: dict[str, str]
    columns: dict[str, Column]


def read_profiles(
    content: bytes, parameters: Sequence[str] = (), *, both_versions: bool = False
) -> list[Profile]:
    """Return the profiles of one file, in its own order.

    Parameters
    ----------
    content : bytes
        The whole file.
    parameters : sequence of str
        What is wanted beside pressure, which always comes; what the file lacks is left out. Empty
        means all: the core parameters of a core file (its others tell how the float sampled, as
        MTIME and TEMP_STD), of any other file every parameter with levels and quality flags.
    both_versions : bool
        Give the measured and the adjusted version, whatever the data mode.

    Raises
    ------
    UnreadableProfile
        The bytes are torn, empty, of another format or no Argo profile file.
    """
    _refuse_mad(content)
    try:
        with _quietly(), netCDF4.Dataset("profile", memory=content) as dataset:
            return _ProfileFile(_Variables(dataset)).profiles(parameters, both_versions)
    except _LIBRARY_FAULTS as error:
        raise UnreadableProfile(
            f"it is no whole NetCDF file ({len(content)} bytes): {error}"
        ) from error


class _ProfileFile:
    """What an open file holds, in Argo's terms; tables have shape (profiles, levels)."""

    def __init__(self, variables: _Variables) -> None:
        self._read = variables
        self._shape = variables.shape("PRES")
        if len(self._shape) != 2 or math.prod(self._shape) > POINTS_MAX:
            raise UnreadableProfile(f"its PRES has shape {self._shape}, not profiles by levels")
        self._kind = _kind(str(variables.words("DATA_TYPE")[0]))

    def profiles(self, parameters: Sequence[str], both_versions: bool) -> list[Profile]:
        """Return every profile, see `read_profiles`."""
        names = self._names(parameters)
        modes = {name: self._modes(name) for name in names}
        tables: dict[str, Any] = {}
        for name in names:
            tables |= self._both(name) if both_versions else self._standing(name, modes[name])
        exists = np.isfinite(self._read.numbers("PRES"))
        foreign = self._foreign(names)
        return [
            Profile(
                **facts,
                kind=self._kind,
                modes={name: modes[name][place] for name in names if name not in foreign[place]},
                columns={
                    name: table[place][exists[place]]
                    for name, table in tables.items()
                    if name not in foreign[place]
                },
            )
            for place, facts in enumerate(self._facts())
        ]

    def _facts(self) -> list[dict[str, Any]]:
        """Return what each profile says of itself beside its measurements."""
        read = self._read
        latitude, longitude = (read.numbers(n, np.float64) for n in ("LATITUDE", "LONGITUDE"))
        time_d = read.numbers("JULD", np.float64)
        on_globe = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 360)
        facts = {
            "platform": read.whole_words("PLATFORM_NUMBER", WMO_DIGITS_MAX),
            "cycle": read.whole("CYCLE_NUMBER", CYCLE_DIGITS_MAX),
            "direction": ["D" if letter == "D" else "A" for letter in read.letters("DIRECTION")],
            "time_d": np.where((time_d >= 0) & (time_d < TIME_D_MAX), time_d, np.nan).tolist(),
            "latitude": np.where(on_globe, latitude, np.nan).tolist(),
            "longitude": np.where(on_globe, longitude, np.nan).tolist(),
            "time_flag": read.flags("JULD_QC").tolist(),
            "position_flag": read.flags("POSITION_QC").tolist(),
        }
        if any(len(column) != self._shape[0] for column in facts.values()):
            raise UnreadableProfile(f"its PRES has {self._shape[0]} profiles, other variables not")
        return [dict(zip(facts, row, strict=True)) for row in zip(*facts.values(), strict=True)]

    def _names(self, parameters: Sequence[str]) -> list[str]:
        """Return the parameters to read, pressure first; see `read_profiles` for none given."""
        read = self._read
        if not parameters:
            flagged = (n for n in read.names if read.has(f"{n}_QC") and not n.endswith("_ADJUSTED"))
            parameters = CORE_PARAMETERS if self._kind is Kind.CORE else sorted(flagged)
        measured = [n for n in parameters if read.has(n) and read.shape(n) == self._shape]
        return ["PRES", *(name for name in measured if name != "PRES")]

    def _foreign(self, names: Sequence[str]) -> list[set[str]]:
        """Return of each profile the columns that are not its own: blanks for another's parameters.

        A bio file has a profile for each sensor, and a table for each parameter in all of them. In
        other files a blank says that there should be something.
        """
        if self._kind is not Kind.BIO or not self._read.has("STATION_PARAMETERS"):
            return [set() for _ in range(self._shape[0])]
        own = self._read.words("STATION_PARAMETERS").reshape(self._shape[0], -1).tolist()
        return [
            {
                f"{name}{suffix}"
                for name in set(names).difference(held, ["PRES"])
                for suffix in {*MERGED, *BOTH}
            }
            for held in own
        ]

    def _modes(self, name: str) -> list[str]:
        """Return the data mode of a parameter in each profile: its own, else the profile's."""
        return [
            own.get(name) or mode
            for own, mode in zip(self._own_modes, self._profile_modes, strict=True)
        ]

    @cached_property
    def _profile_modes(self) -> list[str]:
        if not self._read.has("DATA_MODE"):
            return [""] * self._shape[0]
        return [_known(mode) for mode in self._read.letters("DATA_MODE")]

    @cached_property
    def _own_modes(self) -> list[dict[str, str]]:
        """The modes of single parameters, in files that mix core and biogeochemistry."""
        count = self._shape[0]
        if not self._read.has("PARAMETER_DATA_MODE"):
            return [{} for _ in range(count)]
        names = self._read.words("STATION_PARAMETERS").reshape(count, -1).tolist()
        letters = np.array(self._read.letters("PARAMETER_DATA_MODE")).reshape(count, -1).tolist()
        return [
            {name: _known(mode) for name, mode in zip(*profile, strict=True)}
            for profile in zip(names, letters, strict=True)
        ]

    def _standing(self, name: str, modes: Sequence[str]) -> dict[str, Any]:
        """Return a parameter in the version that its data mode stands for."""
        read = self._read
        adjusted = np.array([[mode in ADJUSTED_MODES] for mode in modes])
        if not read.has(f"{name}_ADJUSTED"):
            adjusted[:] = False
        tables = {name: _chosen(read.numbers, name, "", adjusted)}
        if read.has(f"{name}_QC"):
            tables[f"{name}_QC"] = _chosen(read.flags, name, "_QC", adjusted)
        tables[f"{name}_ERROR"] = np.full(self._shape, np.nan, np.float32)
        if adjusted.any() and read.has(f"{name}_ADJUSTED_ERROR"):
            error = read.numbers(f"{name}_ADJUSTED_ERROR")
            tables[f"{name}_ERROR"] = np.where(adjusted, error, np.float32(np.nan))
        return tables

    def _both(self, name: str) -> dict[str, Any]:
        """Return a parameter as measured and as adjusted."""
        read = self._read
        numbers = (name, f"{name}_ADJUSTED", f"{name}_ADJUSTED_ERROR")
        flags = (f"{name}_QC", f"{name}_ADJUSTED_QC")
        return {n: read.numbers(n) for n in numbers if read.has(n)} | {
            n: read.flags(n) for n in flags if read.has(n)
        }


def _chosen(read: Callable[[str], Any], name: str, suffix: str, adjusted: Mask) -> Any:
    """Return PARAM or PARAM_ADJUSTED by profile, and read no more of the two than is needed."""
    if not adjusted.any():
        return read(f"{name}{suffix}")
    standing = read(f"{name}_ADJUSTED{suffix}")
    return standing if adjusted.all() else np.where(adjusted, standing, read(f"{name}{suffix}"))


def _known(mode: str) -> str:
    return mode if mode in DATA_MODES else ""


def _kind(data_type: str) -> Kind:
    if "argo" not in data_type.lower() or "profile" not in data_type:
        raise UnreadableProfile(f"its DATA_TYPE is {data_type!r}, no Argo profile")
    if "synthetic" in data_type:
        return Kind.SYNTHETIC
    return Kind.BIO if data_type.startswith("B-") else Kind.CORE


class _Variables:
    """The variables of an open file as plain arrays: missing numbers are NaN, flags are numbers."""

    def __init__(self, dataset: Any) -> None:
        # Masked arrays and decoded strings would cost more than the reading itself.
        dataset.set_auto_maskandscale(False)
        dataset.set_auto_chartostring(False)
        self._variables: dict[str, Any] = dataset.variables
        self.names = tuple(self._variables)
        _refuse_torn(dataset)

    def has(self, name: str) -> bool:
        return name in self._variables

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._variable(name).shape)

    def numbers(self, name: str, dtype: type[np.floating[Any]] = np.float32) -> Any:
        variable = self._variable(name)
        if variable.dtype.kind not in "fiu":
            raise UnreadableProfile(f"its {name} is {variable.dtype}, not a number")
        values = variable[...]
        numbers = np.array(values, dtype)
        numbers[values == getattr(variable, "_FillValue", np.nan)] = np.nan
        return numbers

    def whole(self, name: str, digits_max: int) -> list[int]:
        numbers = [int(number) for number in self._variable(name)[...]]
        if not all(0 <= number < 10**digits_max for number in numbers):
            raise UnreadableProfile(f"its {name} is {numbers}")
        return numbers

    def whole_words(self, name: str, digits_max: int) -> list[int]:
        words = self.words(name).tolist()
        if not all(word.isdecimal() and len(word) <= digits_max for word in words):
            raise UnreadableProfile(f"its {name} is {', '.join(map(repr, words))}, no number")
        return [int(word) for word in words]

    def flags(self, name: str) -> Flags:
        flags: Flags = _FLAG_OF_BYTE[self._characters(name).view(np.uint8)]
        return flags

    def letters(self, name: str) -> list[str]:
        """Return single characters, flattened; a blank or a NUL is an empty text."""
        return [_text(letter) for letter in self._characters(name).ravel().tolist()]

    def words(self, name: str) -> NDArray[np.str_]:
        """Return the words along the last dimension, flattened."""
        characters = self._characters(name)
        words = characters.view(f"S{characters.shape[-1]}").ravel()
        return np.array([_text(word) for word in words.tolist()], np.str_)

    def _characters(self, name: str) -> Any:
        variable = self._variable(name)
        if variable.dtype != "S1":
            raise UnreadableProfile(f"its {name} is {variable.dtype}, not characters")
        return np.ascontiguousarray(variable[...])

    def _variable(self, name: str) -> Any:
        if name not in self._variables:
            raise UnreadableProfile(f"it has no variable {name}, so it is no Argo profile")
        return self._variables[name]


def _quietly() -> np.errstate:
    """Numbers beyond float32 become infinite without a word: only a damaged file holds them."""
    return np.errstate(over="ignore", invalid="ignore")


def _refuse_mad(content: bytes) -> None:
    """Refuse a classic header that counts more dimensions than any file has.

    The netCDF library (4.9 and 4.10) would not fail but crash, and the worker with it.
    """
    count = int.from_bytes(content[12:16], "big")
    if content[:4] in (b"CDF\x01", b"CDF\x02") and count > DIMENSIONS_MAX:
        raise UnreadableProfile(f"its header counts {count} dimensions")


def _refuse_torn(dataset: Any) -> None:
    """Read the last value of the file, where a torn one ends first.

    A torn file opens as a whole one does: values are looked for only when they are read. The values
    along the unlimited dimension lie behind all others.
    """
    unlimited = {n for n, dimension in dataset.dimensions.items() if dimension.isunlimited()}
    backward = list(reversed(dataset.variables.values()))
    records = (v for v in backward if unlimited and not unlimited.isdisjoint(v.dimensions))
    last = next((v for v in chain(records, backward) if v.size), None)
    if last is not None:
        last[(-1,) * last.ndim]


def _text(characters: bytes) -> str:
    """Return a word without its padding, which is blanks by the manual and NULs in some files."""
    return characters.decode("ascii", "replace").strip(" \0")
