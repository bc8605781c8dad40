"""Cuts compared by what they would take: list scheduling by hand, and which one is advised."""

from __future__ import annotations

import numpy as np
import pytest

from controller.calibration.advice import (
    CARRY_S,
    PARTS_PER_WORKER,
    Choice,
    WholeArchive,
    advised,
    best_of_each,
    compare,
)
from partitioners.catalogue import BUILT_IN
from planner.density import Density
from planner.model import UnitCosts

COSTS = UnitCosts(base_s=0.0, file_s=1.0, megabyte_s=0.0, value_s=0.0)


def growing(count: int) -> Density:
    """Return an archive with ever more profiles a year, scattered over the globe."""
    rng = np.random.default_rng(1)
    time_s = np.sort(1e9 * rng.random(count) ** 0.25)
    longitude, latitude = rng.uniform(-180, 180, count), rng.uniform(-90, 90, count)
    ones = np.ones(count)
    return Density(
        time_s=time_s, longitude=longitude, latitude=latitude, files=ones, size_bytes=0 * ones
    )


def load(scatter: float = 0.1, workers: int = 8, costs: UnitCosts = COSTS) -> WholeArchive:
    density = growing(4000)
    return WholeArchive(
        density=density, parameters=("TEMP",), costs=costs, scatter=scatter, workers=workers, seed=1
    )


def choice(partitioner: str, parts_per_worker: int, ratio: float) -> Choice:
    return Choice(
        partitioner=partitioner,
        parts_per_worker=parts_per_worker,
        parts=8 * parts_per_worker,
        ratio=ratio,
        balance=1.0,
    )


def test_ideal_is_work_spread_evenly() -> None:
    tried = load(scatter=1e-9).tried(BUILT_IN["balanced"], 1)
    assert tried.parts == 8
    assert tried.balance == pytest.approx(1.0, abs=0.01)
    assert tried.ratio == pytest.approx(1.0, abs=0.01)


def test_a_growing_archive_is_not_cut_into_equal_spans() -> None:
    one_each = {
        c.partitioner: c.ratio for c in compare(load(), BUILT_IN) if c.parts_per_worker == 1
    }
    assert one_each["linear"] > 1.5 * one_each["balanced"]


def test_every_strategy_is_tried_with_every_number_of_parts() -> None:
    found = compare(load(), BUILT_IN)
    assert {(c.partitioner, c.parts_per_worker) for c in found} == {
        (name, parts) for name in BUILT_IN for parts in PARTS_PER_WORKER
    }
    assert [c.ratio for c in found] == sorted(c.ratio for c in found)
    assert compare(load(), BUILT_IN) == found


def test_overhead_speaks_against_many_parts() -> None:
    tiny = UnitCosts(base_s=0.0, file_s=CARRY_S / 50, megabyte_s=0.0, value_s=0.0)
    cheap, dear = load(), load(costs=tiny)
    linear = BUILT_IN["balanced"]
    rise = [dear.tried(linear, n).ratio - cheap.tried(linear, n).ratio for n in (1, 8)]
    # A worker's eight parts carry eight overheads against 500 files of work.
    assert rise[0] == pytest.approx(CARRY_S / (500 * tiny.file_s), rel=0.2)
    assert rise[1] == pytest.approx(8 * CARRY_S / (500 * tiny.file_s), rel=0.2)


def test_of_choices_that_are_as_good_the_one_with_fewer_parts_is_advised() -> None:
    choices = [choice("a", 8, 1.050), choice("a", 4, 1.058), choice("b", 1, 1.3)]
    assert advised(choices) == choices[1]
    assert best_of_each(choices) == [choices[1], choices[2]]
    assert advised([choice("a", 8, 1.0), choice("a", 4, 1.2)]).parts_per_worker == 8
