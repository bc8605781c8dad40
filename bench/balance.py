"""How even the parts of each strategy are: in predicted cost, and in the cost of really reading.

Wants the real data beside the project (``../shared/data/argo``); without them there is nothing to
measure. First the CPU time of reading every core profile of the real subset is measured, file by
file. Then two archives are cut:

- the subset itself, whose parts cost what their files took;
- the global index of 2.9 million profiles, whose files are not here. Each float is given, for each
  decade, the time of one file that was measured of the same centre and decade (of the same centre,
  or of any, where there is none). So costs differ from float to float as they really do, and not
  from file to file, which would even out in every cut.

``python -m bench.balance`` prints the whole table.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.index import MEDITERRANEAN
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue, profile_indexes
from controller.apps.argo.extract import extract
from controller.apps.argo.load_map import load_map
from controller.apps.argo.orders import ArchiveAddress, ExtractOrder, SourceFile
from controller.apps.argo.rows import CORE_PARAMETERS, TICKS_PER_DEGREE, Kind, Rows, float_keys
from partitioners.catalogue import BUILT_IN
from partitioners.comparison import Times, dispatched
from planner.density import Density
from planner.durations import DEFAULT_COSTS
from planner.extent import GLOBE, Box, Extent, Floats, Period

DATA = Path(__file__).parents[2] / "shared" / "data" / "argo"
INDEX = "global-index.csv.gz"
WORKERS = (8, 16, 32)
PER_WORKER = (1, 4)
COPIES, REPEATS = 3, 3
"""A file is read so many times in one extraction, and the quickest of so many extractions counts:
what starts and ends an extraction must not weigh, nor what else the machine does."""

FILES_MIN = 4
"""Cuts with fewer files a part are printed but not judged: whole files cannot be shared evenly."""

DECADE_S = 10 * 365.25 * 86400.0
BOXES = {"mediterranean": MEDITERRANEAN, "globe": GLOBE}
NEW, OLD = ("balanced", "bisecting"), ("linear", "logarithmic")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """Profiles of an archive, each with what reading it takes.

    Parameters
    ----------
    name : str
    rows : Rows
    cost_s : array of shape (n,)
        CPU time [s].
    """

    name: str
    rows: Rows
    cost_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One strategy's cut of one request."""

    archive: str
    request: str
    files: int
    workers: int
    per_worker: int
    strategy: str
    predicted: Times
    measured: Times

    @property
    def parts(self) -> int:
        return self.workers * self.per_worker

    @property
    def question(self) -> tuple[str, str, int, int]:
        return self.archive, self.request, self.workers, self.per_worker

    def times(self, told: str) -> Times:
        return self.predicted if told == "predicted" else self.measured

    def to_ideal(self, times: Times) -> float:
        """Return the makespan over that of work which could be divided at will."""
        return times.makespan_s(self.workers) / times.ideal_s(self.workers)


def measure() -> dict[str, float]:
    """Return the worst of each figure over all requests; empty where the real data are absent."""
    if not DATA.exists():
        return {}
    rows = [row for row in compared() if row.files >= FILES_MIN * row.parts]
    found = {}
    for archive, name in product(("subset", "index"), BUILT_IN):
        own = [row for row in rows if (row.archive, row.strategy) == (archive, name)]
        for told in ("predicted", "measured"):
            worst = max(row.times(told).imbalance for row in own)
            found[f"balance_{archive}_{told}_max_to_mean_{name}"] = worst
    for archive, name, told in product(("subset", "index"), NEW, ("predicted", "measured")):
        for per_worker in PER_WORKER:
            found[f"makespan_{archive}_{told}_{per_worker}_a_worker_{name}_to_better_of_old"] = max(
                _to_better_of_old(row, rows, told)
                for row in rows
                if (row.archive, row.per_worker, row.strategy) == (archive, per_worker, name)
            )
    return found


def _to_better_of_old(row: Row, rows: Sequence[Row], told: str) -> float:
    """Return a makespan over the shorter of those of `linear` and `logarithmic`."""
    shortest_s = min(
        other.times(told).makespan_s(other.workers)
        for other in rows
        if other.strategy in OLD and other.question == row.question
    )
    return row.times(told).makespan_s(row.workers) / shortest_s


def compared() -> Iterator[Row]:
    """Yield every strategy's cut of every request."""
    with tempfile.TemporaryDirectory(prefix="slackwater-bench-") as folder:
        subset, base_s = measured_subset(Path(folder))
    for archive in (subset, _whole_index(subset)):
        for request, box in BOXES.items():
            yield from _cuts(archive, request, box, base_s)


def measured_subset(folder: Path) -> tuple[Priced, float]:
    """Read every core profile of the subset; return what each took, and what none takes [s]."""
    script = DATA / "unpack.sh"
    subprocess.run(["bash", str(script), str(folder / "gdac")], check=True, capture_output=True)
    address = ArchiveAddress(url=str(folder / "gdac"))
    archive = open_archive(address)
    rows = Catalogue.load(archive, profile_indexes(archive)).current(Kind.CORE)
    rows = rows.taken(rows.located)
    files = rows.source_files(np.arange(len(rows)))
    url = str(folder / "fragment.npz")
    _extract_s(address, files[:20], url)  # What is imported on first use is not a file's cost.
    base_s = min(_extract_s(address, [], url) for _ in range(20))
    cost_s = [
        min(_extract_s(address, [file] * COPIES, url) for _ in range(REPEATS)) - base_s
        for file in files
    ]
    least_s = np.full(len(rows), 1e-5)  # A file that is not there still costs a look.
    priced = Priced(name="subset", rows=rows, cost_s=np.maximum(np.array(cost_s) / COPIES, least_s))
    return priced, base_s


def _extract_s(address: ArchiveAddress, files: Sequence[SourceFile], url: str) -> float:
    order = ExtractOrder(
        archive=address,
        files=tuple(files),
        extent=Extent(parameters=CORE_PARAMETERS),
        options=(),
        fragment_url=url,
    )
    began = time.process_time()
    extract(order)
    return time.process_time() - began


def _whole_index(subset: Priced) -> Priced:
    """Return the global index, each float priced by a measured file of its centre and decade."""
    archive = open_archive(ArchiveAddress(url=str(DATA)))
    rows = Catalogue.load(archive, [INDEX]).current(Kind.CORE)
    rows = rows.taken(rows.located)
    samples = _samples(subset)
    _, first, groups = np.unique(
        np.stack([float_keys(rows.profile), _decades(rows)]),
        axis=1,
        return_index=True,
        return_inverse=True,
    )
    draw = np.random.default_rng(1).random(len(first))
    decades = _decades(rows)[first].tolist()
    centres = [rows.dacs[dac] for dac in rows.dac[first].tolist()]
    prices = np.array(
        [
            _drawn(samples, centre, decade, at)
            for centre, decade, at in zip(centres, decades, draw.tolist(), strict=True)
        ]
    )
    return Priced(name="index", rows=rows, cost_s=prices[groups.ravel()])


Samples = dict[tuple[str, int], list[float]]


def _samples(subset: Priced) -> Samples:
    """Return measured costs by centre and decade, by centre (decade -1), and all ("", -1)."""
    rows = subset.rows
    samples: Samples = {}
    for dac, decade, cost_s in zip(
        rows.dac.tolist(), _decades(rows).tolist(), subset.cost_s.tolist(), strict=True
    ):
        for key in ((rows.dacs[dac], decade), (rows.dacs[dac], -1), ("", -1)):
            samples.setdefault(key, []).append(cost_s)
    return samples


def _drawn(samples: Samples, centre: str, decade: int, at: float) -> float:
    keys = ((centre, decade), (centre, -1), ("", -1))
    costs_s = next(samples[key] for key in keys if key in samples)
    return costs_s[int(at * len(costs_s))]


def _decades(rows: Rows) -> NDArray[np.int64]:
    return (rows.time_s // DECADE_S).astype(np.int64)


def _cuts(archive: Priced, request: str, box: Box, base_s: float) -> Iterator[Row]:
    profiles = _profiles(archive.rows)
    inside = box.contains(profiles.longitude, profiles.latitude)
    held = profiles.within(Extent(box=box))
    cost_s = archive.cost_s[inside]
    extent = Extent(box=box, period=_period(held), parameters=CORE_PARAMETERS)
    rows = archive.rows.taken(inside)
    seen = load_map(
        rows.time_s,
        rows.longitude_ticks,
        rows.latitude_ticks,
        np.full(len(rows), len(CORE_PARAMETERS)),
    )
    guessed_s = seen.cost_s(DEFAULT_COSTS, extent)
    for workers, per_worker in product(WORKERS, PER_WORKER):
        for name, partitioner in BUILT_IN.items():
            pieces = partitioner.cut(extent, seen, DEFAULT_COSTS, workers * per_worker)
            predicted_s, measured_s = (
                _parts_s(pieces, seen, guessed_s),
                _parts_s(pieces, held, cost_s),
            )
            # Pieces that hold no file make no part.
            real = [n for n, part_s in enumerate(measured_s) if part_s > 0]
            predicted_s = tuple(DEFAULT_COSTS.base_s + predicted_s[n] for n in real)
            measured_s = tuple(base_s + measured_s[n] for n in real)
            predicted = Times(
                parts_s=predicted_s, order=dispatched(predicted_s), wanted=workers * per_worker
            )
            yield Row(
                archive=archive.name,
                request=request,
                files=len(held),
                workers=workers,
                per_worker=per_worker,
                strategy=name,
                predicted=predicted,
                measured=replace(predicted, parts_s=measured_s),
            )


def _parts_s(pieces: Sequence[Extent], masses: Density, cost_s: Floats) -> tuple[float, ...]:
    return tuple(float(cost_s[held].sum()) for held in masses.members(pieces))


def _profiles(rows: Rows) -> Density:
    ones = np.ones(len(rows))
    return Density(
        time_s=rows.time_s.astype(np.float64),
        longitude=rows.longitude_ticks / TICKS_PER_DEGREE,
        latitude=rows.latitude_ticks / TICKS_PER_DEGREE,
        files=ones,
        size_bytes=0.0 * ones,
    )


def _period(density: Density) -> Period:
    last = float(np.nextafter(density.time_s[-1], np.inf))
    return Period(start_at=float(density.time_s[0]), end_at=last)


def main() -> None:
    """Print every cut as a row of a Markdown table."""
    places = ("Archive", "Request", "Files", "Workers", "Parts", "Strategy")
    heads = (*places, "Predicted max/mean", "Measured max/mean", "Makespan / ideal")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for row in compared():
        place = (row.archive, row.request, f"{row.files:,}", row.workers, row.parts, row.strategy)
        figures = (row.predicted.imbalance, row.measured.imbalance, row.to_ideal(row.measured))
        print(f"| {' | '.join(map(str, place))} | {' | '.join(f'{v:.2f}' for v in figures)} |")


if __name__ == "__main__":
    main()
