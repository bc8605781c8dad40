"""Every format of products: the same content, the same bytes again, and open to the usual tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.combine import combine
from controller.apps.argo.formats.catalogue import FORMATS
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.points import days, dtype_of, nanoseconds
from controller.apps.argo.product import content_digest
from controller.demo.profiles import Cast, Measured, profile_file
from controller.errors import StorageError
from controller.product_files import ENDINGS, ending_of, manifest_url, product_id_of
from planner.errors import InvalidSubscription
from planner.extent import Extent
from planner.model import Selection, UpdateSpan, View
from tests.argo_files import (
    LEVELS,
    PRESSURE,
    TEMPERATURE,
    WANTED,
    a_cast,
    archive_of,
    archive_with,
    combining,
    in_delayed_mode,
    listed,
    measuring,
    product_of,
)
from tests.controller.apps.argo.index_files import unpacked_subset

every_format = pytest.mark.parametrize("name", FORMATS)


def some_casts() -> list[Cast]:
    """Return profiles with all that is awkward: holes, odd flags, half seconds, no salinity."""
    holes = Measured(values=np.where(PRESSURE > 50, np.nan, TEMPERATURE), flags="1")
    return [
        a_cast(time_d=25000.123456789),
        in_delayed_mode(a_cast(cycle=2, longitude=-179.5, direction="D")),
        measuring(a_cast(platform=6990002), PSAL=None, TEMP=holes),
    ]


def made(folder: Path, name: str, **options: str) -> Path:
    """Make a product in a format and return its file."""
    address, files = archive_of(folder / "archive", some_casts())
    product_of(address, files, folder, WANTED, 2, format=name, **options)
    return folder / f"product{ENDINGS[name]}"


@pytest.mark.parametrize("mode", ["standard", "research", "expert"])
def test_all_formats_hold_the_same(tmp_path: Path, mode: str) -> None:
    files = [made(tmp_path / name, name, mode=mode) for name in FORMATS]
    digests = {content_digest(file) for file in files}
    told = {json.loads(Path(manifest_url(str(f))).read_text())["product"]["digest"] for f in files}
    assert digests == told
    assert len(digests) == 1


@every_format
def test_making_it_again_makes_the_same_bytes(tmp_path: Path, name: str) -> None:
    assert made(tmp_path / "a", name).read_bytes() == made(tmp_path / "b", name).read_bytes()


@every_format
def test_a_product_of_nothing_has_its_columns_in_every_format(tmp_path: Path, name: str) -> None:
    order = combining([], tmp_path / f"product{ENDINGS[name]}", format=name)
    product = combine(order)
    assert product.rows == 0
    assert content_digest(product.url) == product.digest
    netcdf = combine(combining([], tmp_path / "other.nc"))
    assert product.digest == netcdf.digest


@every_format
def test_a_changed_value_is_noticed_and_a_torn_file_is_told(tmp_path: Path, name: str) -> None:
    file = made(tmp_path / "a", name)
    warmer = [measuring(a_cast(), TEMP=Measured(values=TEMPERATURE + 0.001))]
    address, files = archive_of(tmp_path / "b" / "archive", warmer)
    product_of(address, files, tmp_path / "b", format=name)
    assert content_digest(file) != content_digest(tmp_path / "b" / file.name)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(StorageError, match="cannot be read as a product"):
        content_digest(file)


def test_a_file_of_no_known_ending_is_no_product(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(StorageError, match=r"x\.txt.*ends in \.nc, \.parquet"):
        content_digest(tmp_path / "x.txt")


@every_format
def test_the_manifest_tells_the_units_and_the_format(tmp_path: Path, name: str) -> None:
    said = json.loads(Path(manifest_url(str(made(tmp_path, name)))).read_text())
    assert said["product"]["format"] == name
    assert said["product"]["file"] == f"product{ENDINGS[name]}"
    assert said["variables"]["TEMP"]["units"] == "degree_Celsius"
    assert said["variables"]["TEMP_QC"]["flag_values"] == [0, 1, 2, 3, 4, 5, 8, 9]
    assert set(FORMATS[name].needs) <= set(said["software"])


class TestParquet:
    def test_pandas_reads_it_without_options(self, tmp_path: Path) -> None:
        table = pd.read_parquet(made(tmp_path, "parquet"))
        assert len(table) == 3 * LEVELS
        assert str(table["TIME"].dtype) == "datetime64[ns, UTC]"
        assert table["TIME"].iloc[0].isoformat().startswith("2018-06-13T02:57:46.66")
        assert table["TEMP"].dtype == np.float32
        assert table["TEMP"].isna().sum() == 4
        assert list(table["DIRECTION"].cat.categories) == ["A", "D"]
        assert table["PSAL"].isna().sum() == LEVELS

    def test_units_and_provenance_are_metadata(self, tmp_path: Path) -> None:
        schema = pq.read_schema(made(tmp_path, "parquet"))
        assert schema.field("TEMP").metadata[b"units"] == b"degree_Celsius"
        assert schema.field("TEMP").metadata[b"sdn_parameter_urn"] == b"SDN:R03::TEMP"
        assert schema.metadata[b"doi"] == b"10.17882/42182"
        (asked,) = json.loads(schema.metadata[b"slackwater_request"])
        assert asked["parameters"] == ["PSAL", "TEMP"]
        assert json.loads(schema.metadata[b"variables"])["PRES"]["units"] == "decibar"

    def test_columns_that_repeat_are_packed_by_dictionary(self, tmp_path: Path) -> None:
        group = pq.read_metadata(made(tmp_path, "parquet")).row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        packed = {one.path_in_schema for one in columns if "RLE_DICTIONARY" in one.encodings}
        assert {"PLATFORM_NUMBER", "DATA_MODE", "TEMP_QC", "LATITUDE"} <= packed
        assert "TEMP" not in packed

    def test_many_blocks_are_one_product(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("controller.apps.argo.formats.parquet.GROUP_ROWS_MAX", 7)
        monkeypatch.setattr("controller.apps.argo.formats.csv_gz.BLOCK_ROWS_MAX", 7)
        files = [made(tmp_path / name, name) for name in ("parquet", "csv", "netcdf")]
        assert pq.read_metadata(files[0]).num_row_groups == 5
        assert len({content_digest(file) for file in files}) == 1


class TestCsv:
    def test_pandas_reads_it_without_options(self, tmp_path: Path) -> None:
        table = pd.read_csv(made(tmp_path, "csv"))
        assert list(table.columns[:3]) == ["TIME", "LATITUDE", "LONGITUDE"]
        np.testing.assert_array_equal(table["TEMP"].head(LEVELS), TEMPERATURE)
        assert table["PSAL"].isna().sum() == LEVELS
        instants = pd.to_datetime(table["TIME"])
        assert str(instants.iloc[0]).startswith("2018-06-13 02:57:46.66")

    def test_it_is_the_same_as_parquet_once_it_is_read(self, tmp_path: Path) -> None:
        one = pd.read_csv(made(tmp_path / "csv", "csv"), parse_dates=["TIME"])
        other = pd.read_parquet(made(tmp_path / "parquet", "parquet"))
        assert list(one.columns) == list(other.columns)
        for name in one.columns:
            expected = other[name].astype(one[name].dtype)
            assert one[name].astype(other[name].dtype).astype(one[name].dtype).equals(expected)


class TestZarr:
    def test_xarray_opens_it_as_it_opens_netcdf(self, tmp_path: Path) -> None:
        path = made(tmp_path / "zarr", "zarr")
        with (
            zarr.storage.ZipStore(path, mode="r") as store,
            xr.open_zarr(store) as ours,
            xr.open_dataset(made(tmp_path / "netcdf", "netcdf")) as netcdf,
        ):
            xr.testing.assert_equal(ours.load(), netcdf.load())
            assert ours.attrs["doi"] == netcdf.attrs["doi"]
            assert ours["TEMP"].attrs["units"] == netcdf["TEMP"].attrs["units"]

    def test_a_path_will_do(self, tmp_path: Path) -> None:
        path = made(tmp_path, "zarr")
        with xr.open_dataset(f"zip::{path}", engine="zarr") as ours:
            assert ours.sizes["N_POINTS"] == 3 * LEVELS

    def test_the_tables_are_groups(self, tmp_path: Path) -> None:
        with zarr.storage.ZipStore(made(tmp_path, "zarr"), mode="r") as store:
            with xr.open_zarr(store, group="profiles") as profiles:
                assert profiles["row_size"].values.tolist() == [LEVELS] * 3
                assert profiles["source_file"].values[1].endswith("D6990001_002D.nc")
            with xr.open_zarr(store, group="profiles/left_out") as left_out:
                assert left_out.sizes["file"] == 0


class TestOption:
    def view(self, **options: str) -> View:
        pairs = tuple(sorted(options.items()))
        return View(dataset="10.17882/42182", application="argo", extent=Extent(), options=pairs)

    def argo(self) -> ArgoApplication:
        return ArgoApplication(
            dataset="10.17882/42182",
            archive=ArchiveAddress(url="/gdac"),
            fragments_url="/fragments",
            staging_url="/staging",
            catalogue=Catalogue.from_rows([]),
        )

    @pytest.mark.parametrize(("name", "ending"), ENDINGS.items())
    def test_it_names_the_file(self, name: str, ending: str) -> None:
        view, base = self.view(format=name), UpdateSpan(after=None, upto=0)
        order = self.argo().product_order(
            Selection(view=view, updates=base), (), "med-v1-to-u0", "med"
        )
        assert order.product_url == f"/staging/med-v1-to-u0{ending}"
        part = self.argo().part_order(view, view.extent, base, "stem")
        assert part.options == (), "the parts of a product are the same in every format"

    def test_an_unknown_format_is_refused_with_a_near_name(self) -> None:
        fault = r"option format is 'Parket'. Did you mean parquet\? Choose one of netcdf, parquet"
        with pytest.raises(InvalidSubscription, match=fault):
            self.argo().check_options((("format", "Parket"),))

    @pytest.mark.parametrize(
        ("name", "package"), [("parquet", "pyarrow"), ("csv", "pyarrow"), ("zarr", "zarr")]
    )
    def test_a_format_that_cannot_be_written_here_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, name: str, package: str
    ) -> None:
        modules: Mapping[str, Any] = {**sys.modules, package: None}
        monkeypatch.setattr(sys, "modules", modules)
        with pytest.raises(InvalidSubscription) as caught:
            self.argo().check_options((("format", name),))
        assert f"for which {package} is not installed" in str(caught.value)
        assert "pip install 'slackwater[formats]'" in str(caught.value)


@given(st.lists(st.floats(min_value=128, max_value=100_000)))
def test_instants_lose_nothing_on_their_way_through_nanoseconds(values: list[float]) -> None:
    time_d = np.array([*values, np.nan])
    np.testing.assert_array_equal(days(nanoseconds(time_d)), time_d)
    known = nanoseconds(time_d)[:-1].view("M8[ns]")
    expected = np.datetime64("1950-01-01", "ns") + np.rint(time_d[:-1]).astype("m8[D]")
    assert (np.abs(known - expected) <= np.timedelta64(12, "h")).all()


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}-v[0-9]-u[0-9]", fullmatch=True))
def test_a_file_name_gives_the_product_id_back(product_id: str) -> None:
    for ending in ENDINGS.values():
        url = f"file:///some.nc/{product_id}{ending}"
        assert (product_id_of(url), ending_of(url)) == (product_id, ending)
        assert manifest_url(url) == f"file:///some.nc/{product_id}.manifest.json"
    assert product_id_of(f"/a/{product_id}.tar") == product_id


@pytest.mark.shared_data
@pytest.mark.parametrize("kind", ["core", "bio", "synthetic"])
def test_the_real_files_are_the_same_in_every_format(tmp_path: Path, kind: str) -> None:
    address = ArchiveAddress(url=str(unpacked_subset(tmp_path / "gdac")))
    argo = ArgoApplication(
        dataset="10.17882/42182",
        archive=address,
        fragments_url=str(tmp_path / "fragments"),
        staging_url=str(tmp_path / "staging"),
        catalogue=Catalogue.load(open_archive(address)),
    )
    base = UpdateSpan(after=None, upto=0)
    view = TestOption().view(kind=kind, mode="expert")
    fragment = argo.extract(argo.part_order(view, view.extent, base, kind))
    order = argo.product_order(
        Selection(view=view, updates=base), (fragment,), f"{kind}-v1-to-u0", kind
    )
    stem = order.product_url.removesuffix(".nc")
    products = [
        argo.combine(
            replace(
                order,
                product_url=f"{stem}{ENDINGS[name]}",
                selections=(
                    Selection(
                        view=replace(view, options=(("format", name), *view.options)),
                        updates=base,
                    ),
                ),
            )
        )
        for name in FORMATS
    ]
    assert len({product.digest for product in products}) == 1
    assert {content_digest(product.url) for product in products} == {products[0].digest}
    assert products[0].rows > 20_000
    with netCDF4.Dataset(f"{stem}.nc") as dataset:
        for name, variable in dataset.variables.items():
            assert variable.dtype == dtype_of(name), name


def test_a_synthetic_product_has_its_data_modes_in_every_format(tmp_path: Path) -> None:
    oxygen = Measured(values=PRESSURE, adjusted=PRESSURE, data_mode="A")
    content = profile_file([measuring(a_cast(), DOXY=oxygen), a_cast(cycle=2)], synthetic=True)
    address = archive_with(tmp_path / "archive", {"s.nc": content})
    extent = Extent(parameters=("DOXY", "TEMP"))
    for name in FORMATS:
        product_of(address, listed(["s.nc"]), tmp_path, extent, format=name, mode="expert")
    table = pd.read_parquet(tmp_path / "product.parquet")
    assert table["DOXY_DATA_MODE"].head(LEVELS).tolist() == ["A"] * LEVELS
    assert table["TEMP_DATA_MODE"].tolist() == ["R"] * 2 * LEVELS
    assert len({content_digest(tmp_path / f"product{e}") for e in ENDINGS.values()}) == 1
