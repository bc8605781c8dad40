"""The drawings of simulations: deadlines met and cost, the fleet over time, slacks, regret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from planner.model import NoticeKind
from sim.chronicle import Ended, Moments
from sim.drawing import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, RED, drawn, figure_of, svg_of
from sim.sketch import Line, Sketch
from sim.summary import Choice

WIDTH_IN = 8.6
ROW_IN = 0.34
"""Of a choice's line [inches]."""

PANEL_IN = 1.75
"""Of one fleet over time [inches]."""

LABEL_GAP = 0.055
"""Least distance of two labels, as a share of the height of the axes."""

DOTS_MAX = 2000
"""Tasks drawn one by one; the worst come first where there are more."""

UNITS = ((180.0, 1.0, "s"), (7200.0, 60.0, "min"), (259200.0, 3600.0, "h"), (np.inf, 86400.0, "d"))
"""Up to the first [s], time is drawn in the second [s], which is called the third."""

OUTCOMES = {
    NoticeKind.DELIVERED: (GREEN, "o", "in time"),
    NoticeKind.LATE: (RED, "X", "late"),
    NoticeKind.EXPIRED: (PURPLE, "v", "expired"),
    NoticeKind.FAILED: (ORANGE, "s", "failed"),
}
"""Colour, shape and name of a task's end; the shape alone tells too."""


def trade_figure(choices: Sequence[Choice], bound: float | None) -> str:
    """Return hit rate against cost, the choices that no other beats joined, as SVG.

    Parameters
    ----------
    choices : sequence of Choice
    bound : float or None
        The least cost, averaged over seeds [currency].
    """
    best = undominated(choices)
    with drawn(WIDTH_IN, 3.9) as (figure, axes):
        ordered = sorted(best, key=lambda one: one.cost.mean)
        axes.step(
            [one.cost.mean for one in ordered],
            [100 * one.hit_rate.mean for one in ordered],
            where="post",
            color=BLUE,
            linewidth=1.2,
            alpha=0.6,
        )
        for one in choices:
            _point(axes, one, BLUE if one in best else ORANGE)
        if bound:
            axes.axvline(bound, color=INK, linewidth=1, linestyle=":")
            axes.annotate(
                "bound",
                (bound, 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=9,
            )
        axes.margins(x=0.16, y=0.1)
        axes.set_xlabel("cost, mean of all seeds")
        axes.set_ylabel("deadlines met")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        _label(axes, choices, best)
        return svg_of(figure, "Deadlines met against cost, a point for each choice")


def undominated(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices that no other beats both in hits and in cost (the Pareto front)."""

    def beaten(one: Choice) -> bool:
        return any(
            other.hit_rate.mean >= one.hit_rate.mean
            and other.cost.mean <= one.cost.mean
            and (other.hit_rate.mean, other.cost.mean) != (one.hit_rate.mean, one.cost.mean)
            for other in choices
        )

    return [one for one in choices if not beaten(one)]


def _point(axes: Axes, one: Choice, colour: str) -> None:
    cost, hits = one.cost, one.hit_rate
    axes.errorbar(
        cost.mean,
        100 * hits.mean,
        xerr=[[cost.mean - cost.least], [cost.most - cost.mean]],
        yerr=[[100 * (hits.mean - hits.least)], [100 * (hits.most - hits.mean)]],
        color=colour,
        marker="o",
        markersize=6,
        elinewidth=0.9,
        alpha=0.9,
    )


def _label(axes: Axes, choices: Sequence[Choice], best: Sequence[Choice]) -> None:
    """Write each choice's name beside its point, moved down where two would overlap."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    placed: list[tuple[float, float]] = []
    for one in sorted(choices, key=lambda one: (-one.hit_rate.mean, one.cost.mean)):
        x = (one.cost.mean - left) / (right - left)
        y = (100 * one.hit_rate.mean - low) / (high - low)
        while any(abs(y - other) < LABEL_GAP and abs(x - at) < 0.2 for at, other in placed):
            y -= LABEL_GAP / 2
        placed.append((x, y))
        axes.annotate(
            one.label,
            (x, y),
            xycoords="axes fraction",
            xytext=(8, -3) if x < 0.75 else (-8, -3),
            textcoords="offset points",
            ha="left" if x < 0.75 else "right",
            va="top",
            fontsize=9,
            fontweight="bold" if one in best else "normal",
        )


def fleets_figure(named: Sequence[tuple[str, Sketch]]) -> str:
    """Return workers over time under several choices, one below the other, as SVG."""
    shown = [(name, sketch, sketch.moments) for name, sketch in named if sketch.moments]
    longest_s = max(moments.at_s[-1] for _, _, moments in shown)
    unit_s, unit = unit_of(longest_s)
    with figure_of(WIDTH_IN, PANEL_IN * len(shown) + 0.55) as figure:
        panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
        for axes, (name, sketch, moments) in zip(panels, shown, strict=True):
            _fleet(axes, moments, sketch.demand, unit_s)
            axes.set_title(name, fontsize=10, fontweight="bold", loc="left")
            axes.set_ylabel("workers")
        panels[-1].set_xlabel(f"time after the start [{unit}]")
        panels[-1].set_xlim(0, longest_s / unit_s)
        panels[-1].set_ylim(bottom=0)
        panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=4, fontsize=9)
        return svg_of(figure, f"Workers over time: {', '.join(name for name, _, _ in shown)}")


def _fleet(axes: Axes, moments: Moments, demand: Line, unit_s: float) -> None:
    at = np.array(moments.at_s) / unit_s
    axes.fill_between(
        at, moments.busy, step="post", color=BLUE, alpha=0.25, linewidth=0, label="busy"
    )
    axes.step(at, moments.workers, where="post", color=BLUE, linewidth=1.4, label="ready")
    axes.step(at, moments.nodes, where="post", color=ORANGE, linewidth=1.1, label="nodes paid for")
    if demand.at_s:
        axes.step(
            np.array(demand.at_s) / unit_s,
            demand.values,
            where="post",
            color=INK,
            linewidth=1,
            linestyle=":",
            label="even demand",
        )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def slacks_figure(named: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return the slack of a choice's deliveries, a line each, as SVG.

    Parameters
    ----------
    named : sequence of (str, sequence of float)
        Each choice and its slack at `sim.chronicle.PERCENTILES` [s].
    """
    ends_s = [abs(value) for _, slacks_s in named for value in (slacks_s[0], slacks_s[-1])]
    unit_s, unit = unit_of(max(ends_s))
    with drawn(WIDTH_IN, 0.9 + ROW_IN * len(named)) as (figure, axes):
        for place, (_, slacks_s) in enumerate(named):
            at = np.array(slacks_s) / unit_s
            colour = GREEN if at[0] >= 0 else RED
            axes.plot([at[0], at[100]], [place, place], color=colour, linewidth=1)
            axes.plot([at[5], at[95]], [place, place], color=colour, linewidth=3)
            axes.plot([at[25], at[75]], [place, place], color=colour, linewidth=7, alpha=0.55)
            axes.plot(at[50], place, marker="|", color=INK, markersize=11, markeredgewidth=2)
        axes.axvline(0.0, color=INK, linewidth=1)
        _rows(axes, [name for name, _ in named])
        axes.set_xlabel(f"time left at delivery [{unit}], negative is late")
        return svg_of(figure, "Slack of all deliveries, a line for each choice")


def regrets_figure(choices: Sequence[Choice]) -> str:
    """Return the regret of each choice as a bar, and how far it went over the seeds, as SVG."""
    told = [choice for choice in choices if choice.regret is not None]
    with drawn(WIDTH_IN, 0.9 + ROW_IN * len(told)) as (figure, axes):
        for place, choice in enumerate(told):
            assert choice.regret is not None
            mean, least, most = choice.regret.mean, choice.regret.least, choice.regret.most
            axes.barh(
                place,
                mean,
                height=0.62,
                color=GREEN if choice.met_all else ORANGE,
                alpha=0.75 if choice.met_all else 0.4,
            )
            axes.plot([least, most], [place, place], color=INK, linewidth=1.2)
            hits = "all met" if choice.met_all else f"{100 * choice.hit_rate.mean:.1f} % met"
            axes.annotate(
                f"{mean:.2f}, {hits}",
                (max(mean, most), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axes.axvline(1.0, color=INK, linewidth=1, linestyle=":")
        axes.margins(x=0.25)
        _rows(axes, [choice.label for choice in told])
        axes.set_xlim(left=0)
        axes.set_xlabel("regret: cost over the bound")
        return svg_of(figure, "Regret of each choice")


def deliveries_figure(ended: Sequence[Ended]) -> str:
    """Return each delivery's slack at its instant, as SVG."""
    told = [one for one in ended if one.slack_s is not None]
    told = sorted(told, key=lambda one: one.slack_s or 0.0)[:DOTS_MAX]
    unit_s, unit = unit_of(max(one.ended_s for one in told))
    slack_unit_s, slack_unit = unit_of(max(abs(one.slack_s or 0.0) for one in told))
    with drawn(WIDTH_IN, 3.0) as (figure, axes):
        for kind, (colour, shape, name) in OUTCOMES.items():
            those = [one for one in told if one.outcome is kind]
            if those:
                axes.scatter(
                    [one.ended_s / unit_s for one in those],
                    [(one.slack_s or 0.0) / slack_unit_s for one in those],
                    s=26,
                    color=colour,
                    marker=shape,
                    alpha=0.75,
                    linewidths=0,
                    label=f"{name} ({len(those):,})",
                )
        axes.axhline(0.0, color=INK, linewidth=1)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"delivered after the start [{unit}]")
        axes.set_ylabel(f"slack [{slack_unit}]")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=4, fontsize=9)
        return svg_of(figure, "Slack of each delivery over time")


def _rows(axes: Axes, names: Iterable[str]) -> None:
    labels = list(names)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_color(FAINT)


def unit_of(span_s: float) -> tuple[float, str]:
    """Return the unit in which spans up to this long [s] are drawn, in seconds, and its name."""
    return next((unit_s, name) for most_s, unit_s, name in UNITS if span_s <= most_s)
