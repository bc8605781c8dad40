"""The laws of a partitioner as a test: for the built-in ones and for authors of plug-ins.

A plug-in's own test suite holds::

    from partitioners.testing import check_partitioner

    def test_it_obeys_the_laws():
        check_partitioner(MyPartitioner())

and, to search further, passes what Hypothesis draws: ``check_partitioner(mine, [request])``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from partitioners.laws import BrokenLaw, check_cut
from partitioners.protocol import CutRequest, Partitioner, in_place
from planner.density import Density
from planner.extent import ALWAYS, GLOBE, Box, Extent, Floats, Period
from planner.model import UnitCosts

YEAR_S = 365.25 * 86400.0
PERIODS = (
    Period(start_at=915148800.0, end_at=1167609600.0),
    Period(start_at=1.0e9, end_at=float(np.nextafter(np.nextafter(1.0e9, 2e9), 2e9))),
    ALWAYS,
)
"""The chapter's 1999-2007; two ulps, which no one can cut in three; all of time."""
BOXES = (
    GLOBE,
    Box(west=-6.0, south=30.0, east=36.5, north=46.0),
    Box(west=170.0, south=-20.0, east=-170.0, north=20.0),
    Box(west=180.0, south=80.0, east=-90.0, north=90.0),
)
"""The Earth; the Mediterranean; over the antimeridian; from the antimeridian, with the pole."""
PARAMETERS = ("PSAL", "TEMP")
COSTS = (
    UnitCosts(base_s=0.1, file_s=0.002, megabyte_s=0.01, value_s=0.0005),
    UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=0.0),
)
"""Costs as learned, and as before anything was learned."""
COUNTS = (1, 2, 3, 8, 61)
GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly and never meet: randomness would not repeat."""


def check_partitioner(
    partitioner: Partitioner, requests: Iterable[CutRequest] | None = None
) -> None:
    """Check that a partitioner obeys its laws on every request.

    Parameters
    ----------
    partitioner : Partitioner
        An instance, as its entry point names it.
    requests : iterable of CutRequest, optional
        By default `example_requests()`, the cases that break most first attempts.

    Raises
    ------
    AssertionError
        Says which law is broken, and by which request.
    """
    _check_names(partitioner)
    for request in example_requests() if requests is None else requests:
        _check_answer(partitioner, request)


def example_requests() -> Iterator[CutRequest]:
    """Yield the standard examples: every period, box, load map, cost and number of pieces."""
    for period, box, n in product(PERIODS, BOXES, COUNTS):
        extent = Extent(box=box, period=period, parameters=PARAMETERS)
        for density, costs in product((None, *_load_maps(extent)), COSTS):
            yield CutRequest(extent=extent, density=density, costs=costs, n=n)


def _check_names(partitioner: Partitioner) -> None:
    if isinstance(partitioner, type) or not isinstance(partitioner, Partitioner):
        raise AssertionError(
            f"{partitioner!r} is no partitioner: give an instance with name, version and cut"
        )
    words: tuple[object, ...] = (partitioner.name, partitioner.version)
    if not all(isinstance(word, str) and word for word in words):
        raise AssertionError(f"{partitioner!r}: name and version must be words, not {words}")


def _check_answer(partitioner: Partitioner, request: CutRequest) -> None:
    pieces = in_place(partitioner, request)
    try:
        check_cut(request, pieces)
    except BrokenLaw as broken:
        raise AssertionError(f"{partitioner.name}: {broken.what}, for {_told(request)}") from broken
    if in_place(partitioner, request) != pieces:
        raise AssertionError(f"{partitioner.name} answers differently twice, for {_told(request)}")


def _told(request: CutRequest) -> str:
    masses = "no load map" if request.density is None else f"{len(request.density)} masses"
    return f"n = {request.n}, {masses}, {request.costs} and {request.extent}"


def _load_maps(extent: Extent) -> Iterator[Density]:
    """Yield load maps inside an extent: none, one mass, all at one place, growing, on a grid."""
    yield _load_map(extent, np.zeros(0), np.zeros(0), np.zeros(0))
    yield _load_map(extent, *(np.full(1, 0.5) for _ in range(3)))
    yield _load_map(extent, *(np.full(40, 0.25) for _ in range(3)))
    spread = np.mod(np.linspace(0.0, 500 * GOLDEN, 500, endpoint=False), 1.0)
    growing = np.sqrt(np.linspace(0.0, 1.0, 500, endpoint=False))
    yield _load_map(extent, growing, spread, spread[::-1])
    # Edges and ties: every coordinate is shared by many masses, some lie on the extent's own edges.
    eastward, northward = np.floor(spread * 5) / 4, np.floor(spread[::-1] * 3) / 2
    yield _load_map(extent, np.floor(growing * 4) / 4, eastward, northward)


def _load_map(extent: Extent, time: Floats, along: Floats, up: Floats) -> Density:
    """Place masses at fractions of an extent's period, width and height."""
    box, period = extent.box, extent.period
    start = 0.0 if period.start_at is None else period.start_at
    end = start + 30 * YEAR_S if period.end_at is None else period.end_at
    eastward = box.west + along * box.width_deg
    columns = (
        start + time * (end - start),
        (eastward + 180.0) % 360.0 - 180.0,
        box.south + up * (box.north - box.south),
        np.ones(len(time)),
        np.full(len(time), 2.0e4),
    )
    for column in columns:
        column.setflags(write=False)
    time_s, longitude, latitude, files, size_bytes = columns
    return Density(
        time_s=time_s, longitude=longitude, latitude=latitude, files=files, size_bytes=size_bytes
    )
