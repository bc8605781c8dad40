"""The report of `slackwater calibrate`: one page with its tables and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import msgspec
import numpy as np

from controller.calibration.advice import PARTS_PER_WORKER, advised
from controller.calibration.measuring import Sample
from controller.calibration.requests import Design
from controller.calibration.statistics import QUANTILE
from controller.calibration.study import Order, Study
from controller.cli.calibrate_result import result_of
from controller.cli.calibrated import (
    WHY_IT_DIFFERS,
    advice_lines,
    run_time_lines,
    snippet,
    table_row,
    warnings,
)
from controller.cli.pages import command_line
from controller.config.settings import Settings
from sim.drawing import FAINT, INK, SERIES, figure_of, svg_of
from sim.page import figure, page, paragraph, section, table

WIDE_IN, HIGH_IN = 8.0, 3.4


def page_of(study: Study, order: Order, settings: Settings) -> str:
    """Return the report as a self-contained page."""
    kept = study.calibration
    about = paragraph(
        f"{kept.archive}, {kept.made_at}, {kept.build}: {len(study.samples)} requests with "
        f"{kept.files:,} files, each read twice by the function that workers run."
    )
    sections = [
        about,
        _table_1(study),
        section(
            "Execution time",
            figure(
                _times(study.samples),
                "The lesser of two readings of every request. Left: windows of one area, where "
                "length stands for files. Right: all requests.",
            ),
        ),
        _run_times(study),
        _advice(study, order, settings),
        section("Read with care", *map(paragraph, warnings(study))) if warnings(study) else "",
    ]
    data = {
        "command": command_line(),
        "settings": msgspec.to_builtins(settings),
        "result": result_of(study, order),
    }
    return page("Calibration of an archive", sections, data)


def _table_1(study: Study) -> str:
    columns = ("Execution time with", ">Chapter", ">Pearson (95 %)", ">Spearman (95 %)")
    blocks = [
        table(columns, [table_row(row) for row in one.rows], caption=one.title)
        for one in study.tables
    ]
    return section(
        "Table 1 of the chapter, on this archive", *blocks, *map(paragraph, WHY_IT_DIFFERS)
    )


def _times(samples: Sequence[Sample]) -> str:
    windows = [sample for sample in samples if sample.request.design is Design.AREA]
    with figure_of(WIDE_IN, HIGH_IN) as drawing:
        left, right = drawing.subplots(1, 2)
        left.scatter(
            [sample.request.coverage_d / 365.25 for sample in windows],
            [sample.run_s for sample in windows],
            s=14,
            color=SERIES[0],
        )
        left.set(xlabel="time coverage [years]", ylabel="execution time [s]")
        _by_kind(
            right,
            samples,
            lambda sample: sample.request.features.files,
            lambda sample: sample.run_s,
        )
        right.set(xlabel="matched files", ylabel="execution time [s]", xscale="log", yscale="log")
        return svg_of(drawing, "Execution time against time coverage and against matched files")


def _by_kind(
    axes: object,
    samples: Sequence[Sample],
    x: Callable[[Sample], float],
    y: Callable[[Sample], float],
) -> None:
    kinds = sorted({sample.request.kind for sample in samples})
    for kind, colour in zip(kinds, SERIES, strict=False):
        inside = [sample for sample in samples if sample.request.kind == kind]
        axes.scatter(  # type: ignore[attr-defined]
            [x(one) for one in inside], [y(one) for one in inside], s=14, color=colour, label=kind
        )
    if len(kinds) > 1:
        axes.legend()  # type: ignore[attr-defined]


def _run_times(study: Study) -> str:
    caption = (
        "Predicted by costs that were fitted to the other requests, and measured in one reading. "
        "On the line they are equal; the broken line is the predicted 90 % quantile."
    )
    return section(
        "Run times",
        *map(paragraph, run_time_lines(study)),
        figure(_predicted(study), caption),
    )


def _predicted(study: Study) -> str:
    predicted_s = study.fit.predicted_s
    place = {id(sample): float(s) for sample, s in zip(study.samples, predicted_s, strict=True)}
    errors = study.fit.errors
    z = NormalDist().inv_cdf(QUANTILE)
    rise = 1.0 + z * float(np.hypot(errors.scatter, errors.common_error))
    ends = np.array([predicted_s.min(), predicted_s.max()])
    with figure_of(WIDE_IN, HIGH_IN * 1.2) as drawing:
        axes = drawing.subplots()
        _by_kind(
            axes,
            study.samples,
            lambda sample: place[id(sample)],
            lambda sample: sample.wall_s[-1],
        )
        axes.plot(ends, ends, color=INK, linewidth=1.0)
        axes.plot(ends, ends * rise, color=FAINT, linewidth=1.0, linestyle="--")
        axes.set(xlabel="predicted [s]", ylabel="measured [s]", xscale="log", yscale="log")
        return svg_of(drawing, "Measured against predicted run times")


def _advice(study: Study, order: Order, settings: Settings) -> str:
    caption = f"Expected time over the ideal one on {order.workers} workers, by parts a worker."
    return section(
        "How to cut",
        *map(paragraph, advice_lines(study, order, settings)),
        f"<pre>{snippet(advised(study.choices))}</pre>",
        figure(_cuts(study), caption),
    )


def _cuts(study: Study) -> str:
    names = sorted({choice.partitioner for choice in study.choices})
    with figure_of(WIDE_IN, HIGH_IN) as drawing:
        axes = drawing.subplots()
        for name, colour in zip(names, SERIES, strict=False):
            ratios = {c.parts_per_worker: c.ratio for c in study.choices if c.partitioner == name}
            values = [ratios[parts] for parts in PARTS_PER_WORKER]
            axes.plot(range(len(values)), values, marker="o", color=colour, label=name)
        axes.axhline(1.0, color=FAINT, linewidth=1.0)
        axes.set_xticks(range(len(PARTS_PER_WORKER)), [str(parts) for parts in PARTS_PER_WORKER])
        axes.set(xlabel="parts a worker", ylabel="time / ideal")
        axes.legend()
        return svg_of(drawing, "Time over the ideal for each partitioner and parts a worker")
