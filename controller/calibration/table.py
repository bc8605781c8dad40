"""The chapter's Table 1 on one's own archive: what goes with the time that a request takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.apps.argo.rows import Kind
from controller.calibration.measuring import Sample
from controller.calibration.requests import Design
from controller.calibration.statistics import Correlation, pearson, spearman

TRAITS: Mapping[str, Callable[[Sample], float]] = {
    "time coverage": lambda sample: sample.request.coverage_d,
    "end date": lambda sample: sample.request.end_at,
    "area": lambda sample: sample.request.extent.box.area_km2,
    "parameters": lambda sample: len(sample.request.extent.parameters),
    "matched files": lambda sample: sample.request.features.files,
    "bytes": lambda sample: sample.size_bytes,
}
"""What execution time is compared with; the first four are the chapter's."""

CHAPTER: Mapping[str, float | None] = {
    "time coverage": 0.93,
    "end date": 0.65,
    "area": None,
    "parameters": None,
}
"""Table 1 of the chapter; of area and number of parameters its text says only that they "do not
indicate any particular strong relationship"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trait, and how execution time goes with it; None where it does not vary."""

    trait: str
    pearson: Correlation | None
    spearman: Correlation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The correlations within one design and kind of files.

    Parameters
    ----------
    design : Design
    kind : Kind
    requests : int
    rows : tuple of Row
        One for each of `TRAITS`.
    """

    design: Design
    kind: Kind
    requests: int
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What the table is of, in words."""
        what = "windows of one area" if self.design is Design.AREA else "random boxes"
        return f"{self.requests} {what}, {self.kind} files"


def tables(samples: Sequence[Sample], seed: int) -> list[Table]:
    """Return a table for each design and kind, that of the one area first."""
    groups: dict[tuple[Design, Kind], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.request.design, sample.request.kind), []).append(sample)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0] is not Design.AREA, *group[0]))
    return [_table(design, kind, inside, seed) for (design, kind), inside in ordered]


def _table(design: Design, kind: Kind, samples: Sequence[Sample], seed: int) -> Table:
    run_s = np.array([sample.run_s for sample in samples])
    rows = []
    for trait, of in TRAITS.items():
        values = np.array([of(sample) for sample in samples], np.float64)
        rows.append(
            Row(trait=trait, pearson=pearson(values, run_s), spearman=spearman(values, run_s, seed))
        )
    return Table(design=design, kind=kind, requests=len(samples), rows=tuple(rows))
