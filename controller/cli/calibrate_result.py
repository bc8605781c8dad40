"""What `slackwater calibrate` found, as plain data: its JSON, and what its page embeds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from controller.apps.request import iso_instant
from controller.calibration.advice import advised
from controller.calibration.measuring import Sample
from controller.calibration.study import Order, Study
from controller.calibration.table import CHAPTER


def result_of(study: Study, order: Order) -> dict[str, Any]:
    """Return all that was found, fit for JSON."""
    return {
        "order": {**asdict(order), "url": study.calibration.archive},
        "calibration": msgspec.to_builtins(study.calibration),
        "chapter": dict(CHAPTER),
        "tables": [{"design": one.design, "kind": one.kind, **asdict(one)} for one in study.tables],
        "accuracy_with_sizes": asdict(study.fit.accuracy_with_sizes),
        "cold": study.cold,
        "waiting": study.waiting,
        "archive_s": study.archive_s,
        "choices": [asdict(choice) for choice in study.choices],
        "advice": asdict(advised(study.choices)),
        "samples": [
            _sample(sample, float(predicted_s))
            for sample, predicted_s in zip(study.samples, study.fit.predicted_s, strict=True)
        ],
    }


def _sample(sample: Sample, predicted_s: float) -> dict[str, Any]:
    request = sample.request
    period, box = request.extent.period, request.extent.box
    assert period.start_at is not None
    return {
        "design": request.design,
        "kind": request.kind,
        "bbox": [box.west, box.south, box.east, box.north],
        "datetime": f"{iso_instant(period.start_at)}/{iso_instant(request.end_at)}",
        "parameters": list(request.extent.parameters),
        "files": request.features.files,
        "values": request.features.values,
        "size_bytes": sample.size_bytes,
        "rows": sample.rows,
        "left_out": sample.left_out,
        "wall_s": list(sample.wall_s),
        "cpu_s": list(sample.cpu_s),
        "predicted_s": predicted_s,
    }
