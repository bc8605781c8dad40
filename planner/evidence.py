"""What a task's own parts tell of the rest of it: errors that the parts of one task share.

A prediction knows what will be read, not that one region's profiles are long or lie on a slow disc.
Such an error is common to the parts of a task. So the true length of a part is taken for

    predicted * A * e,    ln A ~ N(-s/2, s),    ln e ~ N(-o/2, o)

with A the task's own factor and e what every part has for itself; both are 1 on average. The two
variances s and o are learned from the tasks that are done (`Spread`). From the parts of a task that
are finished, and from those that run for longer than was predicted, follows what is believed of its
A (`Evidence.belief`): with s much larger than o one part tells nearly all, with o much larger
hundreds tell little. It is the shrinkage of Buhlmann's credibility theory (ASTIN Bulletin 4, 1967)
for logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

SHARED_MIN, OWN_MIN = 0.02**2, 0.02**2
"""Nothing is measured better than this: clocks, discs and neighbours see to it."""

SHARED_MAX, OWN_MAX = 2.0, 2.0
"""Nothing is believed worse than this, a factor of four either way: it is as good as knowing
nothing. Above 4 the correction for the mean of a logarithm would make a variance feed on itself."""

PRIOR_TASKS = 4.0
"""The prior counts as so many tasks."""

MEMORY_TASKS = 100
"""About the last so many tasks count."""

SURPRISE_SHARE_MAX = 9.0
"""A task tells at most so many times the variance that is believed: one that hung for an hour must
not make all others doubtful."""


@dataclass(slots=True)
class Spread:
    """How far the run times of an application's parts lie from their predictions.

    Parameters
    ----------
    shared2 : float
        Variance of the logarithm of what the parts of a task share.
    own2 : float
        Variance of the logarithm of what each part has for itself.
    tasks : int
        Tasks learned from.
    """

    shared2: float
    own2: float
    tasks: int = 0

    @classmethod
    def supposing(cls, scatter2: float) -> Spread:
        """Return what is supposed until measured: half of the scatter is shared by a task.

        Parameters
        ----------
        scatter2 : float
            Squared relative scatter of single parts.
        """
        half2 = math.log1p(scatter2) / 2.0
        return cls(
            shared2=_bounded(half2, SHARED_MIN, SHARED_MAX), own2=_bounded(half2, OWN_MIN, OWN_MAX)
        )

    @property
    def own(self) -> float:
        """Relative standard deviation of a part, were its task's factor known."""
        return math.sqrt(math.expm1(self.own2))

    def learn(self, evidence: Evidence, level: float) -> None:
        """Take in what the parts of a task came to; for the level see `Evidence`."""
        n = evidence.parts
        if n == 0:
            return
        mean = evidence.log_sum / n - level
        weight = 1.0 / (PRIOR_TASKS + min(self.tasks, MEMORY_TASKS) + 1.0)
        about = mean + (self.shared2 + self.own2) / 2.0
        shared2 = min(about**2 - self.own2 / n, SURPRISE_SHARE_MAX * self.shared2)
        if n > 1:
            own2 = max(0.0, evidence.log_square_sum - evidence.log_sum**2 / n) / (n - 1)
            own2 = min(own2, SURPRISE_SHARE_MAX * self.own2)
            self.own2 = _bounded(self.own2 + weight * (own2 - self.own2), OWN_MIN, OWN_MAX)
        shared2 = self.shared2 + weight * (shared2 - self.shared2)
        self.shared2 = _bounded(shared2, SHARED_MIN, SHARED_MAX)
        self.tasks += 1

    def news(self, parts: int) -> float:
        """Return how much the next part of a task tells of all tasks, a first one telling 1.

        Parameters
        ----------
        parts : int
            Those of the task that are finished.
        """
        single = self.shared2 + self.own2
        before = parts / (self.own2 + parts * self.shared2)
        return single * ((parts + 1) / (self.own2 + (parts + 1) * self.shared2) - before)


def _bounded(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


class Belief(NamedTuple):
    """What is believed of a task's factor.

    Parameters
    ----------
    factor : float
        Its expectation.
    doubt : float
        Its standard deviation, relative to that.
    """

    factor: float
    doubt: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the parts of one task have told so far.

    Parameters
    ----------
    parts : int
        Finished ones.
    log_sum, log_square_sum : float
        Of the logarithms of their true over their predicted length, with the level added at which
        each was predicted.

    Notes
    -----
    Predictions move, not least because of what this very task tells; it must not count twice. So
    what was told is kept apart from the *level* of predictions, the logarithm of what is predicted
    for some fixed part of the task, and held against the level of the day.
    """

    parts: int = 0
    log_sum: float = 0.0
    log_square_sum: float = 0.0

    def and_of(self, ratio: float, level: float = 0.0) -> Evidence:
        """Return it with that of a part that took so many times its prediction at this level."""
        told = math.log(ratio) + level
        return Evidence(self.parts + 1, self.log_sum + told, self.log_square_sum + told**2)

    def belief(self, spread: Spread, level: float = 0.0, outrun: float = 0.0) -> Belief:
        """Return what is believed of the task's factor.

        Parameters
        ----------
        spread : Spread
        level : float
            Of the predictions that the factor is to be applied to.
        outrun : float
            Some part has run for so many times its prediction, and runs on.
        """
        shared2, own2 = spread.shared2, spread.own2
        if self.parts == 0 and outrun == 0.0:
            return _belief_of_nothing(shared2)
        certainty = 1.0 / shared2 + self.parts / own2
        told = (self.log_sum + self.parts * (own2 / 2.0 - level)) / own2
        mean, variance = (told - 0.5) / certainty, 1.0 / certainty
        if outrun > 0.0:
            mean, variance = _beyond(mean, variance, own2, math.log(outrun))
        return Belief(math.exp(mean + variance / 2.0), math.sqrt(math.expm1(variance)))


NO_EVIDENCE = Evidence()


@lru_cache(maxsize=64)  # one for all tasks that wait, as long as nothing is learned
def _belief_of_nothing(shared2: float) -> Belief:
    return Belief(1.0, math.sqrt(math.expm1(shared2)))


def _beyond(mean: float, variance: float, own2: float, least: float) -> tuple[float, float]:
    """Return mean and variance of ln A, given that ln A + ln e exceeds some least value.

    Notes
    -----
    Of the sum, a truncated normal; of ln A, its regression on the sum.
    """
    sum_mean, sum2 = mean - own2 / 2.0, variance + own2
    deviation = math.sqrt(sum2)
    alpha = (least - sum_mean) / deviation
    excess = _mills(alpha)
    share = variance / sum2
    narrowed = excess * (excess - alpha)
    return mean + share * deviation * excess, variance * (1.0 - share * narrowed)


def _mills(alpha: float) -> float:
    """Return by how many deviations a standard normal exceeds its mean, given it exceeds alpha."""
    if alpha > _FAR:
        return alpha + 1.0 / alpha
    density = math.exp(-(alpha**2) / 2.0) / math.sqrt(2.0 * math.pi)
    return density / (0.5 * math.erfc(alpha / math.sqrt(2.0)))


_FAR = 20.0  # where the tail is still a number, and its asymptote is right to 1 in 10,000
