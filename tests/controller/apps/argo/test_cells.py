"""Rows looked up by place: exactly those that a scan finds, whatever the box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.cells import CELL_DEG, ROWS_MIN, Cells, TickBox
from controller.apps.argo.changes import changes_between
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import NO_POSITION, TICKS_PER_DEGREE, Rows, no_rows
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UpdateSpan
from tests.controller.apps.argo.index_files import global_index

BASE = UpdateSpan(after=None, upto=0)
ALL = 10**9

# Edges of cells, and a tick on either side of them, where an off-by-one would show.
near_edges = st.builds(
    lambda cell, aside: cell * CELL_DEG + aside / TICKS_PER_DEGREE,
    st.integers(-17, 17),
    st.sampled_from([-1, 0, 1]),
)
longitudes = st.floats(-180, 180) | near_edges | st.sampled_from([-180.0, 180.0])
latitudes = st.floats(-90, 90) | near_edges | st.sampled_from([-90.0, 90.0])


def any_box(west: float, east: float, south: float, north: float) -> Box | None:
    """Return a box of these edges, None where they make none."""
    flat = south == north or west == east or (west, east) == (180.0, -180.0)
    if flat:
        return None
    return Box(west=west, east=east, south=min(south, north), north=max(south, north))


drawn_boxes = st.builds(any_box, longitudes, longitudes, latitudes, latitudes).filter(
    lambda box: box is not None
)


def rows_at(seed: int, count: int) -> Rows:
    """Return rows all over the globe, on cell edges and beside them, at the poles and nowhere."""
    rng = np.random.default_rng(seed)
    edge = CELL_DEG * TICKS_PER_DEGREE
    aside = rng.integers(-1, 2, count)
    latitude = rng.integers(-18, 19, count) * edge + aside
    longitude = rng.integers(-36, 36, count) * edge + np.roll(aside, 1)
    half = count // 2
    latitude[:half] = rng.integers(-90 * TICKS_PER_DEGREE, 90 * TICKS_PER_DEGREE + 1, half)
    longitude[:half] = rng.integers(-180 * TICKS_PER_DEGREE, 180 * TICKS_PER_DEGREE, half)
    latitude = latitude.clip(-90 * TICKS_PER_DEGREE, 90 * TICKS_PER_DEGREE)
    longitude = longitude.clip(-180 * TICKS_PER_DEGREE, 180 * TICKS_PER_DEGREE - 1)
    latitude[-3:], longitude[-3:] = NO_POSITION, NO_POSITION
    return Rows(
        time_s=np.sort(rng.integers(0, 1000, count)),
        latitude_ticks=latitude.astype(np.int32),
        longitude_ticks=longitude.astype(np.int32),
        profile=np.arange(count) * 2,
        delayed=np.zeros(count, np.bool_),
        dac=np.zeros(count, np.uint16),
        date_update=np.zeros(count, np.int64),
        parameter_set=rng.integers(0, 2, count).astype(np.int32),
        dacs=("aoml",),
        parameter_sets=(("PRES", "TEMP"), ("PRES", "PSAL", "TEMP")),
    )


ROWS = rows_at(1, 3000)
CELLS = Cells.of(ROWS)


@given(drawn_boxes)
def test_it_finds_what_the_box_contains(box: Box) -> None:
    found = CELLS.inside(TickBox.of(box), ALL)
    assert found is not None
    located = ROWS.latitude_ticks != NO_POSITION
    inside = located & box.contains(
        ROWS.longitude_ticks / TICKS_PER_DEGREE, ROWS.latitude_ticks / TICKS_PER_DEGREE
    )
    assert sorted(found.tolist()) == np.flatnonzero(inside).tolist()


def test_it_declines_where_a_scan_is_quicker() -> None:
    assert CELLS.inside(TickBox.of(GLOBE), len(ROWS) // 2) is None
    assert CELLS.inside(TickBox.of(Box(west=1, south=1, east=2, north=2)), len(ROWS)) is not None


def test_no_rows_are_in_no_cell() -> None:
    nothing = Cells.of(no_rows()).inside(TickBox.of(GLOBE), ALL)
    assert nothing is not None
    assert len(nothing) == 0


@pytest.fixture(name="catalogues", scope="module")
def both_ways() -> tuple[Catalogue, Catalogue]:
    """Return the same history twice: looked up by place, and scanned."""
    before, after = rows_at(2, ROWS_MIN), rows_at(2, ROWS_MIN)
    after.delayed[::7] = True
    made = []
    with pytest.MonkeyPatch.context() as patch:
        for rows_min in (1, ALL):
            patch.setattr(f"{Catalogue.__module__}.ROWS_MIN", rows_min)
            catalogue = Catalogue.from_rows([before])
            catalogue.apply(1, changes_between(catalogue.current(), after))
            made.append(catalogue)
    return made[0], made[1]


spans = st.sampled_from([BASE, UpdateSpan(after=None, upto=1), UpdateSpan(after=0, upto=1)])
periods = st.builds(
    lambda start, span: Period(start_at=start, end_at=start + span),
    st.floats(0, 1000),
    st.floats(0.25, 1000),
) | st.just(Period())
wishes = st.sampled_from([(), ("TEMP",), ("PSAL",)])


@given(drawn_boxes, periods, spans, wishes)
def test_a_catalogue_answers_alike_looked_up_and_scanned(
    catalogues: tuple[Catalogue, Catalogue],
    box: Box,
    period: Period,
    updates: UpdateSpan,
    parameters: tuple[str, ...],
) -> None:
    quick, slow = catalogues
    extent = Extent(box=box, period=period, parameters=parameters)
    found = quick.select(extent, updates)
    assert sorted(found.tolist()) == slow.select(extent, updates).tolist()
    assert quick.files(found[:50]) == slow.files(found[:50])


@given(drawn_boxes, periods, st.integers(1, 400))
def test_a_sample_counts_every_file_and_lies_inside(
    catalogues: tuple[Catalogue, Catalogue], box: Box, period: Period, masses_max: int
) -> None:
    extent = Extent(box=box, period=period)
    for catalogue in catalogues:
        sample = catalogue.sample(extent, BASE, masses_max=masses_max)
        count = catalogue.count(extent, BASE)
        assert sample.files.sum() == count
        assert len(sample) == min(count, masses_max)
        assert len(sample.within(extent)) == len(sample)


def test_a_sample_lies_as_the_files_do(catalogues: tuple[Catalogue, Catalogue]) -> None:
    quick, _ = catalogues
    extent = Extent(box=Box(west=-60, south=-60, east=0, north=60))
    whole, sample = quick.density(extent, BASE), quick.sample(extent, BASE, masses_max=200)
    for along in ("time_s", "latitude", "longitude"):
        middle = np.median(getattr(whole, along))
        below = sample.files[getattr(sample, along) < middle].sum() / sample.files.sum()
        assert below == pytest.approx(0.5, abs=0.1)


@pytest.mark.shared_data
def test_in_the_whole_archive_it_finds_what_a_scan_finds() -> None:
    path = global_index()
    catalogue = Catalogue.load(open_archive(ArchiveAddress(url=str(path.parent))), [path.name])
    rows = catalogue.current()
    for box in (
        Box(west=-6.0, south=30.0, east=36.5, north=46.0),
        Box(west=170.0, south=-10.0, east=-170.0, north=10.0),
        Box(west=-180.0, south=60.0, east=180.0, north=90.0),
    ):
        scanned = np.flatnonzero(TickBox.of(box).holds(rows.latitude_ticks, rows.longitude_ticks))
        found = np.sort(catalogue.select(Extent(box=box), BASE))
        dated = rows.time_s[scanned] < 10**11
        assert found.tolist() == scanned[dated].tolist()
