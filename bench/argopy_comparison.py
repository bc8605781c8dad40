"""Products beside argopy's, of the same archive and requests: what both keep, and the CPU of both.

Wants the real subset of the archive beside the project (``../shared/data/argo``); without it there
is nothing to measure. We go the whole way: select in the index, extract, combine, and write NetCDF
with manifest and RO-Crate. argopy fetches from the same local archive, in standard mode, and ends
with a dataset in memory (its attributes cannot be written to NetCDF as they are). Both are warm:
imports and the first reading of the indexes are not counted, on either side.

A point that only one side has, or whose values differ, is named: argopy reads the float-level file
of a float from which it needs more than 25 cycles, and the archive's two files may differ.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from planner.extent import Box, Extent, Period
from planner.model import Selection, UpdateSpan, View

UNPACK = Path(__file__).parents[2] / "shared" / "data" / "argo" / "unpack.sh"
BASE = UpdateSpan(after=None, upto=0)
REPEATS = 3
NAMED_MAX = 10
"""Differences printed of a request."""

KEYS = ("PLATFORM_NUMBER", "CYCLE_NUMBER", "DIRECTION", "PRES")
VALUES = ("TEMP", "PSAL", "LATITUDE", "LONGITUDE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A box [degrees] and whole years."""

    west: float
    east: float
    south: float
    north: float
    first_year: int
    last_year: int

    @property
    def extent(self) -> Extent:
        """Return it as we ask for it."""
        first, end = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in self._years)
        return Extent(
            box=Box(west=self.west, east=self.east, south=self.south, north=self.north),
            period=Period(start_at=first, end_at=end),
            parameters=("PSAL", "TEMP"),
        )

    @property
    def region(self) -> list[object]:
        """Return it as argopy asks for it."""
        times = [f"{year}-01-01" for year in self._years]
        return [self.west, self.east, self.south, self.north, 0, 10000, *times]

    @property
    def _years(self) -> tuple[int, int]:
        return self.first_year, self.last_year + 1


REQUESTS = {
    "arabian_sea": Request(west=60, east=75, south=5, north=25, first_year=2019, last_year=2020),
    "atlantic": Request(west=-30, east=10, south=-10, north=15, first_year=1997, last_year=2001),
    "south_china_sea": Request(
        west=100, east=125, south=0, north=25, first_year=2016, last_year=2017
    ),
    "indian_ocean": Request(
        west=50, east=110, south=-10, north=20, first_year=2010, last_year=2013
    ),
}


def measure() -> dict[str, float]:
    """Return points, differences, CPU times and their ratio; empty where the subset is absent."""
    if not UNPACK.exists():
        return {}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure)


def _measure() -> dict[str, float]:
    warnings.simplefilter("ignore")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "gdac"
        subprocess.run(["bash", str(UNPACK), str(archive)], check=True)
        ours, theirs = _Ours(archive, Path(folder)), _Theirs(archive, Path(folder))
        for name, request in REQUESTS.items():
            figures |= _compared(name, request, ours, theirs)
    return figures


def _compared(name: str, request: Request, ours: _Ours, theirs: _Theirs) -> dict[str, float]:
    ours.make(request)
    theirs.make(request)
    rounds = [(_cpu_s(ours, request), _cpu_s(theirs, request)) for _ in range(REPEATS)]
    ours_s, theirs_s = (min(side) for side in zip(*rounds, strict=True))
    differences = list(_differences(ours.opened(), theirs.opened()))
    for difference in differences[:NAMED_MAX]:
        print(f"{name}: {difference}", file=sys.stderr)
    return {
        f"argopy_{name}_points": ours.opened().sizes["N_POINTS"],
        f"argopy_{name}_differences": len(differences),
        f"argopy_{name}_our_cpu_s": ours_s,
        f"argopy_{name}_their_cpu_s": theirs_s,
        f"argopy_{name}_cpu_ratio": theirs_s / ours_s,
    }


def _cpu_s(side: _Ours | _Theirs, request: Request) -> float:
    began = time.process_time()
    side.make(request)
    return time.process_time() - began


class _Ours:
    """slackwater, from the index to the product's three files."""

    def __init__(self, archive: Path, folder: Path) -> None:
        address = ArchiveAddress(url=str(archive))
        self._application = ArgoApplication(
            dataset=ARGO_DOI,
            archive=address,
            fragments_url=str(folder / "fragments"),
            staging_url=str(folder / "ours"),
            catalogue=Catalogue.load(open_archive(address)),
        )
        self._product = folder / "ours" / "bench-v1-to-u0.nc"

    def make(self, request: Request) -> None:
        view = View(dataset=ARGO_DOI, application="argo", extent=request.extent)
        argo = self._application
        fragment = argo.extract(argo.part_order(view, view.extent, BASE, "bench"))
        selection = Selection(view=view, updates=BASE)
        argo.combine(argo.product_order(selection, (fragment,), "bench-v1-to-u0", "bench"))

    def opened(self) -> xr.Dataset:
        with xr.open_dataset(self._product) as points:
            return points.load()


class _Theirs:
    """argopy in standard mode, from the local archive to a dataset in memory."""

    def __init__(self, archive: Path, folder: Path) -> None:
        import argopy  # noqa: PLC0415  (seconds, and only here)

        self._argopy = argopy
        cache = str(folder / "cache")
        argopy.set_options(src="gdac", gdac=str(archive), ds="phy", mode="standard", cachedir=cache)
        self._points = xr.Dataset()

    def make(self, request: Request) -> None:
        self._points = self._argopy.DataFetcher().region(request.region).to_xarray()

    def opened(self) -> xr.Dataset:
        return self._points


def _differences(ours: xr.Dataset, theirs: xr.Dataset) -> Iterator[str]:
    """Yield each point that only one side has, or of which a value differs, in words."""
    mine, other = _by_key(ours), _by_key(theirs)
    for key in sorted(mine.keys() ^ other.keys()):
        yield f"only {'slackwater' if key in mine else 'argopy'} has {_named(key)}"
    for key in sorted(mine.keys() & other.keys()):
        for column, (a, b) in enumerate(zip(mine[key], other[key], strict=True)):
            # Salinity of the two files of a float may differ by the last bit of a float32.
            if not np.isclose(a, b, rtol=2e-7, atol=0, equal_nan=True):
                yield f"{_named(key)}: {VALUES[column]} is {a} to slackwater and {b} to argopy"


def _by_key(points: xr.Dataset) -> dict[tuple[Any, ...], tuple[float, ...]]:
    """Return the values of each point by float, cycle, direction and pressure [0.1 dbar]."""
    keys = [points[name].values for name in KEYS[:-1]]
    pressure = np.round(points["PRES"].values.astype(np.float64), 1)
    blank = np.full(len(pressure), np.nan)
    columns = [points[name].values if name in points else blank for name in VALUES]
    rows = zip(
        zip(*(key.tolist() for key in keys), pressure.tolist(), strict=True),
        zip(*(column.tolist() for column in columns), strict=True),
        strict=True,
    )
    found: dict[tuple[Any, ...], tuple[float, ...]] = {}
    for (platform, cycle, direction, level), values in rows:
        key = (int(platform), int(cycle), _letter(direction), level)
        # Two levels may be rounded to one pressure: the second is numbered.
        number = 0
        while (*key, number) in found:
            number += 1
        found[(*key, number)] = values
    return found


def _letter(direction: object) -> str:
    return direction.decode() if isinstance(direction, bytes) else str(direction)


def _named(key: tuple[Any, ...]) -> str:
    platform, cycle, direction, level, _ = key
    return f"float {platform}, cycle {cycle}{direction}, {level} dbar"


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
