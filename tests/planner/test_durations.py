import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.durations import (
    BOOT_S_DEFAULT,
    COMMON_ERROR_MIN,
    DEFAULT_COSTS,
    OBSERVATIONS_MAX,
    TIME_S_MIN,
    BootTimes,
    RunTimes,
    SettleTimes,
)
from planner.model import Features, UnitCosts

TRUTH = UnitCosts(base_s=0.05, file_s=0.006, megabyte_s=0.004, value_s=0.0002)


def part(files: int) -> Features:
    return Features(files=files, size_bytes=30_000 * files, values=3 * files)


def measured(truth: UnitCosts, count: int, *, scatter: float = 0.0, seed: int = 1) -> RunTimes:
    draw = random.Random(seed)
    times = RunTimes()
    for _ in range(count):
        features = part(int(10 ** draw.uniform(0.0, 2.7)))
        times.learn(features, truth.seconds(features) * draw.lognormvariate(0.0, scatter))
    return times


class TestRunTimes:
    def test_starts_from_the_prior(self) -> None:
        prior = UnitCosts(base_s=1.0, file_s=0.1, megabyte_s=0.5, value_s=0.0)
        times = RunTimes(prior)
        assert times.costs == prior
        assert times.mean_s(part(10)) == pytest.approx(1.0 + 1.0 + 0.15)
        assert RunTimes().costs == DEFAULT_COSTS

    def test_finds_the_costs_that_generated_its_observations(self) -> None:
        times = measured(TRUTH, 300)
        for files in (10, 100, 500):
            assert times.mean_s(part(files)) == pytest.approx(TRUTH.seconds(part(files)), rel=0.02)
        assert times.observations == 300

    def test_learns_a_cost_whose_prior_is_zero(self) -> None:
        draw = random.Random(3)
        times = RunTimes()
        for _ in range(400):
            features = Features(files=draw.randint(1, 9), size_bytes=draw.randint(0, 200) * 10**6)
            times.learn(features, 0.02 + 0.05 * features.size_bytes / 1e6)
        assert times.costs.megabyte_s == pytest.approx(0.05, rel=0.05)

    def test_scatter_is_measured(self) -> None:
        times = measured(TRUTH, 800, scatter=0.25)
        assert times.sd_s(part(100)) / times.mean_s(part(100)) == pytest.approx(0.25, rel=0.15)

    def test_common_error_shrinks_to_a_floor(self) -> None:
        errors = [measured(TRUTH, count, scatter=0.2).common_error for count in (0, 10, 100, 2000)]
        assert errors == sorted(errors, reverse=True)
        assert errors[0] == pytest.approx(0.3)
        assert errors[-1] == COMMON_ERROR_MIN

    def test_common_error_grows_when_predictions_are_off_as_a_whole(self) -> None:
        times = measured(TRUTH, 500)
        before = times.common_error
        for _ in range(10):
            times.learn(part(100), 3.0 * TRUTH.seconds(part(100)))
        assert times.common_error > before

    def test_follows_a_disc_that_became_slower(self) -> None:
        times = measured(TRUTH, 2000)
        draw = random.Random(5)
        for _ in range(600):
            features = part(draw.randint(1, 500))
            times.learn(features, 2.0 * TRUTH.seconds(features))
        assert times.mean_s(part(100)) == pytest.approx(2.0 * TRUTH.seconds(part(100)), rel=0.1)

    def test_one_stall_does_not_overthrow_the_model(self) -> None:
        times = measured(TRUTH, 100)
        before = times.mean_s(part(100))
        times.learn(part(100), 1000.0 * before)
        assert times.mean_s(part(100)) < 1.5 * before

    @given(
        st.lists(
            st.tuples(st.integers(0, 5000), st.integers(0, 10**9), st.floats(0.0, 1e5)), max_size=60
        )
    )
    def test_costs_are_never_negative_and_predictions_positive(
        self, observations: list[tuple[int, int, float]]
    ) -> None:
        times = RunTimes()
        for files, size_bytes, run_s in observations:
            times.learn(Features(files=files, size_bytes=size_bytes, values=files), run_s)
        costs = times.costs
        assert min(costs.base_s, costs.file_s, costs.megabyte_s, costs.value_s) >= 0.0
        assert math.isfinite(costs.seconds(part(1000)))
        assert times.mean_s(Features()) > 0.0

    def test_a_quantile_of_a_part_is_the_planners_formula(self) -> None:
        times = RunTimes(
            prior=UnitCosts(base_s=0.0, file_s=0.1, megabyte_s=0.0, value_s=0.0),
            prior_common_error=0.3,
            scatter2=0.4**2,
        )
        features = Features(files=100)
        assert times.quantile_s(features, 0.5) == pytest.approx(10.0)
        # z of 90 % is 1.28155; the errors 0.3 and 0.4 add up to 0.5.
        assert times.quantile_s(features, 0.9) == pytest.approx(10.0 + 1.28155 * 5.0, rel=1e-5)
        assert times.quantile_s(features, 1e-9) == TIME_S_MIN

    def test_scatter_averages_out_over_parts_and_the_common_error_does_not(self) -> None:
        scattered = RunTimes(prior_common_error=0.0, scatter2=0.4**2)
        shared = RunTimes(prior_common_error=0.3, scatter2=0.0)
        for times, error in (
            (scattered, math.hypot(0.4 / 10, COMMON_ERROR_MIN)),
            (shared, 0.3),
        ):
            mean_s = times.mean_s(part(20))
            total_s = times.total_quantile_s([part(20)] * 100, 0.9)
            assert total_s == pytest.approx(100 * mean_s * (1.0 + 1.28155 * error), rel=1e-5)
        assert RunTimes().total_quantile_s([], 0.9) == TIME_S_MIN

    @given(st.lists(st.integers(0, 3000), min_size=1, max_size=20), st.floats(0.5, 0.999))
    def test_a_total_takes_no_longer_than_its_parts_one_by_one(
        self, files: list[int], q: float
    ) -> None:
        times, parts = RunTimes(), [part(count) for count in files]
        one_by_one_s = sum(times.quantile_s(each, q) for each in parts)
        assert times.total_quantile_s(parts, q) <= one_by_one_s * (1 + 1e-9)

    def test_measured_costs_hold_longer_than_supposed_ones(self) -> None:
        supposed = RunTimes(prior=TRUTH)
        calibrated = RunTimes(prior=TRUTH, prior_common_error=0.06, scatter2=0.2**2)
        for times in (supposed, calibrated):
            times.learn(part(100), 2.0 * TRUTH.seconds(part(100)))
        truth_s = TRUTH.seconds(part(100))
        assert calibrated.mean_s(part(100)) < 1.5 * truth_s < supposed.mean_s(part(100))

    def test_goes_on_alike_from_plain_data(self) -> None:
        times = measured(TRUTH, 50, scatter=0.2)
        again = msgspec.json.decode(msgspec.json.encode(times), type=RunTimes)
        assert again == times
        for model in (times, again):
            model.learn(part(7), 0.4)
        assert again == times


class TestBootTimes:
    def test_an_unknown_type_has_a_default(self) -> None:
        assert BootTimes().quantile("vm", 0.5) == pytest.approx(BOOT_S_DEFAULT)

    def test_the_prior_is_the_median_until_boots_are_measured(self) -> None:
        boots = BootTimes()
        boots.prior("vm", 60.0)
        assert boots.quantile("vm", 0.5) == pytest.approx(60.0)
        assert 60.0 < boots.quantile("vm", 0.9) < boots.quantile("vm", 0.99) < 120.0

    def test_measured_boots_outweigh_the_prior(self) -> None:
        boots = BootTimes()
        boots.prior("vm", 60.0)
        for boot_s in range(100, 200):
            boots.learn("vm", float(boot_s))
        assert boots.quantile("vm", 0.5) == pytest.approx(150.0, rel=0.05)
        assert boots.quantile("vm", 0.9) == pytest.approx(190.0, rel=0.05)
        boots.prior("vm", 60.0)
        assert boots.quantile("vm", 0.5) == pytest.approx(150.0, rel=0.05)

    def test_remembers_only_the_last_ones(self) -> None:
        boots = BootTimes()
        for _ in range(OBSERVATIONS_MAX):
            boots.learn("vm", 1000.0)
        for _ in range(OBSERVATIONS_MAX):
            boots.learn("vm", 10.0)
        assert len(boots.measured["vm"]) == OBSERVATIONS_MAX
        assert boots.quantile("vm", 0.5) < 20.0

    def test_a_young_boot_has_all_before_it_and_an_old_one_is_lost(self) -> None:
        boots = BootTimes()
        boots.prior("vm", 100.0)
        assert boots.remaining("vm", 0.0, 0.9) == pytest.approx(boots.quantile("vm", 0.9))
        lost_s = boots.quantile("vm", 0.99)
        assert boots.remaining("vm", lost_s - 1.0, 0.9) < math.inf
        assert boots.remaining("vm", lost_s + 1.0, 0.9) == math.inf
        assert boots.remaining("vm", boots.quantile("vm", 0.6), 0.9, lost=0.5) == math.inf

    @given(st.floats(0.0, 150.0), st.floats(0.05, 0.95))
    def test_what_is_left_is_the_conditional_quantile(self, age_s: float, q: float) -> None:
        boots = BootTimes()
        boots.prior("vm", 100.0)
        end_s = age_s + boots.remaining("vm", age_s, q, lost=1.0)
        grid = [boots.quantile("vm", step / 2000) for step in range(2001)]
        longer = [boot_s for boot_s in grid if boot_s > age_s]
        share = sum(boot_s <= end_s for boot_s in longer) / len(longer)
        assert share == pytest.approx(q, abs=0.06)

    def test_goes_on_alike_from_plain_data(self) -> None:
        boots = BootTimes()
        boots.prior("vm", 60.0)
        boots.learn("vm", 70.0)
        assert msgspec.json.decode(msgspec.json.encode(boots), type=BootTimes) == boots


class TestSettleTimes:
    def test_starts_from_the_prior(self) -> None:
        settle = SettleTimes()
        assert settle.quantile(0.5) == pytest.approx(0.6)
        assert settle.quantile(0.5, 10_000_000) == pytest.approx(1.5)

    def test_learns_what_large_and_small_products_take(self) -> None:
        draw = random.Random(1)
        settle = SettleTimes()
        for _ in range(300):
            size_mb = draw.uniform(0.1, 50.0)
            settle.learn(int(size_mb * 1e6), (1.0 + 0.2 * size_mb) * draw.lognormvariate(0, 0.2))
        assert settle.quantile(0.5, 1_000_000) == pytest.approx(1.2, rel=0.25)
        assert settle.quantile(0.5, 50_000_000) == pytest.approx(11.0, rel=0.15)
        assert settle.quantile(0.9, 50_000_000) > 1.15 * settle.quantile(0.5, 50_000_000)
        assert settle.quantile(0.5) == pytest.approx(settle.quantile(0.5, 25_000_000), rel=0.2)
        assert len(settle.ratios) == OBSERVATIONS_MAX

    def test_goes_on_alike_from_plain_data(self) -> None:
        settle = SettleTimes()
        settle.learn(10**6, 2.0)
        assert msgspec.json.decode(msgspec.json.encode(settle), type=SettleTimes) == settle
