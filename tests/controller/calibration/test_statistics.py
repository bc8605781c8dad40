"""Correlations, costs and errors against what is known of the times they are given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from controller.calibration.statistics import (
    accuracy,
    errors_of,
    fitted,
    out_of_sample,
    pearson,
    predicted,
    run_times,
    scaled,
    spearman,
)
from planner.durations import COMMON_ERROR_MIN
from planner.extent import Floats
from planner.model import Features, UnitCosts

TRUTH = UnitCosts(base_s=0.002, file_s=0.003, megabyte_s=0.0, value_s=0.0004)


def some_features(count: int, seed: int = 1) -> list[Features]:
    rng = np.random.default_rng(seed)
    files = np.exp(rng.uniform(0.0, 6.0, count)).astype(int) + 1
    held = rng.integers(1, 4, count)
    return [
        Features(files=int(f), values=int(f * h), size_bytes=0)
        for f, h in zip(files, held, strict=True)
    ]


def times(features: list[Features], scatter: float, seed: int = 2) -> Floats:
    rng = np.random.default_rng(seed)
    return predicted(TRUTH, features) * rng.lognormal(0.0, scatter, len(features))


class TestCorrelations:
    def test_pearson_and_its_interval_are_those_of_scipy(self) -> None:
        rng = np.random.default_rng(1)
        x = rng.normal(size=40)
        y = 0.7 * x + rng.normal(size=40)
        found, theirs = pearson(x, y), stats.pearsonr(x, y)
        interval = theirs.confidence_interval(0.95)
        assert found is not None
        assert found.value == pytest.approx(theirs.statistic)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)

    def test_a_case_by_hand(self) -> None:
        # Deviations (-2 .. 2) and (-2, 0, -1, 2, 1): 8 / 10. Fisher: atanh(0.8) +- 1.96 / sqrt(2).
        found = pearson(np.arange(5.0), np.array([0.0, 2.0, 1.0, 4.0, 3.0]))
        assert found is not None
        assert found.value == pytest.approx(0.8)
        assert found.low == pytest.approx(math.tanh(math.atanh(0.8) - 1.959964 / math.sqrt(2)))
        assert found.high == pytest.approx(math.tanh(math.atanh(0.8) + 1.959964 / math.sqrt(2)))

    def test_ranks_know_only_the_order(self) -> None:
        x = np.arange(1.0, 31.0)
        found = spearman(x, np.exp(x), seed=1)
        assert found is not None
        assert found.value == pytest.approx(1.0)
        assert found.low == pytest.approx(1.0)
        falling = spearman(x, -(x**3), seed=1)
        assert falling is not None
        assert falling.value == pytest.approx(-1.0)

    def test_spearman_is_that_of_scipy_and_its_interval_repeats(self) -> None:
        rng = np.random.default_rng(4)
        x, noise = rng.integers(0, 9, 60).astype(float), rng.normal(size=60)
        found = spearman(x, x + 3.0 * noise, seed=7)
        assert found is not None
        assert found.value == pytest.approx(stats.spearmanr(x, x + 3.0 * noise).statistic)
        assert found.low < found.value < found.high
        assert spearman(x, x + 3.0 * noise, seed=7) == found
        assert spearman(x, x + 3.0 * noise, seed=8) != found

    def test_what_does_not_vary_goes_with_nothing(self) -> None:
        x = np.arange(10.0)
        assert pearson(np.ones(10), x) is None
        assert spearman(x, np.ones(10), seed=1) is None
        assert pearson(x[:3], x[:3]) is None

    @given(st.integers(0, 10_000))
    def test_intervals_hold_the_value_and_lie_between_minus_one_and_one(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 12))
        found = pearson(x, y)
        assert found is not None
        assert -1.0 <= found.low <= found.value <= found.high <= 1.0


class TestCosts:
    def test_those_that_made_the_times_are_found(self) -> None:
        features = some_features(60)
        found = fitted(features, times(features, 0.0))
        assert found.base_s == pytest.approx(TRUTH.base_s, rel=1e-6)
        assert found.file_s == pytest.approx(TRUTH.file_s, rel=1e-6)
        assert found.value_s == pytest.approx(TRUTH.value_s, rel=1e-6)
        assert found.megabyte_s == 0.0

    def test_scatter_does_not_pull_them_down(self) -> None:
        features = some_features(2000)
        rng = np.random.default_rng(3)
        # Uniform about the truth: its mean is the truth, so no cost is too low or too high.
        run_s = predicted(TRUTH, features) * rng.uniform(0.4, 1.6, len(features))
        whole = predicted(fitted(features, run_s), features).sum()
        assert whole == pytest.approx(predicted(TRUTH, features).sum(), rel=0.02)

    def test_one_stall_says_little(self) -> None:
        features = some_features(60)
        run_s = times(features, 0.05)
        before = fitted(features, run_s)
        run_s[5] *= 1000.0
        after = fitted(features, run_s)
        assert predicted(after, features).sum() < 1.2 * predicted(before, features).sum()

    @given(st.lists(st.tuples(st.integers(0, 500), st.floats(1e-4, 1e3)), min_size=2, max_size=30))
    def test_they_are_never_negative(self, found: list[tuple[int, float]]) -> None:
        features = [Features(files=files, values=2 * files) for files, _ in found]
        costs = fitted(features, np.array([run_s for _, run_s in found]))
        assert min(costs.base_s, costs.file_s, costs.megabyte_s, costs.value_s) >= 0.0

    def test_out_of_sample_a_request_knows_nothing_of_itself(self) -> None:
        features = some_features(40)
        run_s = times(features, 0.05)
        whole = out_of_sample(features, run_s, seed=1)
        run_s[7] *= 50.0
        assert out_of_sample(features, run_s, seed=1)[7] == whole[7]
        assert (out_of_sample(features, run_s, seed=1) != whole).any()


class TestErrors:
    def test_nine_in_ten_hold_what_the_planner_reckons_with(self) -> None:
        features = some_features(3000)
        predicted_s = predicted(TRUTH, features)
        for scatter in (0.05, 0.2, 0.5):
            readings = np.stack([times(features, scatter, seed) for seed in (5, 6)], axis=1)
            errors = errors_of(readings, predicted_s)
            model = run_times(TRUTH, errors)
            limits = np.array([model.quantile_s(each, 0.9) for each in features])
            found = accuracy(times(features, scatter, 9), predicted_s, limits)
            assert found.coverage_90 == pytest.approx(0.9, abs=0.025), scatter

    def test_a_long_tail_is_covered_too(self) -> None:
        """One reading in six takes twice its time, as on a machine that others use."""
        features = some_features(3000)
        predicted_s = predicted(TRUTH, features)
        rng = np.random.default_rng(1)
        held_up = np.where(rng.random((3000, 3)) < 1 / 6, 2.0, 1.0) * rng.lognormal(
            0, 0.05, (3000, 3)
        )
        errors = errors_of(predicted_s[:, None] * held_up[:, :2], predicted_s)
        assert errors.level == pytest.approx(1.0, abs=0.03)
        limits = (
            predicted_s
            * run_times(TRUTH, errors).quantile_s(Features(), 0.9)
            / (scaled(TRUTH, errors.level).base_s)
        )
        found = accuracy(predicted_s * held_up[:, 2], predicted_s, limits)
        assert 0.85 <= found.coverage_90 <= 0.95

    def test_a_slow_first_round_is_common_to_all(self) -> None:
        features = some_features(500)
        predicted_s = predicted(TRUTH, features)
        warm = times(features, 0.1)
        alike = errors_of(np.stack([warm, warm], axis=1), predicted_s)
        cold = errors_of(np.stack([1.8 * warm, warm], axis=1), predicted_s)
        assert cold.level == pytest.approx(alike.level)
        assert alike.common_error == COMMON_ERROR_MIN
        assert cold.common_error > 0.4
        assert cold.ratios == alike.ratios

    def test_the_level_is_that_of_single_readings(self) -> None:
        features = some_features(300)
        predicted_s = predicted(TRUTH, features)
        errors = errors_of(np.stack([1.2 * predicted_s] * 2, axis=1), predicted_s)
        assert errors.level == pytest.approx(1.2)
        assert run_times(TRUTH, errors).prior.file_s == pytest.approx(1.2 * TRUTH.file_s)
        assert errors.ratios == pytest.approx([1.0] * 7)

    def test_accuracy_by_hand(self) -> None:
        run_s = np.array([1.0, 2.0, 3.0, 4.0])
        found = accuracy(run_s, np.array([1.0, 2.0, 2.0, 5.0]), np.array([1.0, 1.5, 4.0, 4.0]))
        assert found.requests == 4
        assert found.r2 == pytest.approx(1.0 - 2.0 / 5.0)
        assert found.median_error == pytest.approx((0.0 + 0.2) / 2)
        assert found.coverage_90 == 0.75
