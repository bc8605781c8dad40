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


def measure() -> dict[str, float]:
    """Return errors and coverage for all held-out requests and by kind; empty without the data."""
    if not UNPACK.exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="slackwater-bench-") as folder:
        place = Path(folder)
        subprocess.run(["bash", UNPACK, place / "argo"], check=True, capture_output=True)
        samples = _read(place / "argo", place)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(samples)).tolist()
    seen = [samples[i] for i in order[::2]]
    held_out = [samples[i] for i in order[1::2]]
    fit = fit_of(seen, seed=1)
    whole = _judged(fit, held_out)
    figures = {
        "run_time_scatter": fit.errors.scatter,
        "run_time_common_error": fit.errors.common_error,
        "run_time_coverage_90_off": abs(whole.coverage_90 - QUANTILE),
        "run_time_wall_to_cpu": sum(one.wall_s[-1] for one in samples)
        / sum(one.cpu_s[-1] for one in samples),
    }
    figures |= _figures("all", whole)
    for kind in sorted({sample.request.kind for sample in held_out}):
        inside = [sample for sample in held_out if sample.request.kind == kind]
        figures |= _figures(kind, _judged(fit, inside))
    small = [sample for sample in held_out if sample.request.features.files < 10]
    return figures | _figures("below_10_files", _judged(fit, small))


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
        f"run_time_requests_{name}": judged.requests,
        f"run_time_r2_{name}": judged.r2,
        f"run_time_error_median_{name}": judged.median_error,
        f"run_time_coverage_90_{name}": judged.coverage_90,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
