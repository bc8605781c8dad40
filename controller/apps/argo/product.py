"""Writes one product: NetCDF-4, one row a measurement, under the names that argopy uses.

The rows lie along ``N_POINTS`` at the top of the file, where ``xarray.open_dataset(engine="argo")``
and argopy's accessor find them. The files they come from are listed by profile in the group
``profiles``: at the top, a second dimension breaks argopy's ``point2profile`` as soon as there are
more profiles than levels.

Nothing in a product tells when or how often it was made, so the same input makes the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.derived.account import derived_attributes
from controller.apps.argo.fragment import Harvest, ProfileTable
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.apps.argo.vocabulary import COORDINATES, attributes_of
from controller.apps.storage import replacing
from controller.errors import StorageError

POINTS = "N_POINTS"
COMPRESSION_LEVEL = 1
"""zlib: a tenth of the size for the time that writing it uncompressed would take."""

_OF_PROFILE = {
    "TIME": "time_d",
    "LATITUDE": "latitude",
    "LONGITUDE": "longitude",
    "PLATFORM_NUMBER": "platform",
    "CYCLE_NUMBER": "cycle",
    "DIRECTION": "direction",
    "TIME_QC": "time_flag",
    "POSITION_QC": "position_flag",
}
"""The variables that are the same for all rows of a profile, and their fields of `PROFILE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A product file as it was written; `digest` is that of `content_digest`."""

    size_bytes: int
    sha256: str
    digest: str


def write_product(url: str, harvest: Harvest, attributes: Mapping[str, object]) -> Written:
    """Write a merged harvest as one product, there whole or not at all.

    Parameters
    ----------
    url : str
        fsspec URL of the file.
    harvest : Harvest
        Sorted, each profile once (see `merge`).
    attributes : mapping
        Global attributes (see `provenance`).

    Raises
    ------
    StorageError
        The product cannot be written.
    """
    with TemporaryDirectory(prefix="slackwater-") as folder:
        local = Path(folder) / "product.nc"
        digest = _write(local, url, harvest, attributes)
        with local.open("rb") as made:
            sha256 = hashlib.file_digest(made, "sha256").hexdigest()
            made.seek(0)
            with replacing(url) as file:
                shutil.copyfileobj(made, file, 2**20)
        return Written(size_bytes=local.stat().st_size, sha256=sha256, digest=digest)


def content_digest(path: str | Path) -> str:
    """Return the canonical digest of what a product holds, from its file alone.

    It covers the rows in their order, every column by name, type and values; not the attributes,
    the profile table, compression or layout. Equal requests of equal files have equal digests,
    however they were cut and whoever made them.

    Raises
    ------
    StorageError
        The file is no product.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_maskandscale(False)
            dataset.set_auto_chartostring(False)
            return _digest(
                {
                    name: _column_digest(variable[...])
                    for name, variable in dataset.variables.items()
                    if variable.dimensions == (POINTS,)
                }
            )
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{path} cannot be read as a product: {error}", retry=False) from error


def _write(local: Path, url: str, harvest: Harvest, attributes: Mapping[str, object]) -> str:
    try:
        with netCDF4.Dataset(local, "w") as dataset:
            dataset.setncatts(dict(attributes))
            dataset.createDimension(POINTS, harvest.rows)
            digests = {}
            for name, column in _point_columns(harvest):
                _write_points(dataset, name, column, harvest)
                digests[name] = _column_digest(column)
            _write_profiles(dataset.createGroup("profiles"), harvest)
            _write_left_out(dataset.createGroup("left_out"), harvest)
    except (OSError, RuntimeError) as error:
        raise StorageError(f"product {url} cannot be made on local disk: {error}") from error
    return _digest(digests)


def _point_columns(harvest: Harvest) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the variables of the points, one at a time: a big product's do not fit memory twice."""
    profiles = harvest.profiles
    sizes = profiles["rows"]
    for name, field in _OF_PROFILE.items():
        yield name, np.repeat(_plain(name, profiles[field]), sizes)
    for name, modes in _data_modes(harvest).items():
        yield name, np.repeat(np.where(modes == b"", b" ", modes), sizes)
    for name, column in harvest.columns.items():
        yield name, _plain(name, column)


def _plain(name: str, column: NDArray[Any]) -> NDArray[Any]:
    # argopy's point2profile overflows on flags of one byte.
    return column.astype(np.int32) if name.endswith("_QC") else column


def _data_modes(harvest: Harvest) -> dict[str, NDArray[Any]]:
    """Return the data mode of the profile where that says all, else that of each parameter."""
    only_core_files = bool(np.all(harvest.profiles["kind"] == Kind.CORE.encode()))
    if only_core_files and set(harvest.measured) <= set(CORE_PARAMETERS):
        return {"DATA_MODE": harvest.modes["PRES"]}
    return {f"{name}_DATA_MODE": modes for name, modes in harvest.modes.items()}


def _write_points(dataset: Any, name: str, column: NDArray[Any], harvest: Harvest) -> None:
    variable = _variable(dataset, name, column.dtype, (POINTS,))
    variable.setncatts(derived_attributes(harvest).get(name) or attributes_of(name))
    if name not in COORDINATES:
        variable.coordinates = " ".join(COORDINATES)
    about = [f"{name}{suffix}" for suffix in ("_QC", "_ERROR")]
    about = [other for other in about if other in harvest.columns]
    if about:
        variable.ancillary_variables = " ".join(about)
    variable[:] = column


def _write_profiles(group: Any, harvest: Harvest) -> None:
    """Write one line a profile: what it is, where its rows are and which file they come from."""
    profiles = harvest.profiles
    group.comment = "The rows of each profile follow each other along N_POINTS, in this order."
    _write_words(group, "profile_id", "profile", _profile_ids(profiles)).cf_role = "profile_id"
    sizes = _variable(group, "row_size", np.dtype(np.int32), ("profile",))
    sizes.long_name = "Number of rows of the profile"
    sizes.sample_dimension = POINTS
    sizes[:] = profiles["rows"]
    for name in ("platform", "cycle"):
        _variable(group, name, profiles[name].dtype, ("profile",))[:] = profiles[name]
    for name in ("direction", "kind"):
        _write_words(group, name, "profile", [word.decode() for word in profiles[name].tolist()])
    sources = [harvest.sources[number] for number in profiles["source"].tolist()]
    for name, field in {
        "dataset": "dataset",
        "source_file": "read_path",
        "date_update": "date_update",
        "sha256": "sha256",
    }.items():
        _write_words(group, name, "profile", [getattr(source, field) for source in sources])


def _write_left_out(group: Any, harvest: Harvest) -> None:
    group.comment = "Files that the product should have been made of too, and why it was not."
    for name in ("path", "date_update", "reason"):
        _write_words(group, name, "file", [getattr(file, name) for file in harvest.left_out])


def _profile_ids(profiles: ProfileTable) -> list[str]:
    fields = ("platform", "cycle", "direction", "kind", "place")
    return [
        f"{platform}_{cycle:03d}_{direction.decode()}_{kind.decode()}_{place}"
        for platform, cycle, direction, kind, place in profiles[list(fields)].tolist()
    ]


def _write_words(group: Any, name: str, along: str, words: list[str]) -> Any:
    """Write texts as CF has them: letters along a dimension of their own."""
    encoded = np.array([word.encode() for word in words], np.bytes_)
    length = max(1, encoded.dtype.itemsize)
    if along not in group.dimensions:
        group.createDimension(along, len(words))
    group.createDimension(f"{name}_length", length)
    letters = encoded.astype(f"S{length}").view("S1").reshape(len(words), length)
    variable = _variable(group, name, letters.dtype, (along, f"{name}_length"))
    variable[:] = letters
    return variable


def _variable(group: Any, name: str, dtype: np.dtype[Any], dimensions: tuple[str, ...]) -> Any:
    fill = np.nan if dtype.kind == "f" else None
    variable = group.createVariable(
        name, dtype, dimensions, zlib=True, complevel=COMPRESSION_LEVEL, fill_value=fill
    )
    if dtype.kind == "S":
        # Without it argopy takes letters for bytes; with it netCDF4 would encode them itself.
        variable.setncattr("_Encoding", "utf-8")
        variable.set_auto_chartostring(False)
    return variable


def _column_digest(column: NDArray[Any]) -> str:
    if column.dtype.kind == "f":
        column = np.where(np.isnan(column), np.array(np.nan, column.dtype), column)
    plain = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    return f"{plain.dtype.str} {len(plain)} {hashlib.sha256(plain.data).hexdigest()}"


def _digest(columns: Mapping[str, str]) -> str:
    lines = (f"{name} {columns[name]}\n" for name in sorted(columns))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
