"""Every option keeps of real files what the documentation says, told again in the plainest way.

The oracle reads with netCDF4 level by level, and knows the documentation's tables, not our rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gsw
import netCDF4
import numpy as np
import pytest

from controller.apps.argo.extract import extract
from controller.apps.argo.fragment import read_fragment
from controller.apps.argo.orders import ArchiveAddress, ExtractOrder
from controller.apps.argo.rows import Kind
from planner.extent import Extent
from tests.argo_files import listed
from tests.controller.apps.argo.index_files import unpacked_subset

pytestmark = pytest.mark.shared_data

CORE = ("PRES", "PSAL", "TEMP")
LIGHT = ("BBP700", "DOWN_IRRADIANCE412", "DOWNWELLING_PAR")
STEP = {Kind.CORE: 9, Kind.BIO: 1, Kind.SYNTHETIC: 2}
"""Every so many of the subset's files are read."""
EVERY = "0123456789"
FLAGS = {"standard": ("12", "1258", EVERY), "research": ("1", "158", "158"), "expert": (EVERY,) * 3}
"""Of each mode: for core parameters, for others, for those that measure light."""
PLACES = {"standard": "12", "research": "1", "expert": EVERY}


@dataclass(frozen=True)
class Level:
    """What a file says of one level: (value, flag, error) of each parameter that it has."""

    measured: dict[str, tuple[float, str, float]]


@dataclass(frozen=True)
class One:
    """One profile of a file."""

    latitude: float
    place_flags: str
    modes: dict[str, str]
    levels: list[Level]


def text(variable: Any) -> Any:
    return np.char.decode(variable[:].astype("S1"), "ascii")


def numbers(variable: Any) -> Any:
    values = variable[:]
    return np.where(values == variable._FillValue, np.nan, values)


@cache
def profiles_of(path: Path, wanted: tuple[str, ...]) -> list[One]:
    """Read a file; a bio file holds a profile for each group of sensors, blank for the others."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_chartostring(False)
        file.set_auto_mask(False)  # it would take pressures below valid_min (0 dbar) for missing
        names = [name for name in ("PRES", *wanted) if name in file.variables]
        names = list(dict.fromkeys(names))
        return [one_of(file, place, names) for place in range(len(file.dimensions["N_PROF"]))]


def one_of(file: Any, place: int, names: list[str]) -> One:
    stations = ["".join(word).strip() for word in text(file["STATION_PARAMETERS"])[place]]
    if "B-Argo" in "".join(text(file["DATA_TYPE"])):
        names = [name for name in names if name in stations]
    if "PARAMETER_DATA_MODE" in file.variables:
        own = dict(zip(stations, text(file["PARAMETER_DATA_MODE"])[place], strict=True))
        modes = {name: own.get(name, "").strip() for name in names}
    else:
        modes = dict.fromkeys(names, str(text(file["DATA_MODE"])[place]).strip())
    columns = {name: column_of(file, place, name, modes[name]) for name in names}
    raw = numbers(file["PRES"])[place]
    return One(
        latitude=float(file["LATITUDE"][place]),
        place_flags="".join(text(file[name])[place] for name in ("POSITION_QC", "JULD_QC")),
        modes=modes,
        levels=[
            Level({name: column[level] for name, column in columns.items()})
            for level in np.flatnonzero(np.isfinite(raw))
        ],
    )


def column_of(file: Any, place: int, name: str, mode: str) -> list[tuple[float, str, float]]:
    standing = f"{name}_ADJUSTED" if mode in "AD" and f"{name}_ADJUSTED" in file.variables else name
    values = numbers(file[standing])[place]
    flags = ["none"] * len(values)
    if f"{standing}_QC" in file.variables:
        flags = [flag if flag in EVERY else "9" for flag in text(file[f"{standing}_QC"])[place]]
    errors = np.full(len(values), np.nan)
    if standing != name:
        errors = numbers(file[f"{standing}_ERROR"])[place]
    return list(zip(values.tolist(), flags, errors.tolist(), strict=True))


def sort_of(name: str) -> int:
    return 0 if name in CORE else 2 if name in LIGHT else 1


def keeps_profile(one: One, kind: Kind, said: Mapping[str, str]) -> bool:
    mode = said.get("mode", "standard")
    for flag, what in zip(one.place_flags, ("POSITION", "TIME"), strict=True):
        if flag not in said.get(f"qc_{what}", PLACES[mode]):
            return False
    for name, letter in one.modes.items():
        default = "D" if mode == "research" and name in CORE else "RAD"
        allowed = said.get(f"data_mode_{name}", said.get("data_mode", default))
        if letter not in allowed and not (kind is Kind.BIO and name == "PRES"):
            return False
    judged = [
        letter
        for name, letter in one.modes.items()
        if name not in CORE
        and not (mode == "standard" and name in LIGHT)
        and not {"data_mode", f"data_mode_{name}"} & said.keys()
    ]
    one_of_these = {"standard": "AD", "research": "D", "expert": "RAD"}[mode]
    return not judged or any(letter in one_of_these for letter in judged)


def keeps_level(one: One, level: Level, said: Mapping[str, str]) -> bool:
    mode = said.get("mode", "standard")
    for name, (_, flag, _) in level.measured.items():
        allowed = said.get(f"qc_{name}", said.get("qc", FLAGS[mode][sort_of(name)]))
        if flag != "none" and flag not in allowed:
            return False
    pressure, _, error = level.measured["PRES"]
    if mode == "research" and not error < 20:
        return False
    for coordinate, at in (
        ("pressure", pressure),
        ("depth", -gsw.z_from_p(pressure, one.latitude)),
    ):
        if coordinate in said:
            start, end = said[coordinate].split("/")
            if not (start == ".." or at >= float(start)) or not (end == ".." or at < float(end)):
                return False
    return True


@pytest.fixture(scope="module")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_subset(tmp_path_factory.mktemp("argo"))


def files_of(subset: Path, kind: Kind) -> list[str]:
    letters = {Kind.CORE: "[RD]", Kind.BIO: "B", Kind.SYNTHETIC: "S"}[kind]
    found = sorted((subset / "dac").glob(f"*/*/profiles/{letters}*.nc"))
    return [path.relative_to(subset / "dac").as_posix() for path in found][:: STEP[kind]]


CASES = [
    (Kind.CORE, "PSAL TEMP", {}),
    (Kind.CORE, "PSAL TEMP", {"mode": "research"}),
    (Kind.CORE, "PSAL TEMP", {"mode": "expert"}),
    (Kind.CORE, "PSAL TEMP", {"qc": "1,2,3"}),
    (Kind.CORE, "PSAL TEMP", {"qc_PSAL": "1,3,4", "qc_TEMP": "1"}),
    (Kind.CORE, "TEMP", {"qc": "3,4", "qc_PRES": "1"}),
    (Kind.CORE, "PSAL", {"qc_POSITION": "8", "qc_TIME": "1"}),
    (Kind.CORE, "PSAL TEMP", {"data_mode": "D"}),
    (Kind.CORE, "PSAL TEMP", {"data_mode": "R,A", "qc": "1"}),
    (Kind.CORE, "TEMP", {"data_mode_TEMP": "R"}),
    (Kind.CORE, "TEMP", {"mode": "research", "data_mode": "A,D", "qc": "1,2"}),
    (Kind.CORE, "TEMP", {"pressure": "100/500"}),
    (Kind.CORE, "TEMP", {"depth": "../100", "mode": "expert"}),
    (Kind.CORE, "TEMP", {"depth": "100/..", "data_mode": "D"}),
    (Kind.SYNTHETIC, "DOXY", {}),
    (Kind.SYNTHETIC, "DOXY TEMP", {"qc_PRES": "1,2,8", "qc_TEMP": "1,2,8"}),
    (Kind.SYNTHETIC, "CHLA DOXY", {"data_mode_DOXY": "R,A"}),
    (Kind.SYNTHETIC, "BBP700 DOXY NITRATE", {"qc": "1,2,3,8", "data_mode": "R,A,D"}),
    (Kind.SYNTHETIC, "BBP700", {"qc_BBP700": "1,2,3", "data_mode_BBP700": "R"}),
    (Kind.SYNTHETIC, "DOXY", {"mode": "expert", "pressure": "../50"}),
    (Kind.BIO, "DOXY", {}),
    (Kind.BIO, "DOXY", {"data_mode": "D"}),
    (Kind.BIO, "DOXY", {"data_mode_DOXY": "A", "qc_DOXY": "1,2,3"}),
    (Kind.BIO, "BBP700 DOWN_IRRADIANCE412 DOWNWELLING_PAR", {"qc": "1,2,3"}),
    (Kind.BIO, "NITRATE", {"data_mode": "R", "qc": "0,3"}),
]


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    CASES,
    ids=[f"{kind} {names} {said}" for kind, names, said in CASES],
)
def test_what_is_kept_is_what_the_documentation_says(
    subset: Path, tmp_path: Path, kind: Kind, parameters: str, said: dict[str, str]
) -> None:
    wanted, files = tuple(parameters.split()), files_of(subset, kind)
    order = ExtractOrder(
        archive=ArchiveAddress(url=str(subset)),
        files=tuple(listed(files)),
        extent=Extent(parameters=wanted),
        options=tuple(sorted(said.items())),
        fragment_url=str(tmp_path / "f.npz"),
    )
    harvest = read_fragment(extract(order))
    places = harvest.profiles[["source", "place", "rows"]].tolist()
    assert len({source for source, _, _ in places}) + len(harvest.left_out) == len(files)
    values: dict[str, list[float]] = {name: [] for name in ("PRES", *wanted)}
    for source, place, rows in places:
        one = profiles_of(subset / "dac" / harvest.sources[source].path, wanted)[place]
        kept = [level for level in one.levels if keeps_level(one, level, said)]
        if not keeps_profile(one, kind, said) or not set(wanted) & one.modes.keys():
            kept = []
        assert rows == len(kept), (harvest.sources[source].path, place)
        for name, column in values.items():
            column += [level.measured.get(name, (np.nan,))[0] for level in kept]
    assert harvest.rows > 0
    if said.get("mode") != "expert":
        for name, column in values.items():
            np.testing.assert_array_equal(harvest.columns[name], np.array(column, np.float32))
