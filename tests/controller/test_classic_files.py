"""Files written by `controller.demo.classic` hold what netCDF's own library reads back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.demo.classic import Layout, Variable
from controller.demo.profiles import Cast, Measured, profile_file


def read(content: bytes) -> netCDF4.Dataset:
    # Files of a few hundred bytes are refused when they are given in memory.
    with tempfile.NamedTemporaryFile(suffix=".nc") as file:
        file.write(content)
        file.flush()
        dataset = netCDF4.Dataset(file.name)
    dataset.set_auto_mask(False)
    dataset.set_auto_chartostring(False)
    return dataset


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    dtypes=st.lists(st.sampled_from(["S1", ">i4", ">f4", ">f8"]), min_size=1, max_size=6),
    title=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout_is_read_back(
    sizes: list[int], dtypes: list[str], title: str, seed: int
) -> None:
    randomness = np.random.default_rng(seed)
    dimensions = {f"d{number}": size for number, size in enumerate(sizes)}
    variables = [
        Variable(
            name=f"variable{'x' * number}",
            dtype=dtype,
            dimensions=tuple(randomness.choice(list(dimensions), number % 3).tolist()),
            attributes={"units": title, "_FillValue": np.dtype(dtype).type(0)}
            if dtype != "S1"
            else {"_FillValue": " "},
            fill=" " if dtype == "S1" else 0.0,
        )
        for number, dtype in enumerate(dtypes)
    ]
    shapes = {v.name: tuple(dimensions[d] for d in v.dimensions) for v in variables}
    values = {
        v.name: randomness.integers(48, 58, shapes[v.name]).astype(np.uint8).view("S1")
        if v.dtype == "S1"
        else randomness.integers(-9, 9, shapes[v.name]).astype(v.dtype)
        for v in variables
    }
    with read(Layout(dimensions, {"title": title}, variables).file(values)) as dataset:
        assert dataset.data_model == "NETCDF3_CLASSIC"
        assert dataset.title == title
        assert {name: d.size for name, d in dataset.dimensions.items()} == dimensions
        assert list(dataset.variables) == [v.name for v in variables]
        for variable in variables:
            found = dataset[variable.name]
            assert found.dtype == np.dtype(variable.dtype).newbyteorder("=")
            assert found.shape == shapes[variable.name]
            np.testing.assert_array_equal(found[...], values[variable.name])


def test_what_is_not_given_is_filled() -> None:
    layout = Layout(
        {"n": 3},
        {},
        [
            Variable(name="depth", dtype=">f4", dimensions=("n",), fill=99999.0),
            Variable(name="flags", dtype="S1", dimensions=("n",)),
        ],
    )
    with read(layout.file({})) as dataset:
        assert dataset["depth"][:].tolist() == [99999.0] * 3
        assert dataset["flags"][:].tobytes() == b"   "
    with read(layout.file({"depth": np.float32(2)})) as dataset:
        assert dataset["depth"][:].tolist() == [2.0] * 3


def test_a_value_of_no_variable_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        Layout({}, {}, []).file({"depth": np.zeros(1)})


def test_a_profile_file_holds_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "D13857_007D.nc"
    cast = Cast(
        platform=13857,
        cycle=7,
        direction="D",
        time_d=21000.25,
        latitude=-1.5,
        longitude=-179.9,
        data_mode="D",
        measured={
            "PRES": Measured(values=[5.0, 10.0]),
            "TEMP": Measured(values=[20.0, np.nan], flags="14", adjusted=[20.5, np.nan]),
        },
    )
    path.write_bytes(profile_file([cast], padding="\0"))
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_mask(False)
        dataset.set_auto_chartostring(False)
        assert dataset["PLATFORM_NUMBER"][:].tobytes() == b"13857\0\0\0"
        assert dataset["TEMP"][:].tolist() == [[20.0, 99999.0]]
        assert dataset["TEMP_QC"][:].tobytes() == b"14"
        assert dataset["TEMP_ADJUSTED"][:].tolist() == [[20.5, 99999.0]]
        assert dataset["PRES_ADJUSTED"][:].tolist() == [[99999.0, 99999.0]]
        assert dataset["STATION_PARAMETERS"][:].tobytes().split() == [b"PRES", b"TEMP"]
        assert dataset["JULD"][0] == 21000.25
