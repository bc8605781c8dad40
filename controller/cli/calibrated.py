"""What a calibration found, in words, for the terminal and for the page alike."""

from __future__ import annotations

from controller.calibration.advice import Choice, advised
from controller.calibration.statistics import Correlation
from controller.calibration.study import Order, Study
from controller.calibration.table import CHAPTER, Row
from controller.config.settings import Settings

COLD, WAITING = 1.5, 1.5
"""From here on the first readings, or waiting, took so much longer that it is worth a word."""

WHY_IT_DIFFERS = (
    "The chapter varied the time window and hardly the area: then the length of the window stands "
    "for the number of files, as in the windows of one area above. Where area and parameters vary "
    "too, as in real subscriptions, none of its four traits says much. The files that the index "
    "matches do, so run times are predicted from them.",
    "The end of a window matters as far as an archive grows, for later windows then hold more. "
    "The chapter's 412 parameters have no counterpart: a core file holds two or three, and most "
    "of what a file costs is to open it.",
)
"""What the chapter's Table 1 and this one have in common, and what not."""


def table_row(row: Row) -> tuple[str, str, str, str]:
    """Return one line of Table 1: the trait, what the chapter printed, what was found."""
    chapter = ""
    if row.trait in CHAPTER:
        printed = CHAPTER[row.trait]
        chapter = "not strong" if printed is None else f"{printed:.2f}"
    return row.trait, chapter, _interval(row.pearson), _interval(row.spearman)


def _interval(found: Correlation | None) -> str:
    if found is None:
        return "-"
    return f"{found.value:+.2f} ({found.low:+.2f}..{found.high:+.2f})"


def run_time_lines(study: Study) -> list[str]:
    """Return in words what reading costs and how well that predicts."""
    fit, costs = study.fit, study.fit.costs
    judged, sized = fit.accuracy, fit.accuracy_with_sizes
    return [
        f"A part takes {1e3 * costs.base_s:.2g} ms, {1e3 * costs.file_s:.2g} ms a file and "
        f"{1e3 * costs.value_s:.2g} ms for each parameter that a file holds.",
        f"Of requests that it was not fitted to, this explains {100 * judged.r2:.0f} % of the "
        f"variance; the median error is {100 * judged.median_error:.1f} %, and "
        f"{100 * judged.coverage_90:.0f} % took no longer than the 90 % quantile.",
        f"Scatter of single requests {100 * fit.errors.scatter:.0f} %, error common to all "
        f"{100 * fit.errors.common_error:.0f} %. An index that knew the files' sizes would make "
        f"the median error {100 * sized.median_error:.1f} %.",
    ]


def advice_lines(study: Study, order: Order, settings: Settings) -> list[str]:
    """Return in words which cut to take, and why."""
    best = advised(study.choices)
    rivals = [
        choice
        for choice in study.choices
        if choice.parts_per_worker == best.parts_per_worker
        and choice.partitioner != best.partitioner
    ]
    others = " and ".join(f"{choice.partitioner} {choice.ratio:.2f}" for choice in rivals)
    lines = [
        f"Advice: {best.partitioner}, {best.parts_per_worker} parts a worker: {best.ratio:.2f} of "
        f"the ideal time, where as many parts cut otherwise take {others}."
    ]
    shortest_s = settings.planner.cutting.part_s_min
    allowed = int(study.archive_s / shortest_s) if shortest_s > 0 else best.parts
    if allowed < best.parts:
        lines.append(
            f"Parts shorter than planner.cutting.part_s_min ({shortest_s:g} s) are not cut, so all "
            f"of this archive is cut into {max(1, allowed)} at most: more workers than that stay "
            "idle, and the choice matters little."
        )
    return lines


def snippet(best: Choice) -> str:
    """Return the settings to paste."""
    return (
        "# slackwater.yaml\nplanner:\n  cutting:\n"
        f"    partitioner: {best.partitioner}\n    parts_per_worker: {best.parts_per_worker}"
    )


def warnings(study: Study) -> list[str]:
    """Return what makes these figures less sure than they look."""
    found = []
    if study.cold > COLD:
        found.append(
            f"First readings took {study.cold:.1f} times as long as later ones: predictions are "
            "for files that the system has read lately; the common error allows for others."
        )
    if study.waiting > WAITING:
        found.append(
            f"Reading took {study.waiting:.1f} times its processor time: the archive is far away, "
            "or this machine has other work. If it has, calibrate again when it is idle."
        )
    left_out, files = sum(sample.left_out for sample in study.samples), study.calibration.files
    if left_out > files / 100:
        found.append(f"{left_out:,} of {files:,} files could not be read and were left out.")
    return found
