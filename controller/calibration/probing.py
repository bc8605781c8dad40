"""Samples a dataset that has no index: what small parts cost, and where the work therefore lies.

Three kinds of parts are read with the application's own `extract`: *empty* ones, so small that they
hold nothing, tell what every part costs anew; *probes*, one in each of many strata, tell what lies
in them; *checks*, elsewhere and of other strata, were not learned from and tell how good that is.

What a stratum costs is a small difference scaled up, and a machine is never quite at rest. So every
stratum has two probes, opposite each other, empty parts are read twice, and differences between
strata are believed only as far as they exceed those between empty parts (`_believed`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist, median

import numpy as np

from controller.build import BUILD
from controller.calibration.record import Calibration, plain_url
from controller.calibration.requests import BASE
from controller.calibration.statistics import (
    QUANTILE,
    QUANTILES,
    Accuracy,
    Errors,
    accuracy,
    run_times,
)
from controller.interruption import deferred
from controller.ports import Application, Dataset
from partitioners.history import GUESSED_UNIT_S, History, Observation
from partitioners.sampling import SHARE, Probe, probes
from planner.durations import COMMON_ERROR_MIN, SCATTER_MIN, SURPRISE_MAX, TIME_S_MIN
from planner.extent import Extent, Floats
from planner.model import Features, UnitCosts, View

SHARE_FIRST, SHARE_MAX = SHARE / 8, 8 * SHARE
"""Of each stratum that a probe reads: larger ones tell more, so they grow while that is cheap."""

GROWTH_MIN, GROWTH_MAX = 1.5, 8.0
"""From round to round: less is not worth a round, and more than twice the sides a leap."""

ROUND_S_MAX = 60.0
"""No round is begun that is expected to take longer [s]; so a sample takes a few minutes, whatever
the size of the dataset, but for a first round that must be."""

EMPTY = 9
EMPTY_SHARE = 1e-12
"""Parts so small that they hold nothing, or one thing by chance: the median does not mind."""

OUTLYING = 1.4826
"""A standard deviation over a median absolute deviation, of normal errors."""

STRATA_A_CHECK = 10
CHECKS_MIN = 6
"""A check for every so many probes, and never fewer than say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A part that was not learned from.

    Parameters
    ----------
    extent : Extent
    run_s, predicted_s : float
        What it took, and what the sample says that it takes [s].
    """

    extent: Extent
    run_s: float
    predicted_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """All that a sample found.

    Parameters
    ----------
    base_s : float
        What every part costs anew [s].
    share : float
        Of each stratum that was read last.
    readings : int
        Parts read [count].
    trust : float
        Share of the differences between strata that cannot be chance, in [0, 1].
    probes : tuple of (Probe, Probe, float)
        Of the last round, the two of each stratum with what they took on average [s].
    checks : tuple of Check
    calibration : Calibration
        What is kept.
    """

    base_s: float
    share: float
    readings: int
    trust: float
    probes: tuple[tuple[Probe, Probe, float], ...]
    checks: tuple[Check, ...]
    calibration: Calibration

    @property
    def work_s(self) -> float:
        """What reading all takes besides what every part costs anew [s]."""
        return math.fsum(seen.cost_s for seen in self.calibration.history)

    @property
    def heaviest_tenth(self) -> float:
        """Share of the work that lies in the heaviest tenth of the strata."""
        costs_s = sorted((seen.cost_s for seen in self.calibration.history), reverse=True)
        few = costs_s[: max(1, len(costs_s) // 10)]
        return math.fsum(few) / self.work_s if self.work_s else 0.0


Planned = Callable[[int], Callable[[int], None]]
"""Is told how many more parts will be read; what it returns is told of each."""


def sample(
    dataset: Dataset,
    extent: Extent,
    strata: int,
    *,
    folder: Path,
    seed: int = 1,
    planned: Planned = lambda parts: lambda more: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Sampling:
    """Return what reading a dataset without an index takes, and where.

    Parameters
    ----------
    dataset : Dataset
        Its application leaves fragments in `folder`.
    extent : Extent
        Its period is closed.
    strata : int
        How many the extent is divided into; fewer where it cannot be cut so often.
    folder : Path
        Emptied after each part.
    seed : int
        Of the order in which parts are read: a machine that grows slower is no matter of place.
    planned, clock : callable

    Raises
    ------
    planner.errors.SlackwaterError
        As the application's `extract`.
    """
    reader = _Reader(dataset.application, extent, folder, np.random.default_rng(seed), clock)
    empty = [each.extent for each in probes(extent, EMPTY, EMPTY_SHARE)]
    # The first call of a process imports and fills caches; workers are past that.
    reader.read(empty[:1], lambda more: None)
    advance = planned(2 * len(empty))
    idle_s = _means(reader.read(empty, advance), reader.read(empty, advance))
    base_s = median(idle_s)
    share, probed = _rounds(reader, extent, strata, base_s, planned)
    trust, works_s = _believed([run_s - base_s for *_, run_s in probed], idle_s)
    history = tuple(
        Observation(
            extent=replace(probe.stratum, parameters=()), cost_s=probe.stratum_cost_s(work_s)
        )
        for (probe, *_), work_s in zip(probed, works_s, strict=True)
    )
    wanted = max(CHECKS_MIN, strata // STRATA_A_CHECK)
    windows = [each.extent for each in probes(extent, wanted, share)]
    runs_s = reader.read(windows, planned(len(windows)))
    checks = _checked(windows, runs_s, base_s, history)
    return Sampling(
        base_s=base_s,
        share=share,
        readings=reader.readings,
        trust=trust,
        probes=probed,
        checks=checks,
        calibration=_record(dataset, base_s, history, checks),
    )


def _rounds(
    reader: _Reader, extent: Extent, strata: int, base_s: float, planned: Planned
) -> tuple[float, tuple[tuple[Probe, Probe, float], ...]]:
    """Probe every stratum with ever larger probes while that is cheap; return the last round."""
    share = SHARE_FIRST
    while True:
        drawn = probes(extent, strata, share)
        runs_s = reader.read([probe.extent for probe in drawn], planned(len(drawn)))
        idle_s = base_s * len(drawn)
        growth = (ROUND_S_MAX - idle_s) / max(math.fsum(runs_s) - idle_s, TIME_S_MIN)
        larger = min(SHARE_MAX, share * min(growth, GROWTH_MAX))
        if larger < GROWTH_MIN * share:
            break
        share = larger
    opposite = probes(extent, strata, share, mirrored=True)
    opposite_s = reader.read([probe.extent for probe in opposite], planned(len(opposite)))
    return share, tuple(zip(drawn, opposite, _means(runs_s, opposite_s), strict=True))


def _means(first_s: Sequence[float], second_s: Sequence[float]) -> list[float]:
    return [(first + second) / 2.0 for first, second in zip(first_s, second_s, strict=True)]


def _believed(works_s: Sequence[float], idle_s: Sequence[float]) -> tuple[float, list[float]]:
    """Return what is believed of the work of each probe, given what empty parts took.

    Returns
    -------
    float
        How far differences are believed, in [0, 1].
    list of float
        Each probe's work, drawn that much toward their mean [s].

    Notes
    -----
    Where all differences are chance all strata are held to be alike, so that a cut by them is no
    worse than an even one (C. Stein's estimator; the chance is judged robustly, by medians). The
    mean is taken with its negative works, or chance would add up where little lies.
    """
    works, idle = np.array(works_s), np.array(idle_s)
    chance_s = OUTLYING * float(np.median(np.abs(idle - np.median(idle))))
    mean_s = max(0.0, float(works.mean()))
    spread2 = float(((works - mean_s) ** 2).mean())
    trust = max(0.0, 1.0 - chance_s**2 / spread2) if spread2 > TIME_S_MIN**2 else 0.0
    return trust, np.maximum(0.0, mean_s + trust * (works - mean_s)).tolist()


class _Reader:
    """Reads parts as a worker would, and takes the time."""

    def __init__(
        self,
        application: Application,
        whole: Extent,
        folder: Path,
        random: np.random.Generator,
        clock: Callable[[], float],
    ) -> None:
        self._application = application
        self._view: View = application.view(whole.box, whole.period, whole.parameters, ())
        self._folder = folder
        self._random = random
        self._clock = clock
        self.readings = 0

    def read(self, extents: Sequence[Extent], advance: Callable[[int], None]) -> list[float]:
        """Return what reading each takes [s]; they are read in a random order."""
        taken_s = [0.0] * len(extents)
        for place in self._random.permutation(len(extents)).tolist():
            # An exception that a signal raises inside a library's callback would be lost there.
            with deferred():
                taken_s[place] = self._read(extents[place])
            advance(1)
        return taken_s

    def _read(self, extent: Extent) -> float:
        self.readings += 1
        order = self._application.part_order(
            self._view,
            replace(extent, parameters=self._view.extent.parameters),
            BASE,
            f"calibration-{self.readings}",
        )
        began = self._clock()
        self._application.extract(order)
        taken_s = self._clock() - began
        for fragment in self._folder.iterdir():
            fragment.unlink()
        return taken_s


def _checked(
    windows: Sequence[Extent],
    runs_s: Sequence[float],
    base_s: float,
    history: Sequence[Observation],
) -> tuple[Check, ...]:
    known = History()
    for seen in history:
        known.learn(seen.extent, seen.cost_s)
    checks = []
    for window, run_s in zip(windows, runs_s, strict=True):
        density = known.density(window)
        work_s = 0.0 if density is None else GUESSED_UNIT_S * float(density.files.sum())
        predicted_s = max(TIME_S_MIN, base_s + work_s)
        checks.append(Check(extent=window, run_s=run_s, predicted_s=predicted_s))
    return tuple(checks)


def _judged(checks: Sequence[Check]) -> tuple[Errors, Accuracy]:
    """Return how far the checks lie from what was predicted of them.

    Notes
    -----
    As `controller.calibration.statistics.errors_of`: the scatter is what a 90 % quantile needs, the
    common error by how much all together missed, with what so few leave open.
    """
    run_s, predicted_s = np.array([(each.run_s, each.predicted_s) for each in checks]).T
    ratios: Floats = np.minimum(run_s / predicted_s, 1.0 + SURPRISE_MAX)
    needed = (float(np.quantile(ratios, QUANTILE)) - 1.0) / NormalDist().inv_cdf(QUANTILE)
    scatter = max(SCATTER_MIN, needed)
    missed = float(run_s.sum() / predicted_s.sum()) - 1.0
    errors = Errors(
        level=1.0,
        scatter=scatter,
        common_error=max(COMMON_ERROR_MIN, math.hypot(missed, scatter / math.sqrt(len(checks)))),
        ratios=tuple(map(float, np.quantile(ratios, QUANTILES))),
    )
    flat = run_times(UnitCosts(base_s=1.0, file_s=0.0, megabyte_s=0.0, value_s=0.0), errors)
    stretch = flat.quantile_s(Features(), QUANTILE)
    return errors, accuracy(run_s, predicted_s, predicted_s * stretch)


def _record(
    dataset: Dataset, base_s: float, history: tuple[Observation, ...], checks: Sequence[Check]
) -> Calibration:
    errors, judged = _judged(checks)
    return Calibration(
        archive=plain_url(dataset.archive),
        dataset=dataset.identifier,
        application=dataset.application.name,
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        build=BUILD,
        costs=UnitCosts(base_s=base_s, file_s=GUESSED_UNIT_S, megabyte_s=0.0, value_s=0.0),
        scatter=errors.scatter,
        common_error=errors.common_error,
        ratios=errors.ratios,
        accuracy=judged,
        files=len(history),
        history=history,
    )
