"""The index of the whole archive: loading it, counting in it, comparing two states of it.

Wants the real global index beside the project (``../shared/data/argo``); without it there is
nothing to measure. It runs in a process of its own, so that memory is the index's alone.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.changes import changes_between
from controller.apps.argo.orders import ArchiveAddress
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UpdateSpan

INDEX = Path(__file__).parents[2] / "shared" / "data" / "argo" / "global-index.csv.gz"
BASE = UpdateSpan(after=None, upto=0)
DAILY_PROFILES = 451
"""What a day brought in 2023."""
REPEATS = 7

MEDITERRANEAN = Box(west=-6.0, south=30.0, east=36.5, north=46.0)
PACIFIC = Box(west=100.0, south=-60.0, east=-100.0, north=60.0)
CHAPTER_YEARS = Period(
    start_at=datetime(1999, 1, 1, tzinfo=UTC).timestamp(),
    end_at=datetime(2008, 1, 1, tzinfo=UTC).timestamp(),
)
REQUESTS = {
    "mediterranean_1999_2007": Extent(box=MEDITERRANEAN, period=CHAPTER_YEARS),
    "mediterranean": Extent(box=MEDITERRANEAN),
    "pacific": Extent(box=PACIFIC),
    "globe": Extent(box=GLOBE),
}


def measure() -> dict[str, float]:
    """Return times, counts and memory; empty where the real index is absent."""
    if not INDEX.exists():
        return {}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure)


def _measure() -> dict[str, float]:
    figures: dict[str, float] = {"imports_mb": _resident_mb()}
    began = time.perf_counter()
    archive = open_archive(ArchiveAddress(url=str(INDEX.parent)))
    catalogue = Catalogue.load(archive, [INDEX.name])
    figures["index_load_s"] = time.perf_counter() - began
    figures["rows"] = len(catalogue)
    figures["resident_mb"] = _resident_mb()
    figures["load_peak_mb"] = _peak_mb()
    for name, extent in REQUESTS.items():
        figures |= _requested(catalogue, name, extent)
    figures |= _updated(catalogue)
    figures["peak_mb"] = _peak_mb()
    return figures


def _requested(catalogue: Catalogue, name: str, extent: Extent) -> dict[str, float]:
    return {
        f"{name}_profiles": catalogue.count(extent, BASE),
        f"{name}_count_ms": 1e3 * _best_s(lambda: catalogue.count(extent, BASE)),
        f"{name}_load_map_ms": 1e3 * _best_s(lambda: catalogue.density(extent, BASE), 2),
        f"{name}_masses": len(catalogue.density(extent, BASE)),
    }


def _updated(catalogue: Catalogue) -> dict[str, float]:
    """Let a day's worth of files be renamed in delayed mode."""
    old = catalogue.current()
    delayed = old.delayed.copy()
    delayed[np.random.default_rng(1).choice(len(old), DAILY_PROFILES, replace=False)] ^= True
    new = replace(old, delayed=delayed)
    began = time.perf_counter()
    changes = changes_between(old, new)
    compared = time.perf_counter()
    catalogue.apply(1, changes)
    applied = time.perf_counter()
    assert len(changes.superseded) == DAILY_PROFILES
    increment = UpdateSpan(after=0, upto=1)
    return {
        "changes_s": compared - began,
        "apply_s": applied - compared,
        "increment_count_ms": 1e3 * _best_s(lambda: catalogue.count(Extent(), increment)),
    }


def _best_s(run: Callable[[], object], repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def _resident_mb() -> float:
    return memory_mb("VmRSS")


def _peak_mb() -> float:
    # Not ru_maxrss: a process inherits that from the one that started it.
    return memory_mb("VmHWM")


def memory_mb(what: str) -> float:
    """Return a line of this process's memory in /proc [MB]."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith(what))
    return int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
