"""The chapter's experiments on made indexes: what must come out where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from planner.extent import Box, Extent, Floats, Period
from sim.chapter.costs import FileCosts, measured_costs
from sim.chapter.figures import growth_figure, speed_up_figure, windows_figure
from sim.chapter.profiles import PARAMETERS, REQUEST, Profiles, TooFewProfiles
from sim.chapter.speed_up import VMS, Curve, Handing, curves
from sim.chapter.table_1 import Design, requests_of

SEA = Box(west=0.0, south=30.0, east=40.0, north=40.0)
PERIOD = Period(start_at=0.0, end_at=1.0e8)
WHOLE = Extent(box=SEA, period=PERIOD, parameters=PARAMETERS)
EVEN = FileCosts(base_s=0.0, quantiles_s=np.ones((1, 2)))


def profiles_at(shares: Floats) -> Profiles:
    """Profiles at shares of the period, all over the sea, of ten floats."""
    number = np.arange(len(shares))
    return Profiles(
        time_s=np.sort(shares) * 1.0e8,
        longitude=40.0 * (number * 7 % 101) / 101,
        latitude=30.0 + 10.0 * (number * 11 % 103) / 103,
        float_number=number % 10,
    )


def evenly(count: int) -> Profiles:
    return profiles_at((np.arange(count) + 0.5) / count)


def line(found: list[Curve], name: str, handing: Handing = Handing.LONGEST_FIRST) -> list[float]:
    (one,) = (c for c in found if (c.line.name, c.handing) == (name, handing))
    return [round(each, 3) for each in one.means.tolist()]


def test_of_an_even_archive_linear_cuts_are_perfect_and_logarithmic_ones_are_not() -> None:
    found = curves(evenly(3200), WHOLE, EVEN, [1])
    for name in ("lin1", "lin4", "balanced1", "balanced4"):
        assert line(found, name) == pytest.approx(VMS, rel=0.01)
    # The first of 8 spans is B^(7/8) times as long as the last: 0.278 of the whole, by its formula.
    assert line(found, "log1")[-1] == pytest.approx(1 / 0.2779, rel=0.01)


def test_of_an_archive_that_grows_the_last_linear_span_holds_up_the_rest() -> None:
    found = curves(profiles_at(np.linspace(0.0, 1.0, 4000) ** 0.25), WHOLE, EVEN, [1])
    # Of n^4 growth the last of 8 spans holds 1 - (7/8)^4 of all.
    assert line(found, "lin1")[-1] == pytest.approx(1 / (1 - (7 / 8) ** 4), rel=0.01)
    assert line(found, "lin1") < line(found, "log1") < line(found, "balanced1")
    # Handed out in advance, four neighbouring parts are one.
    assert line(found, "lin4", Handing.IN_ADVANCE) == pytest.approx(line(found, "lin1"), rel=1e-6)
    assert line(found, "lin4", Handing.IN_TURN) > line(found, "lin1", Handing.IN_TURN)


def test_the_time_of_a_part_is_paid_for_every_part() -> None:
    costs = FileCosts(base_s=400.0, quantiles_s=np.ones((1, 2)))
    found = curves(evenly(3200), WHOLE, costs, [1])
    # Alone it takes 3600 s; on n VMs each worker has four parts, and pays for each of them.
    assert line(found, "lin4") == pytest.approx([3600 / (3200 / n + 1600) for n in VMS], rel=0.01)


def test_files_of_a_float_cost_alike_and_a_seed_draws_the_same() -> None:
    costs = FileCosts(base_s=0.0, quantiles_s=np.array([[1.0, 2.0], [10.0, 20.0]]))
    profiles = evenly(1000)
    drawn = costs.drawn(profiles, 3)
    assert np.array_equal(drawn, costs.drawn(profiles, 3))
    assert not np.array_equal(drawn, costs.drawn(profiles, 4))
    cheap = [(drawn[profiles.float_number == number] <= 2.0) for number in range(10)]
    assert {bool(each.all()) for each in cheap if each.all() or not each.any()} == {True, False}
    assert all(each.all() or not each.any() for each in cheap)


def test_measured_costs_are_there() -> None:
    costs = measured_costs()
    assert costs.quantiles_s.shape == (15, 11)
    assert (np.diff(costs.quantiles_s, axis=1) >= 0).all()
    assert 0 < costs.base_s < costs.quantiles_s.min() < 0.1


def test_of_an_even_archive_only_the_windows_length_tells() -> None:
    design = Design(title="sea", extent=WHOLE)
    found = requests_of(evenly(20_000), design, 1, count=400)
    by_trait = {
        name: float(np.corrcoef(values, found.run_s)[0, 1])
        for name, values in found.traits.items()
        if np.ptp(values) > 0
    }
    assert by_trait["time coverage"] > 0.999
    assert by_trait["end date"] == pytest.approx(0.5, abs=0.12)
    assert abs(by_trait["parameters"]) < 0.12
    assert "area" not in by_trait
    assert found.files.max() > 19_000


def test_where_areas_vary_windows_are_counted_in_their_boxes() -> None:
    design = Design(title="boxes", extent=WHOLE, areas_vary=True)
    profiles = evenly(2000)
    found = requests_of(profiles, design, 1, count=50)
    assert len(set(found.area_km2.tolist())) == 50
    assert (found.files <= found.coverage_d * 86400.0 / 1e8 * 2000 + 1).all()
    again = requests_of(profiles, design, 1, count=50)
    assert np.array_equal(found.files, again.files)


def test_an_index_with_too_little_says_which_is_needed() -> None:
    with pytest.raises(
        TooFewProfiles, match=r"lists 0 profiles of that sea, and 1 are needed.*ar_"
    ):
        evenly(100).require(REQUEST, 1, "that sea")


def test_profiles_within_an_extent_are_its_own() -> None:
    inside = evenly(1000).within(
        Extent(box=Box(west=0, south=30, east=20, north=40), period=Period(start_at=5.0e7))
    )
    assert 200 < len(inside) < 300
    assert inside.longitude.max() < 20
    assert inside.time_s.min() >= 5.0e7


def test_figures_name_every_line() -> None:
    found = curves(evenly(400), WHOLE, EVEN, [1, 2])
    drawing = speed_up_figure(found, Handing.LONGEST_FIRST)
    for name in ("lin1", "lin4", "log1", "log4", "balanced4", "bisecting4"):
        assert f">{name}</text>" in drawing
    requests = requests_of(evenly(400), Design(title="that sea", extent=WHOLE), 1, count=20)
    assert ">that sea</text>" in windows_figure([requests])
    assert ">Mediterranean</text>" in growth_figure(evenly(400))
