"""The IOOS compliance checker finds no error of CF-1.11 or ACDD-1.3 in any kind of product.

It reads the table of standard names that it brings along; nothing here needs a network.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from controller.demo.profiles import Measured, profile_file
from planner.extent import Box, Extent
from tests.argo_files import (
    PRESSURE,
    TEMPERATURE,
    a_cast,
    archive_of,
    archive_with,
    in_delayed_mode,
    listed,
    measuring,
    product_of,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its own imports are warned of is no matter of ours
    from compliance_checker.runner import CheckSuite

pytestmark = pytest.mark.filterwarnings("ignore:::compliance_checker", "ignore:::netCDF4")

KNOWN_FAULTS = {"check_domain_variables"}
"""Checks of version 6.1 that fail in themselves: this one looks for an id of a point, which CF does
not know."""


ACCEPTED = re.compile(
    r"standard_name"  # numbers of floats and cycles, and errors, have none that CF would allow
    r"|units"  # what no vocabulary lists has no unit that we could know
    r"|(creator_email|naming_authority|publisher_\w+|time_coverage_resolution"
    r"|geospatial_bounds_vertical_crs) not present"
    # It takes the first and the last row for the earliest and the latest; ours are sorted by float.
    r"|Date time mismatch between time_coverage_"
    # A product of nothing has no bounds and no date.
    r"|(geospatial_|time_coverage_|date_created)\w* not present"
    r"|Attr date_created is not present|(geospatial_|time_coverage_)[\w/]+ attribute not found"
    # Across the antimeridian the western edge is the greater number, as ACDD has it.
    r"|Data for possible longitude variables"
)
"""What ACDD recommends and products lack."""


def core(folder: Path) -> None:
    casts = [a_cast(), in_delayed_mode(a_cast(cycle=2)), measuring(a_cast(cycle=3), PSAL=None)]
    address, files = archive_of(folder / "archive", casts)
    product_of(address, files, folder)


def expert(folder: Path) -> None:
    address, files = archive_of(folder / "archive", [in_delayed_mode(a_cast()), a_cast(cycle=2)])
    product_of(address, files, folder, mode="expert")


def empty(folder: Path) -> None:
    product_of(archive_with(folder / "archive", {}), [], folder)


def antimeridian(folder: Path) -> None:
    casts = [a_cast(longitude=179.5), a_cast(longitude=-179.5, cycle=2)]
    address, files = archive_of(folder / "archive", casts)
    pacific = Extent(box=Box(west=170, south=-40, east=-170, north=40), parameters=("TEMP",))
    product_of(address, files, folder, pacific)


def synthetic(folder: Path) -> None:
    names = ("BBP700", "CDOM", "CHLA", "DOWNWELLING_PAR", "DOXY", "NITRATE")
    measured = {name: Measured(values=PRESSURE, adjusted=PRESSURE) for name in names}
    casts = [measuring(a_cast(), **measured), measuring(a_cast(cycle=2), C1PHASE_DOXY=None)]
    address = archive_with(folder / "archive", {"s.nc": profile_file(casts, synthetic=True)})
    product_of(address, listed(["s.nc"]), folder, Extent(parameters=("TEMP", *names)))


def unlisted(folder: Path) -> None:
    """A parameter that no vocabulary lists, and the intermediate ones of an optode."""
    names = ("C1PHASE_DOXY", "TEMP_DOXY", "NEVER_HEARD")
    measured = {name: Measured(values=TEMPERATURE) for name in names}
    content = profile_file([measuring(a_cast(), **measured)], synthetic=True)
    address = archive_with(folder / "archive", {"s.nc": content})
    product_of(address, listed(["s.nc"]), folder, Extent(parameters=names), mode="expert")


def derived(folder: Path) -> None:
    address, files = archive_of(folder / "archive", [a_cast(), a_cast(cycle=2)])
    product_of(address, files, folder, derived="CT,MLD,SA,SIGMA0", depth="../500")


@pytest.mark.parametrize("kind", [core, derived, expert, empty, antimeridian, synthetic, unlisted])
@pytest.mark.parametrize("convention", ["cf:1.11", "acdd:1.3"])
def test_products_comply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: object, convention: str
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the checker reached for the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert callable(kind)
    kind(tmp_path)
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(tmp_path / "product.nc")) as dataset:
        results, failed = suite.run_all(dataset, [convention])[convention]
    assert {name.rsplit(".", 1)[-1] for name in failed} <= KNOWN_FAULTS
    assert results
    missed = {message for result in results if not is_met(result) for message in result.msgs}
    assert {message for message in missed if not ACCEPTED.match(message)} == set()
    assert convention == "acdd:1.3" or not missed


def is_met(result: Any) -> bool:
    """Tell whether a check found all that it looks for; some weigh too little to be looked at."""
    met = result.value if isinstance(result.value, bool) else len(set(result.value)) == 1
    return met or result.weight < 2
