"""Arrivals as an archive had them, and invented subscribers."""

from __future__ import annotations

from collections import Counter

import numpy as np

from planner.events import ApplicationCalibrated, SubscriptionAdded, UpdateArrived
from sim.traces.archive import (
    BURST,
    DELAY_S,
    FRESH_S_MAX,
    YEAR_S,
    arrivals,
    generate,
    looks,
)
from tests.sim.traces.building import NEW_YEAR, a_month, an_archive


def test_what_the_index_tells_arrives_when_it_was_updated() -> None:
    archive, month = an_archive(told=True), a_month()
    at, rows = arrivals(archive, month)
    assert bool(np.all(np.diff(at) >= 0))
    assert bool(np.all(at == archive.updated_s[rows])), "nothing is drawn where all is told"
    late = at - archive.time_s[rows] > FRESH_S_MAX
    by_float = Counter(archive.float_key[rows[late]].tolist())
    assert min(by_float.values()) > 20, "floats are reprocessed at once"
    assert int((~late).sum()) == int((archive.time_s[rows] + 7200.0 >= NEW_YEAR)[~late].sum()) > 40


def test_an_index_without_updates_gets_drawn_delays_and_bursts() -> None:
    archive, month = an_archive(told=False), a_month()
    at, rows = arrivals(archive, month)
    age_s = at - archive.time_s[rows]
    new = age_s <= DELAY_S[1]
    assert bool(np.all(age_s[new] >= DELAY_S[0]))
    assert bool(np.all(age_s[~new] >= YEAR_S))
    bursts = Counter(at[~new].tolist())
    assert bursts
    assert all(BURST[0] <= profiles <= BURST[1] for profiles in bursts.values())
    alone, _ = arrivals(archive, a_month(reprocessed=False))
    assert alone.tolist() == at[new].tolist()


def test_a_look_tells_all_that_arrived_since_the_last() -> None:
    archive, month = an_archive(told=True), a_month(look_s=86400.0)
    at, rows = arrivals(archive, month)
    told = list(looks(at, rows, month))
    assert sum(len(found) for _, found in told) == len(rows)
    before = NEW_YEAR
    for instant, found in told:
        assert (instant - NEW_YEAR) % 86400.0 == 0.0
        assert bool(np.all(archive.updated_s[found] > before - 86400.0))
        assert bool(np.all(archive.updated_s[found] <= instant))
        before = instant


def test_a_load_is_the_same_again_and_another_under_another_seed() -> None:
    archive = an_archive(told=False)
    first, again, other = (list(generate(archive, a_month(seed=seed))) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    kinds = Counter(type(event) for event in first)
    assert kinds[ApplicationCalibrated] == 1
    assert kinds[SubscriptionAdded] == 12
    numbers = [event.number for event in first if isinstance(event, UpdateArrived)]
    assert numbers == list(range(len(numbers)))
    assert [event.at for event in first] == sorted(event.at for event in first)


def test_subscribers_want_what_the_archive_holds_by_a_deadline_in_range() -> None:
    month = a_month(subscriptions=300, deadline_s=(600.0, 1200.0))
    events = list(generate(an_archive(told=True), month))
    wishes = [event.subscription for event in events if isinstance(event, SubscriptionAdded)]
    assert len({wish.id for wish in wishes}) == 300
    assert {wish.views[0].extent.parameters for wish in wishes} == {
        ("PSAL", "TEMP"),
        ("TEMP",),
        ("DOXY",),
        (),
    }
    assert all(600.0 <= (wish.deadline_s or 0.0) <= 1200.0 for wish in wishes)
    assert {wish.views[0].extent.period.start_at for wish in wishes} == {None, NEW_YEAR}
