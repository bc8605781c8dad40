"""Products as CSV, packed by gzip: a line of names, then one line a measurement.

The names stand alone in the first line, so that any reader takes them without options. What is said
of the columns, their units too, is in the manifest under ``variables``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from controller.apps.argo.formats import arrow
from controller.apps.argo.formats.content import Content
from controller.apps.argo.points import Column, dtype_of

FAULTS = (*arrow.FAULTS, EOFError)

BLOCK_ROWS_MAX = 2**17
"""Rows put into words at a time: some 30 MB of text."""

PACKING_LEVEL = 4
"""gzip: packs the text by almost as much as its best level, in a third of the time."""

_PLAIN = csv.WriteOptions(include_header=False, quoting_style="none")


def write(path: Path, content: Content) -> None:
    """Write a product."""
    points = content.points
    schema = arrow.schema_of(points)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", PACKING_LEVEL, file, mtime=0) as packed,
    ):
        packed.write((",".join(points.names) + "\n").encode())
        for rows in points.blocks(BLOCK_ROWS_MAX):
            csv.write_csv(_in_words(arrow.block(points, schema, rows)), packed, _PLAIN)


def columns(path: Path) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a product's points."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        names = file.readline().rstrip("\n").split(",")
    types = {name: _type(name) for name in names}
    converting = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    yield from arrow.columns(csv.read_csv(path, convert_options=converting))


def _type(name: str) -> pa.DataType:
    dtype = dtype_of(name)
    if name == "TIME":
        return arrow.INSTANT
    return pa.string() if dtype.kind == "S" else pa.from_numpy_dtype(dtype)


def _in_words(block: pa.Table) -> pa.Table:
    """Return a block whose columns are such as CSV can hold: instants as ISO 8601 has them."""
    written = [_written(column) for column in block.columns]
    return pa.table(written, names=block.column_names)


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == arrow.INSTANT:
        instants = column.unique()
        words = np.datetime_as_string(instants.to_numpy(zero_copy_only=False), unit="ns")
        with_zone = pa.array(np.char.add(words, "Z"), mask=np.asarray(instants.is_null()))
        return with_zone.take(pc.index_in(column, instants))
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
