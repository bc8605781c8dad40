"""argopy, which Argo's users have, opens our products and agrees with what is in them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.demo.profiles import Measured, profile_file
from planner.extent import Box, Extent, Period
from planner.model import UpdateSpan
from tests.argo_files import (
    LEVELS,
    PRESSURE,
    a_cast,
    archive_of,
    archive_with,
    in_delayed_mode,
    listed,
    measuring,
    product_of,
)
from tests.controller.apps.argo.index_files import instant, unpacked_subset

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what argopy's own imports are warned of is no matter of ours
    import argopy

pytestmark = pytest.mark.filterwarnings("ignore:::argopy", "ignore:::xarray")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let argopy find no network, so that what it says comes from the files alone."""

    def refuse(*_: object) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture
def points(tmp_path: Path) -> Iterator[xr.Dataset]:
    """A product of more profiles than levels, as argopy opens it."""
    casts = [a_cast(cycle=cycle) for cycle in range(2 * LEVELS)]
    casts += [in_delayed_mode(a_cast(platform=6990002)), a_cast(direction="D")]
    casts += [measuring(a_cast(platform=6990003), PSAL=None)]
    address, files = archive_of(tmp_path / "archive", casts)
    product_of(address, files, tmp_path)
    with xr.open_dataset(tmp_path / "product.nc", engine="argo") as dataset:
        yield dataset


def test_the_accessor_knows_the_points(points: xr.Dataset) -> None:
    assert points.argo._type == "point"
    assert points.argo.N_PROF == 2 * LEVELS + 3
    assert points.argo.N_LEVELS == LEVELS
    assert set(points.coords) == {"TIME", "LATITUDE", "LONGITUDE"}
    assert points["TIME"].dtype == "datetime64[ns]"
    assert set(np.unique(points["DIRECTION"])) == {"A", "D"}


def test_points_become_profiles(points: xr.Dataset) -> None:
    profiles = points.argo.point2profile()
    assert dict(profiles.sizes) == {"N_PROF": 2 * LEVELS + 3, "N_LEVELS": LEVELS}
    assert not profiles["TEMP"].isnull().any()
    assert profiles.argo.profile2point().sizes["N_POINTS"] == points.sizes["N_POINTS"]


def test_flags_can_be_filtered_further(points: xr.Dataset) -> None:
    good = points.argo.filter_qc(QC_list=[1, 2], QC_fields="all")
    # The float without salinity goes: its flags say missing.
    assert good.sizes["N_POINTS"] == points.sizes["N_POINTS"] - LEVELS
    only = points.argo.filter_qc(QC_list=[1], QC_fields=["TEMP_QC"])
    assert only.sizes["N_POINTS"] == points.sizes["N_POINTS"]


def test_data_modes_can_be_filtered_further(points: xr.Dataset) -> None:
    assert points.argo.datamode.filter(dm="D").sizes["N_POINTS"] == LEVELS


def test_the_index_and_the_domain_are_told(points: xr.Dataset) -> None:
    index = points.argo.index
    assert len(index) == 2 * LEVELS + 3
    assert set(index["wmo"]) == {6990001, 6990002, 6990003}
    assert points.argo.domain[:4] == [20, 20, 35, 35]


def test_a_plain_open_does_as_well(points: xr.Dataset, tmp_path: Path) -> None:
    with xr.open_dataset(tmp_path / "product.nc") as plain:
        assert plain.argo.point2profile().sizes["N_PROF"] == points.argo.N_PROF
    with xr.open_dataset(tmp_path / "product.nc", group="profiles") as table:
        assert int(table["row_size"].sum()) == points.sizes["N_POINTS"]


def test_teos10_agrees_with_what_was_derived(tmp_path: Path) -> None:
    casts = [a_cast(cycle=cycle, latitude=30.0 + cycle) for cycle in range(3)]
    casts += [in_delayed_mode(a_cast(platform=6990002))]
    address, files = archive_of(tmp_path / "archive", casts)
    core = Extent(parameters=("PRES", "PSAL", "TEMP"))
    product_of(address, files, tmp_path, core, derived="CT,SA,SIGMA0")
    _assert_teos10(tmp_path / "product.nc")


def _assert_teos10(product: Path) -> None:
    """Compare derived parameters with those that argopy computes of the same points.

    Ours are rounded to single precision, by a tenth of a millionth.
    """
    with xr.open_dataset(product, engine="argo") as ours:
        measured = ours.drop_vars(["CT", "CT_QC", "SA", "SA_QC", "SIGMA0", "SIGMA0_QC"])
        theirs = measured.argo.teos10(["SA", "CT", "SIG0"], inplace=False)
        assert ours.sizes["N_POINTS"] > 0
        for our_name, their_name in (("SA", "SA"), ("CT", "CT"), ("SIGMA0", "SIG0")):
            expected = theirs[their_name].values
            np.testing.assert_allclose(ours[our_name].values, expected, rtol=1.2e-7)
            assert theirs[their_name].attrs["standard_name"] == ours[our_name].standard_name


def kind_of_product(folder: Path, kind: str, mode: str) -> Path:
    """Make a product of one kind of files: two profiles in delayed mode, one in real time."""
    oxygen = Measured(values=PRESSURE, adjusted=PRESSURE + 1, data_mode="D", error=0.5)
    casts = [in_delayed_mode(a_cast(cycle=cycle)) for cycle in (1, 2)] + [a_cast(cycle=3)]
    if kind == "bio":
        casts = [measuring(cast, TEMP=None, PSAL=None) for cast in casts]
    if kind != "core":
        casts = [measuring(cast, DOXY=oxygen) for cast in casts]
    contents = {
        f"{cast.cycle}.nc": profile_file([cast], synthetic=kind != "core") for cast in casts
    }
    if kind == "bio":
        as_bio = (b"Argo synthetic profile", b"B-Argo profile        ")
        contents = {name: content.replace(*as_bio) for name, content in contents.items()}
    address = archive_with(folder / "archive", contents)
    parameters = {"core": ("PSAL", "TEMP"), "bio": ("DOXY",)}.get(kind, ("DOXY", "PSAL", "TEMP"))
    product_of(address, listed(contents), folder, Extent(parameters=parameters), mode=mode)
    return folder / "product.nc"


@pytest.mark.parametrize("mode", ["standard", "research", "expert"])
@pytest.mark.parametrize("kind", ["core", "bio", "synthetic"])
def test_the_accessor_works_on_every_kind_and_mode(tmp_path: Path, kind: str, mode: str) -> None:
    """What argopy needs that a product lacks by its nature is what argopy says it lacks."""
    kept = 2 if mode == "research" else 3
    with xr.open_dataset(kind_of_product(tmp_path, kind, mode), engine="argo") as points:
        profiles = points.argo.point2profile()
        assert dict(profiles.sizes) == {"N_PROF": kept, "N_LEVELS": LEVELS}
        assert profiles.argo.profile2point().sizes["N_POINTS"] == kept * LEVELS
        assert len(points.argo.index) == kept
        assert points.argo.domain[:4] == [20, 20, 35, 35]
        flags = "DOXY_QC" if kind == "bio" else "TEMP_QC"
        assert points.argo.filter_qc(QC_list=[1], QC_fields=[flags]).sizes == points.sizes
        if kind != "bio":
            derived = points.argo.teos10(["SA", "CT", "SIG0"], inplace=False)
            assert derived["SA"].values[0] == pytest.approx(38.2, abs=0.8)
            assert not derived["CT"].isnull().any()
        if mode == "expert" and kind == "core":
            assert points.argo.filter_researchmode().sizes["N_POINTS"] == 2 * LEVELS


def test_a_single_profile_is_a_product_too(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    product_of(address, files, tmp_path)
    with xr.open_dataset(tmp_path / "product.nc", engine="argo") as points:
        assert dict(points.argo.point2profile().sizes) == {"N_PROF": 1, "N_LEVELS": LEVELS}
        assert len(points.argo.index) == 1


def test_the_accessor_works_on_zarr(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast(), a_cast(cycle=2)])
    product_of(address, files, tmp_path, format="zarr")
    with xr.open_dataset(f"zip::{tmp_path}/product.zarr.zip", engine="zarr") as points:
        assert dict(points.argo.point2profile().sizes) == {"N_PROF": 2, "N_LEVELS": LEVELS}


def test_an_empty_product_opens(tmp_path: Path) -> None:
    address, _ = archive_of(tmp_path / "archive", [])
    product_of(address, [], tmp_path)
    with xr.open_dataset(tmp_path / "product.nc", engine="argo") as empty:
        assert (empty.argo._type, empty.argo.N_POINTS) == ("point", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A box and whole years, of a float whose multi-profile file the subset holds."""

    west: float
    east: float
    south: float
    north: float
    first_year: int
    last_year: int
    points: int

    @property
    def extent(self) -> Extent:
        return Extent(
            box=Box(west=self.west, east=self.east, south=self.south, north=self.north),
            period=Period(start_at=instant(self.first_year), end_at=instant(self.last_year + 1)),
            parameters=("PSAL", "TEMP"),
        )

    @property
    def argopy_box(self) -> list[object]:
        years = (f"{self.first_year}-01-01", f"{self.last_year + 1}-01-01")
        return [self.west, self.east, self.south, self.north, 0, 10000, *years]


ARABIAN_SEA = Request(
    west=60, east=75, south=5, north=25, first_year=2019, last_year=2020, points=5463
)
ATLANTIC = Request(
    west=-30, east=10, south=-10, north=15, first_year=1997, last_year=2001, points=12988
)
SOUTH_CHINA_SEA = Request(
    west=100, east=125, south=0, north=25, first_year=2016, last_year=2017, points=5784
)
INDIAN_OCEAN = Request(
    west=50, east=110, south=-10, north=20, first_year=2010, last_year=2013, points=8339
)


@pytest.fixture(scope="module")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_subset(tmp_path_factory.mktemp("argo"))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("request_", "mode"),
    [
        (ARABIAN_SEA, "standard"),
        (ATLANTIC, "standard"),
        (SOUTH_CHINA_SEA, "standard"),
        (INDIAN_OCEAN, "standard"),
        (SOUTH_CHINA_SEA, "research"),
        (SOUTH_CHINA_SEA, "expert"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.points} points",
)
def test_we_keep_what_argopy_keeps(
    subset: Path, tmp_path: Path, request_: Request, mode: str
) -> None:
    """The same points and values; argopy rounds pressure, and reads another file of the float.

    Where a request needs more than 25 files of a float, argopy reads its multi-profile file, whose
    times differ by milliseconds and whose salinity by the last bit.
    """
    theirs = _by_argopy(subset, tmp_path, request_, mode)
    with _ours(subset, tmp_path, request_.extent, mode=mode) as ours:
        assert theirs.sizes["N_POINTS"] == ours.sizes["N_POINTS"]
        if mode == "standard":
            assert ours.sizes["N_POINTS"] == request_.points
        in_their_order, in_our_order = _order(theirs), _order(ours)
        shared = [str(name) for name in theirs.variables if name in ours and name != "N_POINTS"]
        assert {"TEMP", "TEMP_QC", "DIRECTION", "LATITUDE", "PLATFORM_NUMBER"} <= {
            *shared,
            "TEMP_QC",
        }
        for name in shared:
            _assert_same(name, theirs[name].values[in_their_order], ours[name].values[in_our_order])


@pytest.mark.shared_data
@pytest.mark.parametrize("request_", [ARABIAN_SEA, SOUTH_CHINA_SEA], ids=["2902269", "2902696"])
def test_we_derive_what_argopy_derives(subset: Path, tmp_path: Path, request_: Request) -> None:
    extent = replace(request_.extent, parameters=("PRES", "PSAL", "TEMP"))
    with _ours(subset, tmp_path, extent, derived="CT,SA,SIGMA0") as ours:
        assert ours.sizes["N_POINTS"] == request_.points
        assert not ours["CT"].isnull().any()
    _assert_teos10(tmp_path / "product.nc")


def _by_argopy(subset: Path, tmp_path: Path, request: Request, mode: str) -> xr.Dataset:
    with argopy.set_options(
        src="gdac", gdac=str(subset), ds="phy", mode=mode, cachedir=str(tmp_path / "cache")
    ):
        fetched: xr.Dataset = argopy.DataFetcher().region(request.argopy_box).to_xarray()
    return fetched


def _ours(subset: Path, tmp_path: Path, extent: Extent, **options: str) -> xr.Dataset:
    address = ArchiveAddress(url=str(subset))
    catalogue = Catalogue.load(open_archive(address))
    span = UpdateSpan(after=None, upto=catalogue.newest)
    files = catalogue.files(catalogue.select(extent, span))
    product = product_of(address, files, tmp_path, extent, parts=2, **options)
    assert product.left_out == 0
    return xr.open_dataset(tmp_path / "product.nc", engine="argo")


def _order(points: xr.Dataset) -> NDArray[np.intp]:
    return np.lexsort(
        (
            points["PRES"].values.round(1),
            points["DIRECTION"].values.astype(str),
            points["CYCLE_NUMBER"].values,
            points["PLATFORM_NUMBER"].values,
        )
    )


def _assert_same(name: str, theirs: NDArray[Any], ours: NDArray[Any]) -> None:
    if name == "TIME":
        assert np.abs(theirs - ours).max() < np.timedelta64(5, "ms")
    elif name.startswith("PRES") and theirs.dtype.kind == "f" and "ERROR" not in name:
        np.testing.assert_array_equal(theirs, np.round(ours, 1), err_msg=name)
    elif theirs.dtype.kind == "f":
        np.testing.assert_allclose(theirs, ours, rtol=2e-7, err_msg=name)
    else:
        np.testing.assert_array_equal(theirs, ours, err_msg=name)
