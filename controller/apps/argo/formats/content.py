"""What is written into the file of a product: its points, its tables and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from controller.apps.argo.points import Points


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One column of a table: numbers or texts, and what is said of them."""

    values: NDArray[Any] | Sequence[str]
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table beside the points.

    Parameters
    ----------
    along : str
        What one of its lines is: the name of its dimension.
    comment : str
    columns : mapping of str to TableColumn
    """

    along: str
    comment: str
    columns: Mapping[str, TableColumn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All of a product's file.

    Parameters
    ----------
    points : Points
    attributes : mapping
        Of the product as a whole (see `provenance`).
    tables : mapping of str to Table
        By name.
    """

    points: Points
    attributes: Mapping[str, object]
    tables: Mapping[str, Table]
