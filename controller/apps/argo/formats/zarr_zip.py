"""Products as Zarr, in one file: a store of version 2 in a zip file.

It is laid out as the NetCDF file is: the points at the top, each table a group of its own. The zip
file packs nothing, the store has done so; its names are sorted and it tells no time of making.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numcodecs import Zstd
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore, ZipStore

from controller.apps.argo.formats.content import Content, Table
from controller.apps.argo.points import POINTS, Column
from controller.apps.argo.vocabulary import plain

FAULTS = (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile)
"""What the library raises for a file that it cannot read or write."""

VERSION: Literal[2] = 2
"""Of the store: every reader of Zarr knows it, and single letters have a type in it."""

CHUNK_ROWS_MAX = 2**20
"""Rows in a chunk: a few MB, so that a store far away is read in few requests."""

_LEVEL = 1
_DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Where xarray looks for the names of dimensions."""


def write(path: Path, content: Content) -> None:
    """Write a product."""
    parts: dict[str, Buffer] = {}
    store = MemoryStore(parts)
    root = zarr.create_group(store, zarr_format=VERSION, attributes=plain(content.attributes))
    for name in content.points.names:
        said = content.points.attributes(name)
        _write_column(root, name, POINTS, content.points.column(name), said)
    for name, table in content.tables.items():
        group = root.create_group(name, attributes={"comment": table.comment})
        _write_table(group, table)
    zarr.consolidate_metadata(store)
    _pack(path, parts)


def columns(path: Path) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a product's points."""
    zipfile.ZipFile(path).close()  # a store that is no zip file fails in its own way, twice
    with ZipStore(path, mode="r") as store:
        for name, array in zarr.open_group(store, mode="r").arrays():
            yield name, np.asarray(array[...])


def _write_table(group: Any, table: Table) -> None:
    for name, column in table.columns.items():
        values = column.values
        if not isinstance(values, np.ndarray):
            values = np.array([word.encode() for word in values], np.bytes_)
            # Single letters would be put together to a word by xarray, as those of NetCDF are.
            values = values.astype(f"S{max(2, values.dtype.itemsize)}")
        _write_column(group, name, table.along, values, column.attributes)


def _write_column(
    group: Any, name: str, along: str, values: Column, said: Mapping[str, object]
) -> None:
    letters = {"_Encoding": "utf-8"} if values.dtype.kind == "S" else {}
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(min(max(1, len(values)), CHUNK_ROWS_MAX),),
        dtype=values.dtype,
        compressors=Zstd(level=_LEVEL),
        fill_value=float("nan") if values.dtype.kind == "f" else None,
        attributes={_DIMENSIONS: [along], **letters, **plain(said)},
    )
    array[...] = values


def _pack(path: Path, parts: Mapping[str, Buffer]) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name in sorted(parts):
            # A ZipInfo of its own is of the year 1980: the file must not tell when it was made.
            packed.writestr(zipfile.ZipInfo(name), parts[name].to_bytes())
