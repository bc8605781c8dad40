"""Tables of runs as files: CSV, Parquet or JSON, as the name ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import get_type_hints

from controller.apps.storage import replacing
from controller.cli.pages import write
from sim.page import json_text
from sim.rows import COLUMNS, Row

ENDINGS = (".csv", ".parquet", ".json")


def fault_of(file: Path | None) -> str:
    """Return why no table can be written to a file of this name; empty where one can."""
    if file is None:
        return ""
    if file.suffix.lower() not in ENDINGS:
        return f"--out: {file.name!r} ends in none of {', '.join(ENDINGS)}"
    if file.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        return (
            "--out: Parquet needs pyarrow, which is not installed."
            " Install slackwater[formats], or name a .csv"
        )
    return ""


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write the table of runs, there whole or not at all.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    match file.suffix.lower():
        case ".csv":
            write(file, _csv(rows))
        case ".json":
            write(file, json_text([asdict(row) for row in rows], indent=1) + "\n")
        case ".parquet":
            _write_parquet(file, rows)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(map(asdict, rows))
    return text.getvalue()


def _write_parquet(file: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
    from pyarrow import parquet  # noqa: PLC0415

    kinds = {str: pa.string(), int: pa.int64()}
    hints = get_type_hints(Row)
    shape = pa.schema([(name, kinds.get(hints[name], pa.float64())) for name in COLUMNS])
    with replacing(str(file)) as out:
        parquet.write_table(pa.Table.from_pylist([asdict(row) for row in rows], shape), out)
