"""Products as NetCDF-4: one row a measurement, under the names that argopy uses.

The points lie along ``N_POINTS`` at the top of the file, where argopy's accessor finds them. Each
table is a group of its own: a second dimension at the top breaks argopy's ``point2profile`` as soon
as there are more profiles than levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from controller.apps.argo.formats.content import Content, Table
from controller.apps.argo.points import POINTS, Column

FAULTS = (OSError, RuntimeError)
"""What the library raises for a file that it cannot read or write."""

COMPRESSION_LEVEL = 1
"""zlib: a tenth of the size for the time that writing it uncompressed would take."""


def write(path: Path, content: Content) -> None:
    """Write a product."""
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.setncatts(dict(content.attributes))
        dataset.createDimension(POINTS, content.points.rows)
        for name in content.points.names:
            column = content.points.column(name)
            variable = _variable(dataset, name, column.dtype, (POINTS,))
            variable.setncatts(content.points.attributes(name))
            variable[:] = column
        for name, table in content.tables.items():
            _write_table(dataset.createGroup(name), table)


def columns(path: Path) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a product's points."""
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        dataset.set_auto_chartostring(False)
        for name, variable in dataset.variables.items():
            if variable.dimensions == (POINTS,):
                yield name, variable[...]


def _write_table(group: Any, table: Table) -> None:
    group.comment = table.comment
    for name, column in table.columns.items():
        values = column.values
        if table.along not in group.dimensions:
            group.createDimension(table.along, len(values))
        if isinstance(values, np.ndarray):
            variable = _variable(group, name, values.dtype, (table.along,))
            variable[:] = values
        else:
            variable = _write_words(group, name, table.along, values)
        variable.setncatts(dict(column.attributes))


def _write_words(group: Any, name: str, along: str, words: Sequence[str]) -> Any:
    """Write texts as CF has them: letters along a dimension of their own."""
    encoded = np.array([word.encode() for word in words], np.bytes_)
    length = max(1, encoded.dtype.itemsize)
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
