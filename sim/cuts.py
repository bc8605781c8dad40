"""Draws how strategies cut one request: over time, over the map, and how even the parts are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from partitioners.comparison import Trial
from planner.density import Density
from planner.extent import Box, Extent, Floats
from sim.drawing import BLUE, FAINT, GREEN, INK, ORANGE, figure_of, svg_of
from sim.page import figure, page, paragraph, section, table

WIDTH_IN, ROW_IN = 11.0, 2.3
COLUMNS = (5, 3.4, 3.4)
"""Widths of the panels for time, map and parts, relative to each other."""

CURVE_POINTS_MAX = 600
"""Points of the cumulative load: as many as are told apart on a screen."""

DAY_S = 86400.0
"""The drawing library counts dates in days from 1970."""

MAP_CELLS = (90, 45)
"""Cells of the map's ground [eastward, northward]; it shows where data are, not how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load that was cut, as all panels show it.

    Parameters
    ----------
    density : Density
        All inside the extent.
    cost_s : array of shape (n,)
        What each mass costs [reference s].
    extent : Extent
    """

    density: Density
    cost_s: Floats
    extent: Extent


def cuts_svg(load: Load, trials: Sequence[Trial]) -> str:
    """Return an SVG with a row of three panels for each trial."""
    with figure_of(WIDTH_IN, ROW_IN * len(trials) + 0.4) as drawing:
        rows = drawing.subplots(len(trials), 3, squeeze=False, width_ratios=COLUMNS)
        for trial, (over_time, on_map, parts) in zip(trials, rows, strict=True):
            _draw_time(over_time, load, trial)
            over_time.set_title(trial.strategy, fontsize=11, fontweight="bold", loc="left")
            _draw_map(on_map, load, trial)
            _draw_parts(parts, trial)
            parts.set_title(_title(trial), fontsize=10, loc="left")
    names = ", ".join(trial.strategy for trial in trials)
    return svg_of(drawing, f"Cuts of one request by {names}")


def cuts_page(
    load: Load,
    trials: Sequence[Trial],
    workers: int,
    command: Sequence[str],
    result: Mapping[str, object],
) -> str:
    """Return a page that shows a request, every strategy's figures, and their cuts.

    Parameters
    ----------
    load : Load
    trials : sequence of Trial
    workers : int
        That the parts are placed on.
    command : sequence of str
        What the page was made by: a program and its arguments.
    result : mapping of str to object
        All numbers, fit for JSON; embedded.
    """
    files = round(float(load.density.files.sum()))
    extent = load.extent
    summary = paragraph(
        f"{files:,} files of the box {extent.box} (west, south, east, north), placed on {workers}"
        " workers: each free worker takes the next part, the longest predicted first."
    )
    rows = [_figures(trial, workers) for trial in trials]
    columns = _COLUMNS[: max(map(len, rows))]
    sections = [section("Figures", summary, table(columns, rows, caption=_CAPTION))]
    sections += [
        section(
            trial.strategy,
            *([paragraph(f"Cut linearly instead: {trial.fallback}")] if trial.fallback else []),
            figure(cuts_svg(load, [trial]), "" if number else _LEGEND),
        )
        for number, trial in enumerate(trials)
    ]
    sections.append(section("Made by", f"<pre>{escape(shlex.join(command))}</pre>"))
    return page("How a request is cut", sections, {"command": list(command), "result": result})


_COLUMNS = (
    "Strategy",
    ">Parts",
    ">Predicted max/mean",
    ">Makespan [s]",
    ">Over ideal",
    ">Measured max/mean",
    ">Makespan [s]",
    ">Over ideal",
)
_CAPTION = (
    "max/mean: the longest part over a fair share, 1 is perfect. Makespan: when the last part ends."
    " Over ideal: how much later than if work could be divided at will. Measured: CPU time of"
    " reading each part, where that was asked for."
)
_LEGEND = (
    "Left: the load added up over time; each dot is a cut, and even steps from dot to dot are even"
    " parts. Middle: where the data are, and the boxes of the parts. Right: each part's cost over a"
    " fair share, predicted (bar) and measured (dot)."
)


def _figures(trial: Trial, workers: int) -> list[str]:
    cells = [trial.strategy, str(len(trial.parts))]
    for times in (trial.predicted, trial.measured):
        if times is None:
            continue
        makespan_s, ideal_s = times.makespan_s(workers), times.ideal_s(workers)
        over = f"{makespan_s / ideal_s - 1:+.1%}" if ideal_s else ""
        cells += [f"{times.imbalance:.3f}", f"{makespan_s:.2f}", over]
    return cells


def _title(trial: Trial) -> str:
    told = f"max/mean {trial.predicted.imbalance:.2f}"
    if trial.measured:
        told += f", measured {trial.measured.imbalance:.2f}"
    return f"{told} (cut linearly)" if trial.fallback else told


def _draw_time(axes: Axes, load: Load, trial: Trial) -> None:
    """Draw the cumulative load, and a line wherever a cut over time runs."""
    time_s, share = load.density.time_s, np.cumsum(load.cost_s)
    share /= share[-1] or 1.0
    shown = np.unique(np.linspace(0, len(time_s) - 1, CURVE_POINTS_MAX).astype(np.intp))
    axes.plot(time_s[shown] / DAY_S, share[shown], color=ORANGE, linewidth=1.5)
    starts = {part.extent.period.start_at for part in trial.parts}
    cuts = sorted(at for at in starts if at is not None and at > time_s[0])
    if cuts:
        reached = np.append(0.0, share)[np.searchsorted(time_s, cuts)]
        days = np.array(cuts) / DAY_S
        axes.vlines(days, 0.0, reached, color=BLUE, linewidth=0.6, alpha=0.6)
        axes.plot(days, reached, ".", color=BLUE, markersize=2 if len(cuts) > 48 else 4)
    else:
        axes.text(0.03, 0.85, "time is not cut", transform=axes.transAxes, color=FAINT)
    locator = AutoDateLocator(minticks=3)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_ylim(0.0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_ylabel("load so far")


def _draw_map(axes: Axes, load: Load, trial: Trial) -> None:
    """Draw where data are, and the outline of every box."""
    whole = load.extent.box
    _draw_ground(axes, load)
    boxes = {part.extent.box for part in trial.parts}
    for box in boxes:
        west, width = _eastward(box.west, whole), box.width_deg
        corner = (whole.west + float(west), box.south)
        outline = Rectangle(corner, width, box.north - box.south, fill=False, color=BLUE)
        outline.set(linewidth=0.8, alpha=max(0.35, 1.0 - len(boxes) / 64))
        axes.add_patch(outline)
    if boxes == {whole}:
        axes.text(0.03, 0.85, "place is not cut", transform=axes.transAxes, color=FAINT)
    axes.set_xlim(whole.west, whole.west + whole.width_deg)
    axes.set_ylim(whole.south, whole.north)
    axes.set_aspect("auto")
    axes.xaxis.set_major_locator(_degrees(whole.width_deg))
    axes.yaxis.set_major_locator(_degrees(whole.north - whole.south))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{(at + 180) % 360 - 180:g}°"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}°"))


def _draw_ground(axes: Axes, load: Load) -> None:
    whole = load.extent.box
    eastward = _eastward(load.density.longitude, whole)
    edges = ((0.0, whole.width_deg), (whole.south, whole.north))
    counts, _, _ = np.histogram2d(
        eastward, load.density.latitude, MAP_CELLS, edges, weights=load.cost_s
    )
    shade = np.sqrt(counts.T / (counts.max() or 1.0))
    ground = np.zeros((*shade.shape, 4))
    ground[..., :3] = [int(FAINT[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    ground[..., 3] = 0.75 * shade
    place = (whole.west, whole.west + whole.width_deg, whole.south, whole.north)
    axes.imshow(ground, extent=place, origin="lower", interpolation="nearest")


def _eastward(longitude: Floats | float, whole: Box) -> Floats:
    """Return how far east of a box's west edge longitudes lie [degrees]."""
    return np.mod(np.asarray(longitude) - whole.west, 360.0)


def _degrees(span_deg: float) -> MultipleLocator:
    """Return ticks at round degrees, four or so to a span."""
    rounds = (1, 2, 5, 10, 15, 30, 45, 60, 90)
    return MultipleLocator(next((step for step in rounds if span_deg / step <= 5), 90))


def _draw_parts(axes: Axes, trial: Trial) -> None:
    """Draw each part's cost over a fair share, predicted as a bar and measured as a dot."""
    number = np.arange(len(trial.parts)) + 1
    for times, colour in ((trial.predicted, BLUE), (trial.measured, GREEN)):
        if times is None or not times.total_s:
            continue
        share = np.array(times.parts_s) * times.wanted / times.total_s
        if times is trial.predicted:
            axes.bar(number, share, width=0.85, color=colour, alpha=0.55)
        else:
            axes.plot(number, share, ".", color=colour, markersize=5)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    axes.set_ylim(bottom=0.0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
