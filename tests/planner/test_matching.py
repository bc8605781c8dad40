"""Matching equals asking every extent, whatever was added and removed before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import matching
from planner.extent import GLOBE, Box, Extent, Period
from planner.matching import SMALL_SEGMENTS_MAX, Matches, SubscriptionIndex
from planner.model import Observations
from tests.planner.drawing import NAMES, extents, instants, latitudes, longitudes, parameter_lists

PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)


def observed(*profiles: tuple[float, float, float, tuple[str, ...]]) -> Observations:
    """Return profiles given as (time, longitude, latitude, parameters)."""
    sets = sorted({parameters for *_, parameters in profiles})
    return Observations(
        time_s=tuple(time for time, *_ in profiles),
        longitude=tuple(longitude for _, longitude, _, _ in profiles),
        latitude=tuple(latitude for _, _, latitude, _ in profiles),
        parameter_set=tuple(sets.index(parameters) for *_, parameters in profiles),
        parameter_sets=tuple(sets),
    )


def matched(index: SubscriptionIndex, observations: Observations) -> dict[int, int]:
    matches = index.match(observations)
    assert np.all(np.diff(matches.keys) > 0), "keys must increase"
    return dict(zip(matches.keys.tolist(), matches.profiles.tolist(), strict=True))


def asked_one_by_one(live: dict[int, Extent], observations: Observations) -> dict[int, int]:
    columns = [observations.time_s, observations.longitude, observations.latitude]
    time_s, longitude, latitude = (np.array(column, np.float64) for column in columns)
    counts = {}
    for key, extent in live.items():
        has_wanted = np.array(
            [
                not extent.parameters or bool({*extent.parameters} & {*names})
                for names in (observations.parameter_sets[s] for s in observations.parameter_set)
            ],
            np.bool_,
        )
        counts[key] = int((extent.contains(time_s, longitude, latitude) & has_wanted).sum())
    return {key: count for key, count in sorted(counts.items()) if count}


@st.composite
def updates(draw: st.DrawFn) -> Observations:
    times = instants | st.just(math.nan)
    profile = st.tuples(times, longitudes, latitudes | st.just(math.nan), parameter_lists)
    return observed(*draw(st.lists(profile, max_size=12)))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, Extent]]:
    """Draw steps (what, key, extent) that add and remove under keys in no order."""
    step = st.tuples(st.sampled_from(("add", "add", "remove")), st.integers(0, 30), extents)
    return draw(st.lists(step, max_size=40))


@given(history=histories(), bulk=st.lists(extents, max_size=20), update=updates())
def test_it_matches_what_every_extent_would(
    history: list[tuple[str, int, Extent]], bulk: list[Extent], update: Observations
) -> None:
    index = SubscriptionIndex(delta_rows_max=3, segment_rows_max=7)
    live = dict(enumerate(bulk, start=100))
    index.add_many(live.items())
    for what, key, extent in history:
        if what == "add" and key not in live:
            live[key] = extent
            index.add(key, extent)
        elif what == "remove" and key in live:
            del live[key]
            index.remove(key)
    assert len(index) == len(live)
    assert all((key in index) == (key in live) for key in range(120))
    assert matched(index, update) == asked_one_by_one(live, update)


@given(update=updates(), known=st.lists(extents, max_size=10))
def test_an_update_may_be_matched_piecewise(update: Observations, known: list[Extent]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "PAIRS_MAX", 5)
        index = SubscriptionIndex(delta_rows_max=2, segment_rows_max=8)
        index.add_many(enumerate(known))
        assert matched(index, update) == asked_one_by_one(dict(enumerate(known)), update)


def test_an_empty_index_and_an_empty_update_match_nothing() -> None:
    index = SubscriptionIndex()
    assert matched(index, observed((0.0, 0.0, 0.0, ("TEMP",)))) == {}
    index.add(1, Extent())
    assert matched(index, observed()) == {}


def test_each_edge_belongs_to_one_of_two_neighbours() -> None:
    index = SubscriptionIndex(delta_rows_max=2, segment_rows_max=8)
    west, east = PACIFIC.cut_meridians([175.0])
    north = Box(west=170.0, south=20.0, east=-170.0, north=90.0)
    index.add_many([(1, Extent(box=west)), (2, Extent(box=east)), (3, Extent(box=north))])
    assert matched(index, observed((0.0, 175.0, 0.0, ()))) == {2: 1}
    assert matched(index, observed((0.0, -180.0, 20.0, ()), (0.0, 180.0, 90.0, ()))) == {3: 2}
    assert matched(index, observed((0.0, -170.0, 0.0, ()))) == {}


def test_a_profile_matches_with_any_wanted_parameter_among_more_than_a_word_of_names() -> None:
    index = SubscriptionIndex()
    names = tuple(f"PARAMETER_{number:03}" for number in range(200))
    for key, name in enumerate(names):
        index.add(key, Extent(parameters=(name,)))
    index.add(1000, Extent(parameters=names))
    index.add(1001, Extent())
    profile = (0.0, 0.0, 0.0, ("NEVER_WANTED", names[3], names[64], names[199]))
    assert matched(index, observed(profile)) == {3: 1, 64: 1, 199: 1, 1000: 1, 1001: 1}
    assert matched(index, observed((0.0, 0.0, 0.0, ("NEVER_WANTED",)))) == {1001: 1}


def test_a_key_may_come_back_with_another_extent() -> None:
    index = SubscriptionIndex(delta_rows_max=2, segment_rows_max=4)
    here = observed((5.0, 175.0, 0.0, NAMES))
    index.add(7, Extent(box=PACIFIC))
    index.add(8, Extent(box=GLOBE))
    index.remove(7)
    index.add(7, Extent(box=PACIFIC, period=Period(start_at=6.0)))
    assert matched(index, here) == {8: 1}
    index.remove(7)
    index.add(7, Extent(box=PACIFIC))
    assert matched(index, here) == {7: 1, 8: 1}


def test_a_key_added_twice_or_removed_twice_is_our_bug() -> None:
    index = SubscriptionIndex()
    index.add(1, Extent())
    with pytest.raises(AssertionError, match="added twice"):
        index.add(1, Extent())
    index.remove(1)
    with pytest.raises(AssertionError, match="not added"):
        index.remove(1)


def test_trees_stay_few_where_each_segment_keeps_little() -> None:
    index = SubscriptionIndex(delta_rows_max=4, segment_rows_max=1000)
    for key in range(1000):
        index.add(key, Extent())
        # The four before stand in a segment of their own by now; one of them stays.
        if key % 4 == 0 and key:
            for gone in range(key - 3, key):
                index.remove(gone)
    assert index.trees <= SMALL_SEGMENTS_MAX + 1
    assert index.match(observed((0.0, 0.0, 0.0, ()))).keys.tolist() == [
        *range(0, 997, 4),
        *range(997, 1000),
    ]


def test_removed_rows_do_not_stay() -> None:
    index = SubscriptionIndex(delta_rows_max=4, segment_rows_max=100)
    index.add_many((key, Extent()) for key in range(100))
    full = index.nbytes
    for key in range(60):
        index.remove(key)
    assert index.nbytes <= 0.6 * full
    assert index.match(observed((0.0, 0.0, 0.0, ()))).keys.tolist() == [*range(60, 100)]


def test_a_large_index_answers_as_its_extents_do() -> None:
    index = SubscriptionIndex()
    draw = np.random.default_rng(5)
    live = {}
    for key in range(5000):
        south = float(draw.uniform(-90.0, 80.0))
        west = float(draw.uniform(-180.0, 180.0))
        east = (west + float(draw.uniform(2.0, 40.0)) + 180.0) % 360.0 - 180.0
        live[key] = Extent(box=Box(west=west, south=south, east=east, north=south + 10.0))
    for key, extent in live.items():
        index.add(key, extent)
    places = zip(
        draw.uniform(-180, 180, 50).tolist(), draw.uniform(-90, 90, 50).tolist(), strict=True
    )
    update = observed(*((0.0, longitude, latitude, NAMES) for longitude, latitude in places))
    assert index.trees > 0
    assert matched(index, update) == asked_one_by_one(live, update)


def test_matches_are_plain_columns() -> None:
    index = SubscriptionIndex()
    index.add(3, Extent())
    matches = index.match(observed((0.0, 0.0, 0.0, ()), (1.0, 1.0, 1.0, ())))
    assert isinstance(matches, Matches)
    assert (matches.keys.tolist(), matches.profiles.tolist()) == ([3], [2])
