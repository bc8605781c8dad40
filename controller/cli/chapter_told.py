"""What the chapter's experiments came to, in words and rows, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from controller.calibration.statistics import Correlation
from controller.calibration.table import CHAPTER
from controller.cli.chapter_claim import FAILS, HOLDS, Claim
from controller.cli.chapter_hundred import about_hundred
from controller.cli.chapter_study import Study, lines_of
from sim.chapter.speed_up import VMS, Curve, Handing

COVER = (
    "{profiles:,} profiles of {floats:,} floats, {first} to {last}, from the index of {archive};"
    " seed {seed}."
)

SURE = 2.0
"""A difference of means counts from so many of its standard errors on; below, lines are level."""

SEVERAL = tuple(vms for vms in VMS if vms > 1)


def claims(study: Study) -> list[Claim]:
    """Return all that was to be seen, and whether it was."""
    return [*_about_table_1(study), *_about_speed_up(study), *about_hundred(study.hundred)]


def table_1_columns(study: Study) -> list[str]:
    """Return the heads of Table 1."""
    titles = (f">{column.requests.design.title}" for column in study.columns)
    return ["=Execution time with", ">Chapter", *titles]


def table_1_rows(study: Study, *, intervals: bool = False) -> list[list[str]]:
    """Return the rows of Table 1: the chapter's four traits, with intervals where there is room."""
    rows = []
    for trait, printed in CHAPTER.items():
        chapter = "not strong" if printed is None else f"{printed:.2f}"
        found = (column.correlations[trait] for column in study.columns)
        rows.append([trait, chapter, *(_told(each, intervals=intervals) for each in found)])
    return rows


def _told(found: Correlation | None, *, intervals: bool) -> str:
    if found is None:
        return "fixed"
    interval = f" ({found.low:+.2f}..{found.high:+.2f})" if intervals else ""
    return f"{found.value:+.2f}{interval}"


def speed_up_columns() -> list[str]:
    """Return the heads of the table of figures 5 and 6."""
    speed_ups = (f">S on {vms}" for vms in SEVERAL)
    return ["=Line", ">Parts a worker", *speed_ups, *(f">E on {vms}" for vms in SEVERAL)]


def speed_up_rows(study: Study, handing: Handing = Handing.LONGEST_FIRST) -> list[list[str]]:
    """Return a row for each line of figures 5 and 6."""
    return [_line(curve) for curve in lines_of(study.curves, handing).values()]


def _line(curve: Curve) -> list[str]:
    several = [place for place, vms in enumerate(VMS) if vms > 1]
    speed_ups, efficiencies = curve.means.tolist(), curve.efficiencies.tolist()
    return [
        curve.line.name,
        str(curve.line.parts_per_worker),
        *(f"{speed_ups[place]:.2f}" for place in several),
        *(f"{efficiencies[place]:.2f}" for place in several),
    ]


def _about_table_1(study: Study) -> Iterator[Claim]:
    if not study.columns:
        return
    column = study.columns[0]
    found = {name: each for name, each in column.correlations.items() if each}
    coverage, end = found["time coverage"], found["end date"]
    others = [each.value for name, each in found.items() if name in ("area", "parameters")]
    weakest = max(map(abs, others), default=0.0)
    yield Claim(
        where="Table 1",
        said="execution time goes with time coverage most, with the end date less, with area and"
        " parameters hardly",
        verdict=HOLDS if coverage.value > end.value > weakest else FAILS,
        found=f"{column.requests.design.title}: {coverage.value:.2f} and {end.value:.2f}, where"
        f" the chapter prints {CHAPTER['time coverage']} and {CHAPTER['end date']}.",
    )


def _about_speed_up(study: Study) -> Iterator[Claim]:
    for handing in (Handing.LONGEST_FIRST, Handing.IN_TURN):
        yield _log4_is_best(lines_of(study.curves, handing), handing)
    lines = lines_of(study.curves, Handing.LONGEST_FIRST)
    for per_worker in (1, 4):
        yield _ours_are_as_good(lines, per_worker)


def _log4_is_best(lines: Mapping[str, Curve], handing: Handing) -> Claim:
    theirs = [curve for curve in lines.values() if not curve.line.is_ours]
    log4 = lines["log4"]
    told = ", ".join(f"{vms} VMs {log4.means[place]:.2f}" for place, vms in _several())
    return _claim(
        f"log4 is the best of the chapter's four lines (parts handed out {handing})",
        f"Speed-up of log4: {told}",
        {vms: _behind(log4, theirs, place) for place, vms in _several()},
    )


def _ours_are_as_good(lines: Mapping[str, Curve], per_worker: int) -> Claim:
    same = [curve for curve in lines.values() if curve.line.parts_per_worker == per_worker]
    theirs = [curve for curve in same if not curve.line.is_ours]
    ours = [curve for curve in same if curve.line.is_ours]
    told = ", ".join(f"{curve.line.name} {curve.means[-1]:.2f}" for curve in ours)
    best = max(theirs, key=lambda curve: float(curve.means[-1]))
    return _claim(
        f"ours are at least as good with {per_worker} part{'s' * (per_worker > 1)} a worker",
        f"On {VMS[-1]} VMs {told}, against {best.line.name} {best.means[-1]:.2f}",
        {
            vms: [each for curve in ours for each in _behind(curve, theirs, place)]
            for place, vms in _several()
        },
    )


def _several() -> Iterator[tuple[int, int]]:
    return ((place, vms) for place, vms in enumerate(VMS) if vms > 1)


class _Deficit(NamedTuple):
    """How far a line is behind another; `sure` says whether that is more than chance."""

    said: str
    sure: bool


def _behind(curve: Curve, rivals: Sequence[Curve], place: int) -> list[_Deficit]:
    """Return by which of its rivals a line is led on so many VMs: by the best one, or by none."""
    best = max(rivals, key=lambda rival: float(rival.means[place]))
    less = best.speed_ups[:, place] - curve.speed_ups[:, place]
    if best is curve or less.mean() <= 0:
        return []
    error = float(less.std(ddof=1)) / math.sqrt(len(less))
    sure = bool(less.mean() > SURE * error)
    what = "behind" if sure else "behind, which is chance,"
    said = f"{curve.line.name} is {less.mean():.3f} {what} {best.line.name} on {VMS[place]} VMs"
    return [_Deficit(f"{said} (standard error {error:.3f})", sure)]


def _claim(said: str, found: str, deficits: Mapping[int, Sequence[_Deficit]]) -> Claim:
    """Return a claim about every number of VMs, from what speaks against it on each."""
    failing = [vms for vms, each in deficits.items() if any(one.sure for one in each)]
    holding = [str(vms) for vms in deficits if vms not in failing]
    verdict = HOLDS if not failing else FAILS
    if failing and holding:
        against = " and ".join(map(str, failing))
        verdict = f"holds on {' and '.join(holding)} VMs, not on {against}"
    but = "".join(f"; {one.said}" for each in deficits.values() for one in each)
    return Claim(where="Figs 5, 6", said=said, verdict=verdict, found=f"{found}{but}.")
