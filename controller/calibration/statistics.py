"""What measured times say: correlations with their confidence, costs, and how far off they are.

Pure: arrays in, numbers out; what is random comes from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from planner.durations import (
    COMMON_ERROR_MIN,
    SCATTER_MIN,
    SURPRISE_MAX,
    TIME_S_MIN,
    RunTimes,
)
from planner.extent import Floats
from planner.model import Features, UnitCosts

CONFIDENCE = 0.95
RESAMPLES = 2_000
"""Of the bootstrap: its interval's ends are then good to about a hundredth."""
PAIRS_MIN = 4
"""Fewer pairs say nothing of how sure a correlation is."""
FOLDS = 5
ROUNDS = 20
"""Of reweighting; the costs stand still after three or four."""
QUANTILE = 0.9
"""What plans are made with (`planner.scaling.launch_quantile`)."""
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A correlation coefficient and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def pearson(x: Floats, y: Floats) -> Correlation | None:
    """Return Pearson's correlation, its interval by Fisher's z; None where a side is constant."""
    if not _varies(x, y):
        return None
    value = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if abs(value) == 1.0:
        return Correlation(value=value, low=value, high=value)
    half = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2.0) / math.sqrt(len(x) - 3)
    z = math.atanh(value)
    return Correlation(value=value, low=math.tanh(z - half), high=math.tanh(z + half))


def spearman(x: Floats, y: Floats, seed: int) -> Correlation | None:
    """Return Spearman's correlation, its interval by bootstrap; None where a side is constant."""
    if not _varies(x, y):
        return None
    drawn = np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))
    values = _of_ranks(x[drawn], y[drawn])
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.nanquantile(values, (tail, 1.0 - tail))
    return Correlation(
        value=float(_of_ranks(x[None], y[None])[0]), low=float(low), high=float(high)
    )


def _varies(x: Floats, y: Floats) -> bool:
    return len(x) >= PAIRS_MIN and bool(np.ptp(x) > 0) and bool(np.ptp(y) > 0)


def _of_ranks(x: Floats, y: Floats) -> Floats:
    """Return the correlation of ranks of each row; NaN where all of a side are equal."""
    from scipy.stats import rankdata  # noqa: PLC0415 - half a second that --help can do without

    ranks = [np.asarray(rankdata(side, axis=1), np.float64) for side in (x, y)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    found: Floats = np.full(len(x), np.nan)
    np.divide((a * b).sum(axis=1), scale, out=found, where=scale > 0)
    return found


def fitted(features: Sequence[Features], run_s: Floats) -> UnitCosts:
    """Return the unit costs that explain these times best; none is negative.

    Notes
    -----
    Least squares of relative errors: each is divided by what was predicted the round before, for
    dividing by what was measured would favour costs that are too low. A time that exceeds its
    prediction by more than `SURPRISE_MAX` times says less the longer it is, as in
    `planner.durations`.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - as above

    amounts = np.array([_amounts(each) for each in features])
    # Alike in size, or the solver takes the smallest for nothing.
    units = np.maximum(amounts.max(axis=0), 1.0)
    scale_s = run_s
    coefficients = np.zeros(amounts.shape[1])
    for _ in range(ROUNDS):
        coefficients, _ = nnls(amounts / units / scale_s[:, None], run_s / scale_s)
        predicted_s = np.maximum(amounts / units @ coefficients, TIME_S_MIN)
        scale_s = np.maximum(predicted_s, run_s / (1.0 + SURPRISE_MAX))
    base_s, file_s, megabyte_s, value_s = (coefficients / units).tolist()
    return UnitCosts(base_s=base_s, file_s=file_s, megabyte_s=megabyte_s, value_s=value_s)


def _amounts(features: Features) -> tuple[float, float, float, float]:
    return 1.0, features.files, features.size_bytes / 1e6, features.values


def predicted(costs: UnitCosts, features: Sequence[Features]) -> Floats:
    """Return the predicted times [s]."""
    return np.maximum(TIME_S_MIN, [costs.seconds(each) for each in features])


def out_of_sample(features: Sequence[Features], run_s: Floats, seed: int) -> Floats:
    """Return for each request the time predicted by costs that were fitted without it [s].

    By five folds, drawn at random.
    """
    folds = min(FOLDS, len(features))
    fold = np.random.default_rng(seed).permutation(len(features)) % folds
    found = np.zeros(len(features))
    for number in range(folds):
        inside, outside = (
            np.flatnonzero(side).tolist() for side in (fold == number, fold != number)
        )
        costs = fitted([features[i] for i in outside], run_s[outside])
        found[inside] = predicted(costs, [features[i] for i in inside])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far single readings lie from what was predicted of them, out of sample.

    Parameters
    ----------
    level : float
        What a reading typically takes, over its prediction: multiplies the costs.
    scatter : float
        Relative error of one request, such that the planner's formula for a 90 % quantile holds
        nine in ten.
    common_error : float
        Relative error that all requests of a time share.
    ratios : tuple of float, length 7
        Time / (level * prediction) at the `QUANTILES`.
    """

    level: float
    scatter: float
    common_error: float
    ratios: tuple[float, ...]


def errors_of(readings_s: Floats, predicted_s: Floats) -> Errors:
    """Return the errors of predictions.

    Parameters
    ----------
    readings_s : array of shape (requests, rounds)
        Times of every request in each round of reading [s]; the first may have found the files
        far away on disc, so it says nothing of single requests.
    predicted_s : array of shape (requests,)
        Out of sample [s].

    Notes
    -----
    A round is one state of the machine and its caches: by how much rounds differ as a whole is an
    error that predictions share. On a machine that others use too, errors have a long tail. So a
    median says what is typical, the scatter is what a 90 % quantile needs and not a root mean
    square, and by how much the mean lies above the median is an error that many parts share.
    """
    ratios = np.minimum(readings_s / predicted_s[:, None], 1.0 + SURPRISE_MAX)
    level = float(np.median(ratios[:, 1:]))
    ratios /= level
    late = ratios[:, 1:]
    needed = (float(np.quantile(late, QUANTILE)) - 1.0) / NormalDist().inv_cdf(QUANTILE)
    between = float(np.sqrt(((np.median(ratios, axis=0) - 1.0) ** 2).mean()))
    unsure = needed / math.sqrt(len(predicted_s))
    common = max(COMMON_ERROR_MIN, math.hypot(between, float(late.mean()) - 1.0, unsure))
    return Errors(
        level=level,
        scatter=math.sqrt(max(SCATTER_MIN**2, needed**2 - common**2)),
        common_error=common,
        ratios=tuple(map(float, np.quantile(late, QUANTILES))),
    )


def scaled(costs: UnitCosts, level: float) -> UnitCosts:
    """Return costs that are all higher by a factor."""
    return UnitCosts(
        base_s=costs.base_s * level,
        file_s=costs.file_s * level,
        megabyte_s=costs.megabyte_s * level,
        value_s=costs.value_s * level,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How good predictions are.

    Parameters
    ----------
    requests : int
        Judged by [count].
    r2 : float
        Share of the variance of times that they explain.
    median_error : float
        Median of the relative errors' sizes.
    coverage_90 : float
        Share of the times that the predicted 90 % quantile held.
    """

    requests: int
    r2: float
    median_error: float
    coverage_90: float


def accuracy(run_s: Floats, predicted_s: Floats, quantile_90_s: Floats) -> Accuracy:
    """Return how well times [s] were predicted; all of shape (n,)."""
    variance = float(((run_s - run_s.mean()) ** 2).sum())
    missed = float(((run_s - predicted_s) ** 2).sum())
    return Accuracy(
        requests=len(run_s),
        r2=1.0 - missed / variance if variance > 0 else math.nan,
        median_error=float(np.median(np.abs(run_s / predicted_s - 1.0))),
        coverage_90=float((run_s <= quantile_90_s).mean()),
    )


def run_times(costs: UnitCosts, errors: Errors) -> RunTimes:
    """Return the planner's own model, as it begins after such a calibration."""
    return RunTimes(
        prior=scaled(costs, errors.level),
        prior_common_error=errors.common_error,
        scatter2=errors.scatter**2,
    )
