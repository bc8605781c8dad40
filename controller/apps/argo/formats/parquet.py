"""Products as Parquet: one row a measurement, units and all else that is said as metadata.

The metadata of a column hold its attributes; those of the file hold the attributes of the product
and, for readers that show only these, those of all columns as JSON under ``variables``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from controller.apps.argo.formats import arrow
from controller.apps.argo.formats.content import Content
from controller.apps.argo.points import Column
from controller.apps.argo.vocabulary import plain

FAULTS = arrow.FAULTS

GROUP_ROWS_MAX = 2**20
"""Rows written at a time: a whole product need not be in memory twice."""


def write(path: Path, content: Content) -> None:
    """Write a product."""
    points = content.points
    of_columns = {name: plain(points.attributes(name)) for name in points.names}
    said = {**arrow.metadata(dict(content.attributes)), "variables": json.dumps(of_columns)}
    schema = arrow.schema_of(points).with_metadata(said)
    repeating = [name for name in points.names if points.repeats(name)]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating) as writer:
        for rows in points.blocks(GROUP_ROWS_MAX):
            writer.write_table(arrow.block(points, schema, rows))


def columns(path: Path) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a product's points."""
    with pq.ParquetFile(path) as file:
        for name in file.schema_arrow.names:
            yield from arrow.columns(file.read([name]))
