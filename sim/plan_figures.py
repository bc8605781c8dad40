"""The drawings of a plan: workers over time, and each task's finish beside its deadline."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from planner.report import Report, State, TaskReport, Usage
from sim.drawing import BLUE, FAINT, GREEN, INK, ORANGE, RED, drawn, svg_of

UNITS = ((7200.0, 60.0, "min"), (172800.0, 3600.0, "h"), (float("inf"), 86400.0, "days"))
"""Up to the first [s], time is drawn in the second [s], which is called the third."""

SHORT_S = 180.0
"""Up to this [s], time is drawn in seconds."""

LOOKS = {
    State.ON_TIME: (GREEN, "o"),
    State.AT_RISK: (ORANGE, "D"),
    State.LATE: (RED, "X"),
    State.BEST_EFFORT: (FAINT, "o"),
}
"""Colour and shape of a finish; the shape alone tells too."""

TASK_HEIGHT_IN = 0.26
"""Of a task's line [inches]."""


def fleet_figure(report: Report) -> str:
    """Return how many workers are busy over time, in both cases, as SVG."""
    unit_s, unit = _unit(max(report.median.span_s, report.cautious.span_s))
    with drawn(8.6, 2.9) as (figure, axes):
        _steps(axes, report.median, unit_s, BLUE, "median", filled=True)
        _steps(axes, report.cautious, unit_s, ORANGE, "90 % case", filled=False)
        axes.axhline(report.workers_max, color=INK, linewidth=1, linestyle=":")
        axes.annotate(
            f"{report.workers_max} may stand",
            (1.0, report.workers_max),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=9,
        )
        axes.set_xlabel(f"time after the start [{unit}]")
        axes.set_ylabel("busy workers")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.15 * report.workers_max)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.18))
        return svg_of(figure, f"Busy workers over time: {_told(report)}")


def deadline_figure(tasks: Sequence[TaskReport]) -> str:
    """Return when each task is finished in both cases, beside its deadline, as SVG."""
    told = [task for task in tasks if task.state in LOOKS]
    ends = [span for task in told for span in (task.deadline_s, task.finish_s, task.finish_90_s)]
    unit_s, unit = _unit(max((end for end in ends if end is not None), default=0.0))
    with drawn(8.6, 1.1 + TASK_HEIGHT_IN * len(told)) as (figure, axes):
        for place, task in enumerate(told):
            _finish(axes, place, task, unit_s)
        axes.set_yticks(range(len(told)), [task.subscription_id for task in told])
        axes.set_ylim(len(told) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"time after arrival [{unit}]")
        axes.grid(visible=False, axis="y")
        return svg_of(figure, "When each product is delivered, beside its deadline")


def _unit(span_s: float) -> tuple[float, str]:
    if span_s <= SHORT_S:
        return 1.0, "s"
    return next((unit_s, name) for most_s, unit_s, name in UNITS if span_s <= most_s)


def _steps(
    axes: Axes, usage: Usage, unit_s: float, colour: str, label: str, *, filled: bool
) -> None:
    at = [0.0, *(moment.at_s / unit_s for moment in usage.moments), usage.span_s / unit_s]
    busy = [0, *(moment.busy for moment in usage.moments), 0]
    axes.step(at, busy, where="post", color=colour, linewidth=1.6, label=label)
    if filled:
        axes.fill_between(at, busy, step="post", color=colour, alpha=0.18, linewidth=0)


def _finish(axes: Axes, place: int, task: TaskReport, unit_s: float) -> None:
    colour, shape = LOOKS[task.state]
    if task.deadline_s is not None:
        axes.plot(
            task.deadline_s / unit_s, place, marker="|", color=INK, markersize=14, markeredgewidth=2
        )
    if task.finish_s is None:
        assert task.deadline_s is not None, "only what has a deadline expires"
        axes.annotate(
            "expires",
            (task.deadline_s / unit_s, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
        return
    slow_s = task.finish_s if task.finish_90_s is None else task.finish_90_s
    axes.plot(
        [task.finish_s / unit_s, slow_s / unit_s], [place, place], color=colour, linewidth=2.2
    )
    axes.plot(task.finish_s / unit_s, place, marker=shape, color=colour, markersize=7)


def _told(report: Report) -> str:
    median, cautious = report.median.workers, report.cautious.workers
    return f"at most {median} in the median and {cautious} in the 90 % case"
