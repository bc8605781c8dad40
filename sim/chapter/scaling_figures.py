"""The chapter's figures 7 to 9 as it draws them, and the surface of thresholds and factors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from planner.extent import Floats
from sim.chapter.scaling import Played
from sim.chapter.starts import Starts
from sim.drawing import BLUE, FAINT, GREEN, INK, ORANGE, RED, figure_of, svg_of

Ints = NDArray[np.int64]

WIDE_IN, HIGH_IN = 8.6, 3.0

WORKERS_MAX = 16
"""Of the right-hand axis, the same in all figures of the chapter: 8 VMs of 2 workers."""


def ttd_figure(run: Starts, title: str, workers_max: int = WORKERS_MAX) -> str:
    """Return the time to the deadline at each task's start, with what stands then, as SVG.

    Parameters
    ----------
    run : Starts
        At least one.
    title : str
    workers_max : int
        Of the right-hand axis.
    """
    number = np.arange(1, len(run.starts) + 1)
    late = {at - 1 for at in run.late_starts}
    with figure_of(WIDE_IN, HIGH_IN) as drawing:
        left = drawing.subplots()
        right = left.twinx()
        _stand(right, run, number, workers_max)
        _threshold(left, run, number)
        for marker, colour, chosen, label in (
            ("o", BLUE, [at for at in range(len(number)) if at not in late], "in time"),
            ("X", RED, sorted(late), "late"),
        ):
            if chosen:
                ttds = [_drawn(run.starts[at].ttd_s) for at in chosen]
                left.plot(
                    number[chosen],
                    ttds,
                    linestyle="",
                    marker=marker,
                    color=colour,
                    markersize=3.5,
                    label=f"time to deadline, {label}",
                )
        left.axhline(0.0, color=INK, linewidth=0.8)
        left.set(xlabel="task", ylabel="time to deadline [s]", xlim=(0, len(number) + 1))
        left.set_title(title, fontsize=10, loc="left")
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        pairs = (axes.get_legend_handles_labels() for axes in (left, right))
        handles, labels = (list(chain(*each)) for each in zip(*pairs, strict=True))
        drawing.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
        return svg_of(drawing, f"{title}: time to the deadline at the start of each task")


def _stand(axes: Axes, run: Starts, number: Ints, workers_max: int) -> None:
    """Draw on the right-hand axis how many VMs and workers stand."""
    axes.grid(visible=False)
    axes.spines["right"].set_visible(True)
    axes.set_ylim(0, workers_max * 1.06)
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylabel("VMs, workers")
    for name, counts, colour, width in (
        ("workers", [start.workers for start in run.starts], ORANGE, 3.2),
        ("VMs", [start.vms for start in run.starts], GREEN, 1.4),
    ):
        axes.step(number, counts, where="post", color=colour, linewidth=width, label=name)


def _threshold(axes: Axes, run: Starts, number: Ints) -> None:
    if all(start.threshold_s is None for start in run.starts):
        return
    told = [_drawn(start.threshold_s) for start in run.starts]
    axes.step(number, told, "--", where="post", color=FAINT, linewidth=1.3, label="threshold")


def _drawn(value_s: float | None) -> float:
    return np.nan if value_s is None else value_s


def surface_figure(runs: Sequence[Played], title: str) -> str:
    """Return tasks late and VM-hours for each threshold and factor, as SVG."""
    thresholds = sorted({run.threshold_s for run in runs}, reverse=True)
    factors = sorted({run.factor_s for run in runs})
    shape = (len(thresholds), len(factors))
    late, vm_h = np.zeros(shape), np.zeros(shape)
    for run in runs:
        place = thresholds.index(run.threshold_s), factors.index(run.factor_s)
        late[place], vm_h[place] = run.misses, run.vm_h
    with figure_of(WIDE_IN, 0.9 + 0.27 * len(thresholds)) as drawing:
        panels = drawing.subplots(1, 2, sharey=True)
        for axes, values, form, name, colour in (
            (panels[0], late, "{:.0f}", "tasks late", RED),
            (panels[1], vm_h, "{:.2f}", "VM-hours", BLUE),
        ):
            _cells(axes, values, form, colour)
            axes.set_title(f"{title}: {name}", fontsize=10, loc="left")
            axes.set_xticks(range(len(factors)), [f"{factor:g}" for factor in factors])
            axes.set_yticks(range(len(thresholds)), [f"{each:,.0f}" for each in thresholds])
            axes.set_xlabel("factor [s]")
        panels[0].set_ylabel("threshold [s]")
        return svg_of(drawing, f"{title}: tasks late and VM-hours by threshold and factor")


def _cells(axes: Axes, values: Floats, form: str, colour: str) -> None:
    """Draw a table whose cells are the fuller the higher the value, legible on any ground."""
    red, green, blue, _ = to_rgba(colour)
    shades = LinearSegmentedColormap.from_list(
        "shades", [(red, green, blue, 0.0), (red, green, blue, 0.55)]
    )
    least = float(values.min()) if form != "{:.0f}" else 0.0
    axes.imshow(
        values, cmap=shades, aspect="auto", vmin=least, vmax=max(values.max(), least + 1e-9)
    )
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, form.format(value), ha="center", va="center", fontsize=8.5, color=INK
        )
