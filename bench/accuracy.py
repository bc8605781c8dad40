"""Predicted against measured run times, on requests that the calibration did not see.

Wants the real subset beside the project (``../shared/data/argo``); without it there is nothing to
measure. Half of the requests calibrate, the other half judge. All are read in the same two rounds
and in random order, so that what else the machine does strikes both halves alike.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.calibration.measuring import Sample
from controller.calibration.measuring import measure as measured
from controller.calibration.requests import draw_requests
from controller.calibration.statistics import Accuracy, accuracy
from controller.calibration.study import Fit, fit_of
from controller.config.settings import ARGO_DOI

UNPACK = Path(__file__).parents[2] / "shared" / "data" / "argo" / "unpack.sh"
REQUESTS = 480
"""Half of them judge: the coverage of their 90 % quantile is then good to two hundredths, and that
of the quantile itself as much again."""
QUANTILE = 0.9
SMALL_FILES = 10


def measure() -> dict[str, float]:
    """Return errors and coverage for all held-out requests and by kind; empty without the data."""
    if not UNPACK.exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="slackwater-bench-") as folder:
        place = Path(folder)
        subprocess.run(["bash", UNPACK, place / "argo"], check=True, capture_output=True)
        samples = _read(place / "argo", place)
    return figures_of(samples)


def figures_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Return what one half of the samples says of the other, by elapsed and by processor time."""
    order = np.random.default_rng(1).permutation(len(samples)).tolist()
    seen, held_out = ([samples[i] for i in order[first::2]] for first in (0, 1))
    fit = fit_of(seen, seed=1)
    whole = _judged(fit, held_out)
    waited = sum(one.wall_s[-1] for one in samples) / sum(one.cpu_s[-1] for one in samples)
    figures = {
        "run_time_scatter": fit.errors.scatter,
        "run_time_common_error": fit.errors.common_error,
        "run_time_coverage_90_off": abs(whole.coverage_90 - QUANTILE),
        "run_time_wall_to_cpu": waited,
    }
    small = [sample for sample in held_out if sample.request.features.files < SMALL_FILES]
    groups = {"all": held_out, f"below_{SMALL_FILES}_files": small}
    for kind in sorted({sample.request.kind for sample in held_out}):
        groups[kind] = [sample for sample in held_out if sample.request.kind == kind]
    for name, inside in groups.items():
        figures |= _figures(f"run_time_{name}", _judged(fit, inside))
    # What is left of the error where other work on the machine is not counted.
    by_cpu = fit_of([_by_cpu(sample) for sample in seen], seed=1)
    return figures | _figures("cpu_time_all", _judged(by_cpu, [_by_cpu(one) for one in held_out]))


def _by_cpu(sample: Sample) -> Sample:
    return replace(sample, wall_s=sample.cpu_s)


def _read(archive: Path, folder: Path) -> list[Sample]:
    address = ArchiveAddress(url=str(archive))
    opened = open_archive(address)
    catalogue = Catalogue.load(opened)
    application = ArgoApplication(
        dataset=ARGO_DOI,
        archive=address,
        fragments_url=str(folder),
        staging_url=str(folder),
        catalogue=catalogue,
    )
    requests = draw_requests(catalogue, REQUESTS, seed=11, area_share=0.0)
    return measured(application, opened, requests, folder=folder, seed=1)


def _judged(fit: Fit, samples: Sequence[Sample]) -> Accuracy:
    features = [sample.request.features for sample in samples]
    return accuracy(
        np.array([sample.wall_s[-1] for sample in samples]),
        np.array([fit.times.quantile_s(each, 0.5) for each in features]),
        np.array([fit.times.quantile_s(each, QUANTILE) for each in features]),
    )


def _figures(name: str, judged: Accuracy) -> dict[str, float]:
    return {
        f"{name}_requests": judged.requests,
        f"{name}_r2": judged.r2,
        f"{name}_error_median": judged.median_error,
        f"{name}_coverage_90": judged.coverage_90,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
