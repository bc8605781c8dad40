"""Matching an update with a million subscriptions, beside a bare tree of shapely on the same boxes.

The boxes do not cross the antimeridian, where the bare tree would be wrong.
"""

from __future__ import annotations

import gc
import json
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely

from planner.extent import Box, Extent, Period
from planner.matching import SEGMENT_ROWS_MAX, SubscriptionIndex
from planner.model import Observations

SUBSCRIPTIONS = 1_000_000
PROFILES = 1_000
WIDTH_DEG = (2.0, 40.0)
ADDED = SEGMENT_ROWS_MAX + 3 * 1024
"""Enough to fill and merge a whole segment, the worst that an add can meet."""
REPEATS = 5
WISHES: tuple[tuple[str, ...], ...] = ((), ("TEMP",), ("PSAL", "TEMP"), ("DOXY",))


def measure() -> dict[str, float]:
    """Return times, their ratio and the hits; the best of several repeats in one process.

    `ratio_to_tree` compares all that a match does (period, parameters, open edges, counting) with
    nothing but the query of one static tree of the same boxes.
    """
    edges = _edges(np.random.default_rng(2))
    observations = _observations(np.random.default_rng(3))
    index, bytes_each, load_s = _loaded(edges)
    tree = shapely.STRtree(shapely.box(*edges))
    points = shapely.points(observations.longitude, observations.latitude)
    tree.query(points[:1])
    match_s, tree_s = _best(lambda: index.match(observations), lambda: tree.query(points))
    matches = index.match(observations)
    add_s = _added(index)
    return {
        "subscriptions": float(SUBSCRIPTIONS),
        "profiles": float(PROFILES),
        "pairs_of_tree": float(tree.query(points).shape[1]),
        "hits": float(matches.profiles.sum()),
        "subscriptions_matched": float(len(matches.keys)),
        "match_s": match_s,
        "tree_s": tree_s,
        "ratio_to_tree": match_s / tree_s,
        "add_mean_ms": 1e3 * float(add_s.mean()),
        "add_max_ms": 1e3 * float(add_s.max()),
        "load_s": load_s,
        "bytes_per_subscription": bytes_each,
    }


def _edges(draw: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    """Return west, south, east, north of boxes of 2 to 40 degrees all over the globe."""
    width, height = draw.uniform(*WIDTH_DEG, (2, SUBSCRIPTIONS))
    west = draw.uniform(-180.0, 180.0 - width)
    south = draw.uniform(-90.0, 90.0 - height)
    return west, south, west + width, south + height


def _observations(draw: np.random.Generator) -> Observations:
    return Observations(
        time_s=tuple(draw.uniform(1.70e9, 1.71e9, PROFILES).tolist()),
        longitude=tuple(draw.uniform(-180.0, 180.0, PROFILES).tolist()),
        latitude=tuple(draw.uniform(-80.0, 80.0, PROFILES).tolist()),
        parameter_set=tuple(draw.integers(0, 2, PROFILES).tolist()),
        parameter_sets=(("PRES", "PSAL", "TEMP"), ("DOXY", "PRES", "PSAL", "TEMP")),
    )


def _loaded(
    edges: tuple[Any, Any, Any, Any],
) -> tuple[SubscriptionIndex, float, float]:
    before = _resident_bytes()
    index = SubscriptionIndex()
    start = time.perf_counter()
    index.add_many(_subscriptions(edges))
    load_s = time.perf_counter() - start
    gc.collect()
    return index, (_resident_bytes() - before) / SUBSCRIPTIONS, load_s


def _subscriptions(edges: tuple[Any, Any, Any, Any]) -> Iterator[tuple[int, Extent]]:
    """Yield one by one, so that the measured memory is the index's alone."""
    for key, (west, south, east, north) in enumerate(zip(*edges, strict=True)):
        yield key, _extent(key, Box(west=west, south=south, east=east, north=north))


def _extent(key: int, box: Box) -> Extent:
    period = Period() if key % 3 else Period(start_at=1.6e9 + key * 100.0)
    return Extent(box=box, period=period, parameters=WISHES[key % len(WISHES)])


def _best(*actions: Callable[[], object]) -> list[float]:
    """Return the best time of each action [s], taken in turns so that all see the same machine."""
    best = [float("inf")] * len(actions)
    for _ in range(REPEATS):
        for position, action in enumerate(actions):
            start = time.perf_counter()
            action()
            best[position] = min(best[position], time.perf_counter() - start)
    return best


def _added(index: SubscriptionIndex) -> Any:
    """Add one by one to the million; return the time of each [s]."""
    box = Box(west=170.0, south=-10.0, east=175.0, north=10.0)
    taken = np.empty(ADDED)
    for number in range(ADDED):
        key = SUBSCRIPTIONS + number
        extent = _extent(key, box)
        start = time.perf_counter()
        index.add(key, extent)
        taken[number] = time.perf_counter() - start
    return taken


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
