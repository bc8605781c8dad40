"""A dataset without an index: nobody is told where its load lies, but reading it can be timed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from partitioners.history import PLASTIC
from planner.density import Density
from planner.extent import Box, Extent, Period

START_S, END_S = 0.0, 3.0e8
EUROPE = Extent(
    box=Box(west=-30.0, south=30.0, east=40.0, north=80.0),
    period=Period(start_at=START_S, end_at=END_S),
)
RECORDS = 40_000


def _hidden() -> Density:
    """Return records that grow in number and crowd in the south-east."""
    number = np.arange(RECORDS, dtype=np.float64)
    along, across, up = (np.mod(0.5 + number / PLASTIC**power, 1.0) for power in (1, 2, 3))
    order = np.argsort(along)
    box = EUROPE.box
    return Density(
        time_s=END_S * along[order] ** 0.35,
        longitude=box.west + box.width_deg * across[order] ** 0.5,
        latitude=box.south + (box.north - box.south) * up[order] ** 2,
        files=np.ones(RECORDS),
        size_bytes=np.zeros(RECORDS),
    )


@dataclass(frozen=True)
class Unindexed:
    """Tells what reading an extent takes, and nothing else."""

    records: Density = field(default_factory=_hidden)
    record_s: float = 0.01

    def read_s(self, extent: Extent) -> float:
        return self.record_s * self.records.features(extent).files

    def imbalance(self, pieces: tuple[Extent, ...]) -> float:
        times_s = [self.read_s(piece) for piece in pieces]
        return max(times_s) * len(times_s) / sum(times_s)
