"""Imbalance on the real index of the Mediterranean 1999-2007, the chapter's own request."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from partitioners.catalogue import BUILT_IN
from planner.density import Density
from planner.extent import Box, Extent, Period
from planner.model import UnitCosts

INDEX = Path(__file__).parents[3] / "shared" / "data" / "argo" / "global-index.csv.gz"
START, END = datetime(1999, 1, 1, tzinfo=UTC), datetime(2007, 1, 1, tzinfo=UTC)
REQUEST = Extent(
    box=Box(west=-6.0, south=30.0, east=36.5, north=46.0),
    period=Period(start_at=START.timestamp(), end_at=END.timestamp()),
)
PER_FILE = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not INDEX.exists(), reason="the real index is not beside this checkout"),
]


def rows() -> Iterator[tuple[float, float, float]]:
    """Yield time, longitude and latitude of the profiles of these years."""
    with gzip.open(INDEX, "rt", encoding="ascii") as index:
        lines = (line for line in index if not line.startswith("#"))
        for row in csv.DictReader(lines):
            if "1999" <= row["date"][:4] < "2007":
                at = datetime.strptime(row["date"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
                yield at.timestamp(), float(row["longitude"]), float(row["latitude"])


@pytest.fixture(scope="module")
def density() -> Density:
    time_s, longitude, latitude = np.array(sorted(rows())).T
    ones = np.ones(len(time_s))
    whole = Density(
        time_s=time_s, longitude=longitude, latitude=latitude, files=ones, size_bytes=0.0 * ones
    )
    return whole.within(REQUEST)


@pytest.mark.parametrize(
    ("name", "n", "imbalance"),
    [
        ("linear", 8, 3.21),
        ("linear", 16, 3.34),
        ("linear", 32, 3.46),
        ("logarithmic", 8, 2.11),
        ("logarithmic", 16, 2.30),
        ("logarithmic", 32, 2.33),
        ("balanced", 8, 1.00),
        ("balanced", 16, 1.00),
        ("balanced", 32, 1.01),
        ("calibrated", 8, 1.88),
        ("calibrated", 16, 2.17),
        ("calibrated", 32, 2.28),
        ("bisecting", 8, 1.00),
        ("bisecting", 16, 1.00),
        ("bisecting", 32, 1.01),
        ("bisecting", 128, 1.01),
    ],
)
def test_imbalance_is_as_measured(density: Density, name: str, n: int, imbalance: float) -> None:
    pieces = BUILT_IN[name].cut(REQUEST, density, PER_FILE, n)
    files = [density.features(piece).files for piece in pieces]
    assert len(density) == sum(files) == 5475
    assert max(files) * n / sum(files) == pytest.approx(imbalance, abs=0.01)
