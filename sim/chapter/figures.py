"""The drawings of the chapter's experiments: growth and windows, speed-up and efficiency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from planner.extent import Extent
from sim.chapter.profiles import MEDITERRANEAN, Profiles
from sim.chapter.speed_up import VMS, Curve, Handing
from sim.chapter.table_1 import Requests
from sim.drawing import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, figure_of, svg_of

WIDE_IN, HIGH_IN = 8.6, 3.4
YEAR_S = 365.25 * 86400.0

COLOURS = {"linear": ORANGE, "logarithmic": BLUE, "balanced": GREEN, "bisecting": PURPLE}
DASHES = {1: ":", 4: "-"}
"""By parts a worker."""

MARKS = {False: "o", True: "s"}
"""Of the chapter's lines, and of ours."""


def growth_figure(profiles: Profiles) -> str:
    """Return the profiles of each year, over the globe and in the Mediterranean, as SVG."""
    places = (
        ("globe", profiles.time_s, FAINT),
        ("Mediterranean", profiles.within(Extent(box=MEDITERRANEAN)).time_s, BLUE),
    )
    with figure_of(WIDE_IN, 2.4) as drawing:
        for axes, (name, time_s, colour) in zip(drawing.subplots(1, 2), places, strict=True):
            year, count = np.unique(1970 + (time_s // YEAR_S).astype(int), return_counts=True)
            axes.bar(year, count / 1e3, color=colour)
            axes.set_title(name, fontsize=10, loc="left")
            axes.set_xlabel("year of observation")
        drawing.axes[0].set_ylabel("profiles [thousand]")
        return svg_of(drawing, "Profiles of each year, over the globe and in the Mediterranean")


def windows_figure(tables: Sequence[Requests]) -> str:
    """Return predicted time against time coverage and end date, of one design or two, as SVG."""
    with figure_of(WIDE_IN, HIGH_IN * len(tables)) as drawing:
        rows = drawing.subplots(len(tables), 2, squeeze=False, sharey="row")
        for requests, (left, right) in zip(tables, rows, strict=True):
            years = requests.coverage_d / 365.25
            left.scatter(years, requests.run_s, s=8, color=BLUE, linewidth=0)
            left.set(xlabel="time coverage [years]", ylabel="predicted time [s]")
            left.set_title(requests.design.title, fontsize=10, loc="left")
            ends = 1970 + requests.end_at / YEAR_S
            right.scatter(ends, requests.run_s, s=8, color=ORANGE, linewidth=0)
            right.set_xlabel("end of the window [year]")
        return svg_of(drawing, "Predicted time of 550 requests by time coverage and by end date")


def speed_up_figure(curves: Sequence[Curve], handing: Handing) -> str:
    """Return the chapter's figures 5 and 6 side by side, as SVG."""
    shown = [curve for curve in curves if curve.handing is handing]
    with figure_of(WIDE_IN, 4.0) as drawing:
        left, right = drawing.subplots(1, 2)
        left.plot(VMS, VMS, color=FAINT, linewidth=1, linestyle="--")
        left.annotate("ideal", (VMS[-1], VMS[-1]), ha="right", va="bottom", color=FAINT)
        right.axhline(1.0, color=FAINT, linewidth=1, linestyle="--")
        for curve in shown:
            _line(left, curve, curve.means.tolist())
            _line(right, curve, curve.efficiencies.tolist())
        left.set(ylabel="speed-up", title="Fig. 5")
        right.set(ylabel="efficiency", title="Fig. 6", ylim=(0.0, 1.05))
        for axes in (left, right):
            axes.set_xlabel("VMs, one worker each")
            axes.set_xticks(VMS)
            axes.title.set_fontsize(10)
        handles, labels = left.get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=4)
        return svg_of(drawing, "Speed-up and efficiency on 1, 2, 4 and 8 VMs")


def _line(axes: Axes, curve: Curve, values: Sequence[float]) -> None:
    line = curve.line
    axes.plot(
        VMS,
        values,
        color=COLOURS.get(line.partitioner, INK),
        linestyle=DASHES[line.parts_per_worker],
        marker=MARKS[line.is_ours],
        markersize=4.5,
        linewidth=1.6,
        label=line.name,
    )
