"""From fragments to one product: each profile once, whatever the cut, whatever was run again."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from controller.apps.argo.combine import combine
from controller.apps.argo.fragment import PROFILE, Harvest, LeftOut, Source
from controller.apps.argo.merge import merge
from controller.apps.argo.product import content_digest
from controller.demo.profiles import Cast, Measured, profile_file
from controller.errors import StorageError
from controller.product_files import manifest_url
from planner.extent import Extent
from tests.argo_files import (
    LEVELS,
    TEMPERATURE,
    a_cast,
    archive_of,
    archive_with,
    combining,
    extracted,
    in_delayed_mode,
    listed,
    measuring,
    path_of,
    product_of,
)


def some_casts() -> list[Cast]:
    """Return profiles of two floats, of all sorts, in no order."""
    dull = a_cast()
    return [
        replace(dull, platform=6990002, cycle=3),
        replace(dull, cycle=12),
        in_delayed_mode(replace(dull, cycle=2)),
        replace(dull, cycle=2, direction="D"),
        measuring(replace(dull, platform=6990002, cycle=1), PSAL=None),
        measuring(replace(dull, cycle=4), TEMP=Measured(values=TEMPERATURE, flags="4")),
        replace(dull, cycle=5, position_flag="4"),
    ]


def columns_of(product: Path) -> dict[str, NDArray[Any]]:
    with netCDF4.Dataset(product) as dataset:
        dataset.set_auto_mask(False)
        dataset.set_auto_chartostring(False)
        return {name: variable[...] for name, variable in dataset.variables.items()}


def manifest_of(product: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(Path(manifest_url(str(product))).read_text())
    return said


def test_rows_are_sorted_by_float_cycle_direction_and_level(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", some_casts())
    product = product_of(address, files, tmp_path)
    columns = columns_of(tmp_path / "product.nc")
    profiles = list(
        dict.fromkeys(
            zip(
                columns["PLATFORM_NUMBER"].tolist(),
                columns["CYCLE_NUMBER"].tolist(),
                columns["DIRECTION"].tolist(),
                strict=True,
            )
        )
    )
    assert profiles == [
        (6990001, 2, b"A"),
        (6990001, 2, b"D"),
        (6990001, 12, b"A"),
        (6990002, 1, b"A"),
        (6990002, 3, b"A"),
    ]
    assert product.rows == len(columns["PRES"]) == 5 * LEVELS
    assert (np.diff(columns["PRES"]).reshape(-1)[: LEVELS - 1] > 0).all()


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_the_content_does_not_depend_on_the_cut(tmp_path: Path, parts: int) -> None:
    address, files = archive_of(tmp_path / "archive", some_casts())
    whole = product_of(address, files, tmp_path / "whole")
    cut = product_of(address, files, tmp_path / "cut", parts=parts)
    assert cut.digest == whole.digest
    assert cut.sha256 == whole.sha256, "not even the bytes do"
    assert content_digest(tmp_path / "cut" / "product.nc") == whole.digest


def test_a_part_run_again_and_parts_that_overlap_double_nothing(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", some_casts())
    once = product_of(address, files, tmp_path / "once")
    fragments = [
        extracted(address, files[:4], tmp_path / "p1-a1.npz"),
        extracted(address, files[:4], tmp_path / "p1-a2.npz"),
        extracted(address, files[2:], tmp_path / "p2-a1.npz"),
    ]
    again = combine(combining(fragments, tmp_path / "again.nc"))
    assert (again.rows, again.digest, again.left_out) == (once.rows, once.digest, 0)
    sources = manifest_of(tmp_path / "again.nc")["sources"]
    assert sources == manifest_of(tmp_path / "once" / "product.nc")["sources"]


def test_several_profiles_of_one_name_in_a_file_are_all_kept(tmp_path: Path) -> None:
    content = profile_file([a_cast(), a_cast()])
    address = archive_with(tmp_path / "archive", {"x.nc": content})
    assert product_of(address, listed(["x.nc"]), tmp_path).rows == 2 * LEVELS


def test_of_two_versions_of_a_profile_the_newer_counts(tmp_path: Path) -> None:
    old, new = a_cast(), in_delayed_mode(a_cast())
    address, _ = archive_of(tmp_path / "archive", [old, new])
    files = [
        *listed([path_of(old)], "20230101000000"),
        *listed([path_of(new)], "20240101000000"),
    ]
    for order in (files, files[::-1]):
        product = product_of(address, order, tmp_path, parts=2)
        assert (product.rows, product.left_out) == (LEVELS, 1)
        columns = columns_of(tmp_path / "product.nc")
        np.testing.assert_allclose(columns["TEMP"], TEMPERATURE + 0.5)
        (left,) = manifest_of(tmp_path / "product.nc")["left_out"]
        assert left["path"] == path_of(old)
        assert "holds the same profiles" in left["reason"]


def test_of_two_versions_of_the_same_date_the_delayed_one_counts(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast(), in_delayed_mode(a_cast())])
    product_of(address, files, tmp_path)
    assert set(columns_of(tmp_path / "product.nc")["DATA_MODE"].tolist()) == {b"D"}


def test_a_newer_version_of_which_nothing_is_kept_still_supersedes(tmp_path: Path) -> None:
    bad = measuring(
        in_delayed_mode(a_cast()),
        TEMP=Measured(values=TEMPERATURE, adjusted=TEMPERATURE, adjusted_flags="4"),
    )
    address, files = archive_of(tmp_path / "archive", [a_cast(), bad])
    product = product_of(address, files, tmp_path)
    assert product.rows == 0
    assert manifest_of(tmp_path / "product.nc")["profiles"] == [[6990001, 1, "A", "core"]]


def test_core_and_synthetic_versions_of_a_profile_are_different_things(tmp_path: Path) -> None:
    address = archive_with(
        tmp_path / "archive",
        {"core.nc": profile_file([a_cast()]), "bgc.nc": profile_file([a_cast()], synthetic=True)},
    )
    product = product_of(address, listed(["core.nc", "bgc.nc"]), tmp_path)
    assert product.rows == 2 * LEVELS
    assert "TEMP_DATA_MODE" in columns_of(tmp_path / "product.nc")


def test_a_product_of_nothing_is_a_product(tmp_path: Path) -> None:
    address = archive_with(tmp_path / "archive", {})
    empty = product_of(address, [], tmp_path / "one")
    none = combine(combining([], tmp_path / "none.nc"))
    assert empty.rows == none.rows == 0
    assert empty.digest == none.digest == content_digest(tmp_path / "none.nc")
    assert {"PSAL", "TEMP_QC", "DATA_MODE"} <= set(columns_of(tmp_path / "none.nc"))


def test_all_parameters_are_those_that_any_part_has(tmp_path: Path) -> None:
    oxygen = measuring(
        a_cast(cycle=2), DOXY=Measured(values=TEMPERATURE, adjusted=TEMPERATURE, data_mode="A")
    )
    address = archive_with(
        tmp_path / "archive",
        {
            "a.nc": profile_file([measuring(a_cast(), PSAL=None)], synthetic=True),
            "b.nc": profile_file([oxygen], synthetic=True),
        },
    )
    product_of(address, listed(["a.nc", "b.nc"]), tmp_path, Extent(), parts=2)
    columns = columns_of(tmp_path / "product.nc")
    assert {"PRES", "TEMP", "PSAL", "DOXY", "DOXY_DATA_MODE"} <= set(columns)
    assert np.isnan(columns["DOXY"][:LEVELS]).all()
    assert columns["DOXY_QC"].tolist() == [9] * LEVELS + [1] * LEVELS
    assert columns["DOXY_DATA_MODE"].tolist() == [b" "] * LEVELS + [b"A"] * LEVELS


def test_left_out_files_are_counted_once_and_told_in_product_and_manifest(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    lost = listed(["x/missing.nc"])
    fragments = [
        extracted(address, [*files, *lost], tmp_path / "p1.npz"),
        extracted(address, [*lost, *files], tmp_path / "p2.npz"),
    ]
    product = combine(combining(fragments, tmp_path / "product.nc"))
    assert (product.rows, product.left_out) == (LEVELS, 1)
    (left,) = manifest_of(tmp_path / "product.nc")["left_out"]
    assert left["path"] == "x/missing.nc"
    with netCDF4.Dataset(tmp_path / "product.nc") as dataset:
        assert dataset["profiles/left_out/path"][:].tolist() == ["x/missing.nc"]
        assert "has no x/missing.nc" in str(dataset["profiles/left_out/reason"][0])


def test_a_missing_fragment_names_itself(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    fragment = extracted(address, files, tmp_path / "f.npz")
    (tmp_path / "f.npz").unlink()
    with pytest.raises(StorageError, match=r"f\.npz is not there"):
        combine(combining([fragment], tmp_path / "product.nc"))
    assert not (tmp_path / "product.nc").exists()


def test_the_content_notices_a_changed_value(tmp_path: Path) -> None:
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    before = product_of(address, files, tmp_path).digest
    with netCDF4.Dataset(tmp_path / "product.nc", "a") as dataset:
        dataset.history = "something else entirely"
    assert content_digest(tmp_path / "product.nc") == before
    with netCDF4.Dataset(tmp_path / "product.nc", "a") as dataset:
        dataset["TEMP"][3] = 11.25
    assert content_digest(tmp_path / "product.nc") != before


def test_files_damaged_at_random_never_break_a_part(tmp_path: Path) -> None:
    chance = random.Random(7)
    content = profile_file([in_delayed_mode(a_cast()), a_cast(cycle=2)])
    files = {}
    for number in range(300):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 20, 400))):
            damaged[chance.randrange(16, len(content))] = chance.randrange(256)
        files[f"{number:03d}.nc"] = bytes(damaged)
    address = archive_with(tmp_path / "archive", files)
    product = product_of(address, listed(files), tmp_path, parts=2)
    assert content_digest(tmp_path / "product.nc") == product.digest
    said = manifest_of(tmp_path / "product.nc")
    assert len(said["sources"]) + len(said["left_out"]) == len(files)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_way_to_share_files_out_merges_to_the_same(data: st.DataObject) -> None:
    """Versions, repeats and left-out files included."""
    count = data.draw(st.integers(1, 8))
    versions = [
        _one_file(
            cycle=data.draw(st.integers(1, 3)),
            date_update=f"2024010{data.draw(st.integers(1, 3))}000000",
            delayed=data.draw(st.booleans()),
            number=number,
        )
        for number in range(count)
    ]
    shares = data.draw(st.lists(st.integers(0, count - 1), max_size=12))
    repeated = [*versions, *(versions[number] for number in shares)]
    shuffled = data.draw(st.permutations(repeated))
    first = merge(versions, ["PRES"], both_versions=False)
    other = merge(shuffled, ["PRES"], both_versions=False)
    np.testing.assert_array_equal(first.profiles, other.profiles)
    np.testing.assert_array_equal(first.columns["PRES"], other.columns["PRES"])
    assert first.sources == other.sources
    assert first.left_out == other.left_out
    assert len(np.unique(first.profiles["cycle"])) == len(first.profiles)
    assert sum(source.rows for source in first.sources) == first.rows == len(first.columns["PRES"])
    assert len(first.sources) + len(first.left_out) == count


def _one_file(*, cycle: int, date_update: str, delayed: bool, number: int) -> Harvest:
    """Return the harvest of one file of one profile, its rows all saying its number."""
    profile = (6990001, cycle, b"A", b"core", 0, 0.0, 1, 0.0, 0.0, 1, 0, number)
    letter = "D" if delayed else "R"
    path = f"{number}/{letter}6990001_{cycle:03d}.nc"
    return Harvest(
        profiles=np.array([profile], PROFILE),
        modes={"PRES": np.array([letter], "S1")},
        columns={"PRES": np.full(number, number, np.float32)},
        sources=(
            Source(
                path=path,
                read_path=path,
                date_update=date_update,
                sha256=f"{number:064x}",
                rows=number,
            ),
        ),
        left_out=(),
    )


def test_a_file_read_by_one_part_is_not_left_out_by_another() -> None:
    read = _one_file(cycle=1, date_update="20240101000000", delayed=False, number=3)
    left = LeftOut(path=read.sources[0].path, date_update="20240101000000", reason="busy")
    unread = replace(merge([], ["PRES"], both_versions=False), left_out=(left,))
    assert merge([unread, read], ["PRES"], both_versions=False).left_out == ()
