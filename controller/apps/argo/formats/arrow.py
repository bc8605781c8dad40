"""The points as tables of Arrow, which Parquet and CSV are written from and read back into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from controller.apps.argo.points import Column, Points, days, dtype_of, nanoseconds
from controller.apps.argo.vocabulary import plain

INSTANT = pa.timestamp("ns", tz="UTC")

FAULTS = (OSError, ValueError, KeyError)
"""What the library raises for a file that it cannot read or write; its own errors are such too."""


def schema_of(points: Points) -> pa.Schema:
    """Return the columns, and what is said of each as its metadata."""
    return pa.schema(
        [
            pa.field(name, _type(name), metadata=metadata(points.attributes(name)))
            for name in points.names
        ]
    )


def metadata(attributes: dict[str, object]) -> dict[str, str]:
    """Return attributes as texts; what is no text becomes JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in plain(attributes).items()
    }


def block(points: Points, schema: pa.Schema, rows: slice) -> pa.Table:
    """Return some rows; what is missing is null."""
    arrays = [_array(points.column(field.name, rows), field) for field in schema]
    return pa.table(arrays, schema=schema)


def columns(table: pa.Table) -> Iterator[tuple[str, Column]]:
    """Yield the columns as they were before they became those of Arrow."""
    for name in table.column_names:
        yield name, _column(name, table[name])


def _type(name: str) -> pa.DataType:
    dtype = dtype_of(name)
    if name == "TIME":
        return INSTANT
    if dtype.kind == "S":
        return pa.dictionary(pa.int8(), pa.string())
    return pa.int8() if name.endswith("_QC") else pa.from_numpy_dtype(dtype)


def _array(column: Column, field: pa.Field) -> pa.Array:
    if field.type == INSTANT:
        # The least number is no instant for NumPy, and so null for Arrow.
        return pa.array(nanoseconds(column).view("M8[ns]")).cast(INSTANT)
    if column.dtype.kind == "S":
        words = np.char.decode(column, "ascii")
        return pa.array(words, mask=words == " ").dictionary_encode().cast(field.type)
    if column.dtype.kind == "f":
        return pa.array(column, mask=np.isnan(column))
    return pa.array(column).cast(field.type)


def _column(name: str, chunks: Any) -> Column:
    dtype = dtype_of(name)
    if name == "TIME":
        unknown = np.iinfo(np.int64).min
        return days(chunks.cast(pa.int64()).fill_null(unknown).to_numpy())
    if dtype.kind == "S":
        words: Column = chunks.cast(pa.string()).fill_null(" ").to_numpy()
        return words.astype(dtype)
    numbers = chunks.cast(pa.from_numpy_dtype(dtype))
    column: Column = numbers.fill_null(float("nan") if dtype.kind == "f" else 0).to_numpy()
    return column
