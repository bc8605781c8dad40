"""How long parts, boots and deliveries take: learned online, from a stated prior.

Every model is bounded plain data (numbers, lists, dicts), so that a snapshot holds it whole. Each
starts from a prior that counts as a few observations: it is useful before the first measurement,
and no single one overthrows it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import mul
from statistics import NormalDist

from planner.evidence import Spread
from planner.model import Features, UnitCosts

DEFAULT_COSTS = UnitCosts(base_s=0.02, file_s=0.0035, megabyte_s=0.0, value_s=0.0001)
"""What reading Argo profiles with netCDF4 costs until it is measured: 1,117 files of three
parameters took 3.7 CPU seconds, 3.3 ms a file; rounded up, plus the start of a part."""

COST_SCALES = UnitCosts(base_s=0.02, file_s=0.001, megabyte_s=0.02, value_s=0.0001)
"""How far a cost may lie from a prior of zero: a disc of 50 MB/s, a file opened in 1 ms."""

OBSERVATIONS_MAX = 256
"""Boots and deliveries remembered of each kind: enough for a 99th percentile, and recent."""

PRIOR_WEIGHT = 4.0
"""A prior counts as this many observations."""

TIME_S_MIN = 1e-4
"""No prediction is shorter [s]: nothing that reads a file and writes a fragment is."""

MEMORY_PARTS = 200
"""About the last so many times count: enough to average, few enough to follow a slower disc."""

SURPRISE_MAX = 3.0
"""A time that exceeds its prediction by more than this many times says less the longer it is: one
stall of a disc or network must not overthrow a model."""

SCATTER_PRIOR = 0.3
"""Relative scatter of single parts about their prediction, until measured."""

SCATTER_MIN = 0.02
"""Nothing is measured better than this: clocks, discs and neighbours see to it."""

COMMON_ERROR_PRIOR, COMMON_ERROR_MIN = 0.3, 0.05
"""Relative error that all predictions share: at the start, and however much was learned."""

START_VARIANCE = 4.0
"""Squared error of a coefficient that nobody measured, in units of the squared scatter: the first
few observations count for more than it does."""


@dataclass(slots=True)
class Regression:
    """A linear model with coefficients that are never negative, by recursive least squares.

    Parameters
    ----------
    coefficients : list of float, length n
        Best near 1: let the inputs carry the scale.
    covariance : list of float, length n * n
        Of the coefficients, row by row, in units of the squared relative scatter.

    Notes
    -----
    Errors grow with the time that is predicted, so relative errors are fitted. Older observations
    fade, but only in the direction that a new one informs about: what is not exercised is kept
    (directional forgetting, R. Kulhavy, Automatica 23, 1987).
    """

    coefficients: list[float] = field(default_factory=list)
    covariance: list[float] = field(default_factory=list)

    @classmethod
    def starting_at(
        cls, coefficients: Sequence[float], variance: float = START_VARIANCE
    ) -> Regression:
        """Return a model that knows its coefficients this well, in units of the scatter."""
        n = len(coefficients)
        diagonal = [variance * (i == j) for i in range(n) for j in range(n)]
        return cls(list(coefficients), diagonal)

    def predict(self, inputs: Sequence[float]) -> float:
        """Return the predicted time [s]."""
        predicted: float = sum(map(mul, self.coefficients, inputs))
        return max(TIME_S_MIN, predicted)

    def learn(self, inputs: Sequence[float], run_s: float, news: float = 1.0) -> float:
        """Take one time [s] in; return how far it lay from its prediction, relative to that.

        `news` is how much it tells, an independent observation telling 1.
        """
        expected_s = self.predict(inputs)
        scale_s = max(expected_s, run_s / (1.0 + SURPRISE_MAX)) / math.sqrt(news)
        scaled = [x / scale_s for x in inputs]
        n = len(scaled)
        rows = [self.covariance[i : i + n] for i in range(0, n * n, n)]
        gain = [sum(map(mul, row, scaled)) for row in rows]
        novelty = sum(map(mul, gain, scaled))
        step = (run_s - expected_s) / scale_s / (1.0 + novelty)
        self.coefficients = [
            max(0.0, c + g * step) for c, g in zip(self.coefficients, gain, strict=True)
        ]
        if novelty > 0.0:
            keep = 1.0 - news / MEMORY_PARTS
            weight = keep - (1.0 - keep) / novelty
            share = weight / (1.0 + weight * novelty)
            self.covariance = [
                known - g * h * share
                for g, row in zip(gain, rows, strict=True)
                for h, known in zip(gain, row, strict=True)
            ]
        return min(run_s / expected_s - 1.0, SURPRISE_MAX)


@dataclass(slots=True)
class RunTimes:
    """What the parts of one application take.

    A calibration gives `prior`, `prior_common_error` and the `scatter2` to begin with; the smaller
    the error it states, the longer its costs hold against what parts then take.

    Parameters
    ----------
    prior : UnitCosts
        From a calibration, or the default.
    prior_common_error : float
        Relative error that predictions by it share.
    costs : UnitCosts
        What a unit of each feature is believed to cost now.
    observations : int
        Parts learned from.
    told : float
        How many parts of different tasks would have told as much.
    scatter2 : float
        Mean square of the relative errors of predictions.
    bias : float
        Mean of the relative errors of predictions.
    model : Regression
        Over `Features`, in units of `scales`.
    spread : Spread
        Of the errors that the parts of a task share, and of those that they do not.
    """

    prior: UnitCosts = DEFAULT_COSTS
    prior_common_error: float = COMMON_ERROR_PRIOR
    costs: UnitCosts = DEFAULT_COSTS
    observations: int = 0
    told: float = 0.0
    scatter2: float = SCATTER_PRIOR**2
    bias: float = 0.0
    model: Regression = field(default_factory=Regression)
    spread: Spread = field(default_factory=lambda: Spread.supposing(SCATTER_PRIOR**2))

    def __post_init__(self) -> None:
        """Start from the prior where nothing has been learned."""
        if not self.model.coefficients:
            self.spread = Spread.supposing(self.scatter2)
            pairs = zip(_columns(self.prior), self._scales(), strict=True)
            doubt2 = (self.prior_common_error / COMMON_ERROR_PRIOR) ** 2
            scatter2 = max(self.scatter2, SCATTER_MIN**2)
            variance = START_VARIANCE * doubt2 * SCATTER_PRIOR**2 / scatter2
            coefficients = [cost / scale for cost, scale in pairs]
            self.model = Regression.starting_at(coefficients, min(START_VARIANCE, variance))
            self.costs = self.prior

    @property
    def common_error(self) -> float:
        """Relative error that all predictions are believed to share."""
        ignorance2 = self.prior_common_error**2 * PRIOR_WEIGHT / (PRIOR_WEIGHT + self.told)
        return max(COMMON_ERROR_MIN, math.sqrt(ignorance2 + self.bias**2))

    def learn(self, features: Features, run_s: float, news: float = 1.0) -> None:
        """Take in that a part took this long [reference s].

        Parameters
        ----------
        features : Features
        run_s : float
            [reference s]
        news : float
            How much it tells of all tasks, a part of a new one telling 1 (`Spread.news`).
        """
        amounts = (1.0, features.files, features.size_bytes / 1e6, features.values)
        scales = self._scales()
        inputs = [amount * scale for amount, scale in zip(amounts, scales, strict=True)]
        surprise = self.model.learn(inputs, run_s, news)
        pairs = zip(self.model.coefficients, scales, strict=True)
        base_s, file_s, megabyte_s, value_s = (c * scale for c, scale in pairs)
        self.costs = UnitCosts(base_s=base_s, file_s=file_s, megabyte_s=megabyte_s, value_s=value_s)
        weight = news / (PRIOR_WEIGHT + min(self.told, MEMORY_PARTS) + news)
        self.bias += weight * (surprise - self.bias)
        self.scatter2 += weight * (surprise**2 - self.scatter2)
        self.told += news
        self.observations += 1

    def mean_s(self, features: Features) -> float:
        """Return the expected run time of a part [reference s]."""
        return max(TIME_S_MIN, self.costs.seconds(features))

    def sd_s(self, features: Features) -> float:
        """Return the standard deviation of a part's run time [reference s]."""
        return self.mean_s(features) * math.sqrt(self.scatter2)

    def quantile_s(self, features: Features, q: float) -> float:
        """Return the time within which a part is done with chance `q` [reference s]."""
        return self.total_quantile_s((features,), q)

    def total_quantile_s(self, parts: Sequence[Features], q: float) -> float:
        """Return the work that is not exceeded with chance `q` by parts together [reference s].

        Notes
        -----
        M + z * sqrt(sum sigma^2 + (rho * M)^2), as the planner reckons: the scatter of single parts
        averages out over many, the common error rho does not.
        """
        mean_s = sum(map(self.mean_s, parts))
        scatter_s = math.hypot(*map(self.sd_s, parts), self.common_error * mean_s)
        return max(TIME_S_MIN, mean_s + NormalDist().inv_cdf(q) * scatter_s)

    def _scales(self) -> tuple[float, ...]:
        return tuple(map(max, _columns(self.prior), _columns(COST_SCALES)))


def _columns(costs: UnitCosts) -> tuple[float, float, float, float]:
    return costs.base_s, costs.file_s, costs.megabyte_s, costs.value_s


BOOT_S_DEFAULT = 120.0
"""Boot time of a node type that nobody described [s]."""

BOOT_SIGMA_PRIOR = 0.25
"""Logarithmic scatter of boot times until measured: a P99 of 1.8 times the expectation."""

_STEPS = 200
"""Boot times are kept as quantiles at every half per cent: fine enough for a P99."""


@dataclass(slots=True)
class BootTimes:
    """How long nodes take from request to ready, for each node type.

    Parameters
    ----------
    priors : dict of str to float
        What the provider says [s].
    measured : dict of str to list of float
        The last `OBSERVATIONS_MAX` boots [s].
    tables : dict of str to list of float, length 201
        Quantiles at 0, 0.5, ... 100 %, from both.
    """

    priors: dict[str, float] = field(default_factory=dict)
    measured: dict[str, list[float]] = field(default_factory=dict)
    tables: dict[str, list[float]] = field(default_factory=dict)

    def prior(self, node_type: str, boot_s: float) -> None:
        """State what a node type is said to take [s]."""
        if self.priors.get(node_type) != boot_s:
            self.priors[node_type] = boot_s
            self._tabulate(node_type)

    def learn(self, node_type: str, boot_s: float) -> None:
        """Take in a boot [s]."""
        boots = self.measured.setdefault(node_type, [])
        boots.append(boot_s)
        del boots[:-OBSERVATIONS_MAX]
        self._tabulate(node_type)

    def quantile(self, node_type: str, q: float) -> float:
        """Return the time within which a share `q` of the boots is done [s]."""
        return _interpolated(self._table(node_type), q)

    def remaining(self, node_type: str, age_s: float, q: float, *, lost: float = 0.99) -> float:
        """Return how much longer a boot takes that has taken `age_s` [s] so far, with chance `q`.

        Infinite when it is older than the quantile `lost`: it is then not expected any more.
        """
        table = self._table(node_type)
        if age_s > _interpolated(table, lost):
            return math.inf
        done = _share_below(table, age_s)
        return max(0.0, _interpolated(table, done + q * (1.0 - done)) - age_s)

    def _table(self, node_type: str) -> list[float]:
        if node_type not in self.tables:
            return _boot_table(BOOT_S_DEFAULT, ())
        return self.tables[node_type]

    def _tabulate(self, node_type: str) -> None:
        prior_s = self.priors.get(node_type, BOOT_S_DEFAULT)
        self.tables[node_type] = _boot_table(prior_s, self.measured.get(node_type, ()))


def _boot_table(prior_s: float, measured: Sequence[float]) -> list[float]:
    of = _blended(measured, lambda q: prior_s * _log_normal(q, BOOT_SIGMA_PRIOR))
    return [of(step / _STEPS) for step in range(_STEPS + 1)]


SETTLE_COSTS_PRIOR = (0.5, 0.1)
"""Combining and delivering, until measured: half a second, and 0.1 s a megabyte (writing compressed
NetCDF-4 takes 0.08 s of it)."""

SETTLE_SIGMA_PRIOR = 0.5
"""Logarithmic scatter of that until measured: networks vary more than discs."""


@dataclass(slots=True)
class SettleTimes:
    """How long combining and delivering a product take together.

    Parameters
    ----------
    typical_mb : float
        Mean size of the products so far [MB].
    ratios : list of float
        Of the last `OBSERVATIONS_MAX` products, time taken / time predicted.
    model : Regression
        Over (1, megabytes).
    """

    typical_mb: float = 1.0
    ratios: list[float] = field(default_factory=list)
    model: Regression = field(default_factory=Regression)

    def __post_init__(self) -> None:
        """Start from the prior where nothing has been learned."""
        if not self.model.coefficients:
            self.model = Regression.starting_at([1.0] * len(SETTLE_COSTS_PRIOR))

    def learn(self, size_bytes: int, run_s: float) -> None:
        """Take in that a product of this size took this long [s]."""
        size_mb = size_bytes / 1e6
        self.typical_mb += (size_mb - self.typical_mb) / (PRIOR_WEIGHT + len(self.ratios) + 1.0)
        self.ratios.append(1.0 + self.model.learn(_settle_inputs(size_mb), run_s))
        del self.ratios[:-OBSERVATIONS_MAX]

    def quantile(self, q: float, size_bytes: int | None = None) -> float:
        """Return the time within which a share `q` of products is delivered [s].

        Parameters
        ----------
        q : float
        size_bytes : int, optional
            Of the product; a typical one by default.
        """
        size_mb = self.typical_mb if size_bytes is None else size_bytes / 1e6
        of = _blended(self.ratios, lambda p: _log_normal(p, SETTLE_SIGMA_PRIOR))
        return self.model.predict(_settle_inputs(size_mb)) * of(q)


def _settle_inputs(size_mb: float) -> tuple[float, float]:
    base_s, megabyte_s = SETTLE_COSTS_PRIOR
    return base_s, megabyte_s * size_mb


def _blended(
    measured: Sequence[float], prior: Callable[[float], float]
) -> Callable[[float], float]:
    """Return a quantile function: the weighted mean of the prior's and the empirical one."""
    ordered, n = sorted(measured), len(measured)

    def of(q: float) -> float:
        if n == 0:
            return prior(q)
        place = min(max(q * n - 0.5, 0.0), n - 1.0)
        low = int(place)
        high = min(low + 1, n - 1)
        empirical = ordered[low] + (place - low) * (ordered[high] - ordered[low])
        return (PRIOR_WEIGHT * prior(q) + n * empirical) / (PRIOR_WEIGHT + n)

    return of


@lru_cache(maxsize=1024)
def _log_normal(q: float, sigma: float) -> float:
    """Return a quantile of the log-normal distribution with median 1, cut off in its tails."""
    return math.exp(sigma * NormalDist().inv_cdf(min(max(q, 0.001), 0.999)))


def _interpolated(table: Sequence[float], q: float) -> float:
    place = min(max(q, 0.0), 1.0) * (len(table) - 1)
    low = min(int(place), len(table) - 2)
    return table[low] + (place - low) * (table[low + 1] - table[low])


def _share_below(table: Sequence[float], value: float) -> float:
    """Return the share of a distribution, given as quantiles, that lies below a value."""
    above = bisect_right(table, value)
    if above == 0:
        return 0.0
    if above == len(table):
        return 1.0
    low, high = table[above - 1], table[above]
    return (above - 1 + (value - low) / (high - low)) / (len(table) - 1)
