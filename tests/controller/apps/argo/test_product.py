"""What a product file is: layout, attributes, provenance, and that it is there whole or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from controller.apps.argo.combine import combine
from controller.apps.argo.orders import Superseded
from controller.apps.argo.product import content_digest
from controller.apps.storage import replacing
from controller.demo.profiles import Measured, profile_file
from controller.errors import StorageError
from controller.product_files import manifest_url
from planner.extent import Box, Extent, Period
from tests.argo_files import (
    DAY_D,
    LEVELS,
    PRESSURE,
    SALINITY,
    TEMPERATURE,
    a_cast,
    archive_of,
    archive_with,
    combining,
    extracted,
    in_delayed_mode,
    listed,
    measuring,
    product_of,
)

TROPICS = Extent(
    box=Box(west=170, south=-23, east=-170, north=36),
    period=Period(start_at=1.5e9),
    parameters=("PSAL", "TEMP"),
)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_mask(False)
        yield dataset


def letters(variable: Any) -> str:
    """Return a variable of single letters, which netCDF4 takes for one word."""
    return str(variable[...])


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product of three profiles of two files each side of the antimeridian."""
    east, west = a_cast(longitude=179.5), a_cast(longitude=-179.25, cycle=2, latitude=-10)
    address, files = archive_of(tmp_path / "archive", [east, in_delayed_mode(west)])
    product_of(address, files, tmp_path, TROPICS, qc_TEMP="1,2,3")
    return tmp_path / "product.nc"


def test_rows_are_points_under_the_names_of_argo(product: Path) -> None:
    with opened(product) as dataset:
        assert dataset.data_model == "NETCDF4"
        assert list(dataset.dimensions) == ["N_POINTS"]
        assert list(dataset.variables) == [
            *("TIME", "LATITUDE", "LONGITUDE", "PLATFORM_NUMBER", "CYCLE_NUMBER", "DIRECTION"),
            *("TIME_QC", "POSITION_QC", "DATA_MODE", "PRES", "PRES_QC", "PRES_ERROR"),
            *("PSAL", "PSAL_QC", "PSAL_ERROR", "TEMP", "TEMP_QC", "TEMP_ERROR"),
        ]
        np.testing.assert_allclose(dataset["TEMP"][:LEVELS], TEMPERATURE)
        np.testing.assert_allclose(dataset["PSAL"][LEVELS:], SALINITY + 0.5, rtol=1e-6)
        np.testing.assert_array_equal(dataset["TIME"][:], DAY_D)
        assert letters(dataset["DATA_MODE"]) == "R" * LEVELS + "D" * LEVELS
        assert dataset["TEMP_QC"].dtype == np.int32


def test_variables_say_what_they_are(product: Path) -> None:
    with opened(product) as dataset:
        temperature = dataset["TEMP"]
        assert temperature.standard_name == "sea_water_temperature"
        assert temperature.units == "degree_Celsius"
        assert temperature.coordinates == "TIME LATITUDE LONGITUDE"
        assert temperature.ancillary_variables == "TEMP_QC TEMP_ERROR"
        flags = dataset["TEMP_QC"]
        assert len(flags.flag_values) == len(flags.flag_meanings.split())
        for variable in dataset.variables.values():
            assert variable.long_name
            assert variable.filters()["complevel"] == 1
            assert (variable.dtype == "S1") == ("_Encoding" in variable.ncattrs())


def test_the_file_says_where_it_comes_from(product: Path) -> None:
    with opened(product) as dataset:
        assert dataset.Conventions == "CF-1.11, ACDD-1.3"
        assert dataset.featureType == "point"
        assert dataset.id == "mediterranean-v1-u7"
        assert dataset.doi == "10.17882/42182"
        assert dataset.references == "https://doi.org/10.17882/42182"
        assert "made freely available by the International Argo Program" in dataset.acknowledgement
        assert dataset.date_created == "2024-01-01T00:00:00Z"
        assert dataset.history.startswith("2024-01-01T00:00:00Z selected and merged by slackwater ")
        assert json.loads(dataset.slackwater_request) == [
            {
                "dataset": "10.17882/42182",
                "bbox": [170, -23, -170, 36],
                "datetime": "2017-07-14T02:40:00Z/..",
                "parameters": ["PSAL", "TEMP"],
                "options": {"qc_TEMP": "1,2,3"},
            }
        ]
        assert json.loads(dataset.slackwater_policy)["qc"]["TEMP"] == [1, 2, 3]


def test_bounds_cross_the_antimeridian_as_the_request_does(product: Path) -> None:
    with opened(product) as dataset:
        assert (dataset.geospatial_lon_min, dataset.geospatial_lon_max) == (179.5, -179.25)
        assert (dataset.geospatial_lat_min, dataset.geospatial_lat_max) == (-10, 35)
        assert dataset.time_coverage_start == dataset.time_coverage_end == "2018-06-13T12:00:00Z"
        assert (dataset.geospatial_vertical_min, dataset.geospatial_vertical_max) == (0, 90.5)


def test_a_table_tells_the_rows_and_the_file_of_each_profile(product: Path) -> None:
    with opened(product) as dataset:
        table = dataset["profiles"]
        assert table["row_size"][:].tolist() == [LEVELS, LEVELS]
        assert table["row_size"].sample_dimension == "N_POINTS"
        assert table["profile_id"].cf_role == "profile_id"
        assert table["profile_id"][:].tolist() == ["6990001_001_A_core_0", "6990001_002_A_core_0"]
        assert table["source_file"][1] == "coriolis/6990001/profiles/D6990001_002.nc"
        assert set(table["date_update"][:]) == {"20240101000000"}
        assert all(len(str(sha256)) == 64 for sha256 in table["sha256"][:])


def test_an_empty_product_opens_and_has_no_bounds(tmp_path: Path) -> None:
    combine(combining([], tmp_path / "product.nc"))
    with opened(tmp_path / "product.nc") as dataset:
        assert len(dataset.dimensions["N_POINTS"]) == 0
        assert len(dataset["profiles"].dimensions["profile"]) == 0
        assert "geospatial_lat_min" not in dataset.ncattrs()
        assert "date_created" not in dataset.ncattrs()


def test_biogeochemistry_has_a_data_mode_for_each_parameter(tmp_path: Path) -> None:
    oxygen = Measured(values=PRESSURE, adjusted=PRESSURE, data_mode="A")
    content = profile_file([measuring(a_cast(), DOXY=oxygen)], synthetic=True)
    address = archive_with(tmp_path / "archive", {"s.nc": content})
    product_of(address, listed(["s.nc"]), tmp_path, Extent(parameters=("DOXY", "TEMP")))
    with opened(tmp_path / "product.nc") as dataset:
        assert "DATA_MODE" not in dataset.variables
        assert letters(dataset["DOXY_DATA_MODE"]) == "A" * LEVELS
        assert letters(dataset["TEMP_DATA_MODE"]) == "R" * LEVELS
        assert dataset["DOXY"].standard_name == "moles_of_oxygen_per_unit_mass_in_sea_water"


def test_expert_mode_writes_both_versions(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [in_delayed_mode(a_cast())])
    product_of(address, files, tmp_path, mode="expert")
    with opened(tmp_path / "product.nc") as dataset:
        np.testing.assert_allclose(dataset["TEMP"][:], TEMPERATURE)
        np.testing.assert_allclose(dataset["TEMP_ADJUSTED"][:], TEMPERATURE + 0.5)
        assert dataset["TEMP_ADJUSTED"].units == dataset["TEMP_ADJUSTED_ERROR"].units
        assert "TEMP_ERROR" not in dataset.variables


def test_making_it_again_makes_the_same_bytes(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    fragment = extracted(address, files, tmp_path / "f.npz")
    first = combine(combining([fragment], tmp_path / "product.nc"))
    again = combine(combining([fragment], tmp_path / "product.nc"))
    assert first == again
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("archive", "f.npz"),
        *("product.nc", "product.manifest.json", "product-ro-crate-metadata.json"),
    }


def test_what_was_written_before_stands_until_the_new_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"before")

    def write_half() -> None:
        with replacing(str(place)) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert place.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_place_that_takes_no_product_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"product\.nc cannot be written"):
        combine(combining([], tmp_path / "file" / "product.nc"))


def test_what_is_no_product_has_no_content_digest(tmp_path: Path) -> None:
    (tmp_path / "x.nc").write_text("nothing of the kind")
    with pytest.raises(StorageError, match=r"x\.nc cannot be read as a product"):
        content_digest(tmp_path / "x.nc")


class TestManifest:
    def test_it_tells_all_that_the_product_is_made_of(self, tmp_path: Path) -> None:
        address, files = archive_of(
            tmp_path / "archive", [a_cast(), a_cast(cycle=2, direction="D")]
        )
        product = product_of(address, [*files, *listed(["x/gone.nc"])], tmp_path)
        said = json.loads(Path(manifest_url(product.url)).read_text())
        assert said["product"] == {
            "id": "mediterranean-v1-u7",
            "file": "product.nc",
            "rows": product.rows,
            "size_bytes": (tmp_path / "product.nc").stat().st_size,
            "sha256": product.sha256,
            "digest": product.digest,
            "format": "netcdf",
            "crate": "product-ro-crate-metadata.json",
        }
        assert said["subscription"] == "mediterranean"
        (selection,) = said["selections"]
        assert selection["dataset"] == "10.17882/42182"
        assert selection.pop("updates") == {"after": 6, "upto": 7}
        assert said["profiles"] == [[6990001, 1, "A", "core"], [6990001, 2, "D", "core"]]
        assert [source["rows"] for source in said["sources"]] == [LEVELS, LEVELS]
        assert [file["path"] for file in said["left_out"]] == ["x/gone.nc"]
        assert said["index_faults"] == ["line 12: no date"]
        assert set(said["software"]) == {"slackwater", "netCDF4", "numpy"}
        assert said["policy"]["mode"] == "standard"
        with opened(tmp_path / "product.nc") as dataset:
            assert said["selections"] == json.loads(dataset.slackwater_request)

    def test_a_correction_tells_what_it_supersedes(self, tmp_path: Path) -> None:
        address, files = archive_of(
            tmp_path / "archive", [in_delayed_mode(a_cast()), a_cast(cycle=2)]
        )
        former = Superseded(
            profile=(6990001, 1, "A", "core"),
            path="coriolis/6990001/profiles/R6990001_001.nc",
            date_update="20230101000000",
            data_mode="R",
        )
        unread = replace(former, profile=(6990001, 3, "A", "core"))
        gone = replace(former, profile=(6990001, 4, "A", "core"))
        fragment = extracted(address, files, tmp_path / "f.npz")
        order = replace(
            combining([fragment], tmp_path / "product.nc"),
            superseded=(former, unread),
            withdrawn=(gone,),
        )
        said = json.loads(Path(manifest_url(combine(order).url)).read_text())
        assert said["supersedes"] == [
            {
                "profile": [6990001, 1, "A", "core"],
                "path": "coriolis/6990001/profiles/R6990001_001.nc",
                "date_update": "20230101000000",
                "data_mode": "R",
            }
        ], "of what could not be read nothing is superseded"
        assert [one["profile"] for one in said["withdrawn"]] == [[6990001, 4, "A", "core"]]
        with opened(tmp_path / "product.nc") as dataset:
            table = dataset["profiles"]
            assert table["superseded_path"][:].tolist() == [former.path, ""]
            assert table["superseded_date_update"][:].tolist() == ["20230101000000", ""]

    def test_only_the_time_of_its_making_differs_when_it_is_made_again(
        self, tmp_path: Path
    ) -> None:
        address, files = archive_of(tmp_path / "archive", [a_cast()])
        manifests = []
        for parts in (1, 3):
            product = product_of(address, files, tmp_path, parts=parts)
            manifests.append(json.loads(Path(manifest_url(product.url)).read_text()))
            assert manifests[-1].pop("created").endswith("Z")
        assert manifests[0] == manifests[1]
