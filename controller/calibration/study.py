"""One calibration from beginning to end: draw, read, fit, judge, advise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.build import BUILD
from controller.calibration.advice import Choice, WholeArchive, compare
from controller.calibration.measuring import ROUNDS, Sample, measure
from controller.calibration.record import Calibration, plain_url
from controller.calibration.requests import BASE, draw_requests
from controller.calibration.statistics import (
    QUANTILE,
    Accuracy,
    Errors,
    accuracy,
    errors_of,
    fitted,
    out_of_sample,
    run_times,
)
from controller.calibration.table import Table, tables
from controller.destinations import without_user
from controller.errors import CalibrationError
from partitioners.catalogue import BUILT_IN
from planner.durations import RunTimes
from planner.extent import Extent, Floats
from planner.model import Features, UnitCosts

SAMPLES = 120
"""Requests by default: about a minute on a local archive."""

SAMPLES_MIN = 20
"""Fewer requests than this cannot tell four costs and their errors apart."""

Started = Callable[[int], Callable[[int], None]]
"""Is told how many files will be read; what it returns is told of each few that were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The duration model of an archive, and how good it is.

    Parameters
    ----------
    costs : UnitCosts
        At the level of single readings.
    errors : Errors
    accuracy : Accuracy
        Out of sample, of single readings with warm caches.
    accuracy_with_sizes : Accuracy
        The same of a model that also knows how large the files are.
    predicted_s : array of shape (samples,)
        Out of sample [s].
    """

    costs: UnitCosts
    errors: Errors
    accuracy: Accuracy
    accuracy_with_sizes: Accuracy
    predicted_s: Floats

    @property
    def times(self) -> RunTimes:
        """The planner's own model, as it begins after this calibration."""
        return RunTimes(
            prior=self.costs,
            prior_common_error=self.errors.common_error,
            scatter2=self.errors.scatter**2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All that a calibration found.

    Parameters
    ----------
    samples : tuple of Sample
    tables : tuple of Table
        The chapter's Table 1, for each design and kind.
    fit : Fit
    choices : tuple of Choice
        Cuts of the whole archive, the quickest first.
    archive_s : float
        What reading all of it would take one worker [s].
    calibration : Calibration
        What is kept.
    """

    samples: tuple[Sample, ...]
    tables: tuple[Table, ...]
    fit: Fit
    choices: tuple[Choice, ...]
    archive_s: float
    calibration: Calibration

    @property
    def cold(self) -> float:
        """How many times as long the first readings took as the later ones."""
        first, later = np.array([sample.wall_s for sample in self.samples]).T[:2]
        return float(np.median(first / later))

    @property
    def waiting(self) -> float:
        """Elapsed time over processor time of the later readings: 1 is no waiting."""
        wall = sum(sample.wall_s[-1] for sample in self.samples)
        return wall / sum(sample.cpu_s[-1] for sample in self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to calibrate, and how.

    Parameters
    ----------
    url : str
        Of the archive.
    dataset : str
    workers : int
        That the advice is for.
    samples : int
    seed : int
    """

    url: str
    dataset: str
    workers: int
    samples: int = SAMPLES
    seed: int = 1


def calibrate(
    order: Order, folder: Path, started: Started = lambda files: lambda more: None
) -> Study:
    """Measure an archive.

    Parameters
    ----------
    order : Order
    folder : Path
        For fragments, each of which is deleted at once.
    started : callable
        Is told what will be read, see `Started`.

    Raises
    ------
    ArchiveError
        There is no such archive, or its index cannot be read or lists nothing.
    CalibrationError
        It holds too little to tell anything.
    """
    # Declared latency is added where costs are used, so it is not waited for here.
    address = ArchiveAddress(url=order.url)
    archive = open_archive(address)
    catalogue = Catalogue.load(archive)
    requests = draw_requests(catalogue, order.samples, order.seed)
    if len(requests) < SAMPLES_MIN:
        raise CalibrationError(
            f"the archive {without_user(order.url)} gave {len(requests)} requests to measure,"
            f" fewer than the {SAMPLES_MIN} that tell anything",
            fix="A calibration wants an archive of some hundred profiles, and --samples above 20",
        )
    application = ArgoApplication(
        dataset=order.dataset,
        archive=address,
        fragments_url=str(folder),
        staging_url=str(folder),
        catalogue=catalogue,
    )
    advance = started(ROUNDS * sum(request.features.files for request in requests))
    samples = measure(
        application, archive, requests, folder=folder, seed=order.seed, advance=advance
    )
    return _found(order, catalogue, samples)


def _found(order: Order, catalogue: Catalogue, samples: Sequence[Sample]) -> Study:
    fit = fit_of(samples, order.seed)
    if fit.costs.file_s + fit.costs.value_s <= 0.0:
        raise CalibrationError(
            f"times measured on {without_user(order.url)} do not grow with the files read",
            fix="Something else took the time: calibrate again on a machine with less to do",
        )
    kind = Kind.CORE if Kind.CORE in catalogue.kinds else max(catalogue.kinds)
    load = WholeArchive(
        density=catalogue.density(Extent(), BASE, kind),
        parameters=CORE_PARAMETERS if kind is Kind.CORE else (),
        costs=fit.costs,
        scatter=fit.errors.scatter,
        workers=order.workers,
        seed=order.seed,
    )
    return Study(
        samples=tuple(samples),
        tables=tuple(tables(samples, order.seed)),
        fit=fit,
        choices=tuple(compare(load, BUILT_IN)),
        archive_s=float(load.density.cost_s(fit.costs, load.extent).sum()),
        calibration=_record(order, samples, fit),
    )


def fit_of(samples: Sequence[Sample], seed: int) -> Fit:
    """Return the duration model of these samples.

    The proportions of the costs come from the lesser of each request's times, which chance
    disturbed less; their level and errors from single readings, for a worker reads once.
    """
    features = [sample.request.features for sample in samples]
    least_s = np.array([sample.run_s for sample in samples])
    readings_s = np.array([sample.wall_s for sample in samples])
    sized = [
        replace(each, size_bytes=sample.size_bytes)
        for each, sample in zip(features, samples, strict=True)
    ]
    predicted_s = out_of_sample(features, least_s, seed)
    errors = errors_of(readings_s, predicted_s)
    return Fit(
        costs=run_times(fitted(features, least_s), errors).prior,
        errors=errors,
        accuracy=_judged(readings_s, predicted_s),
        accuracy_with_sizes=_judged(readings_s, out_of_sample(sized, least_s, seed)),
        predicted_s=predicted_s * errors.level,
    )


def _judged(readings_s: Floats, predicted_s: Floats) -> Accuracy:
    """Return how well predictions did, at their own level, within and with their own errors."""
    errors = errors_of(readings_s, predicted_s)
    flat = run_times(UnitCosts(base_s=1.0, file_s=0.0, megabyte_s=0.0, value_s=0.0), errors)
    stretch = flat.quantile_s(Features(), QUANTILE)
    return accuracy(readings_s[:, -1], predicted_s * errors.level, predicted_s * stretch)


def _record(order: Order, samples: Sequence[Sample], fit: Fit) -> Calibration:
    return Calibration(
        archive=plain_url(order.url),
        dataset=order.dataset,
        application=ArgoApplication.name,
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        build=BUILD,
        costs=fit.costs,
        scatter=fit.errors.scatter,
        common_error=fit.errors.common_error,
        ratios=fit.errors.ratios,
        accuracy=fit.accuracy,
        files=sum(sample.request.features.files for sample in samples),
    )
