"""Figures as inline SVG: readable on light and dark ground, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT = "#000000", "#7f8c99"
"""Ink stands for the page's text colour, whatever that is; grids and side notes are faint."""

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0077bb", "#ee7733", "#009988", "#cc3311", "#aa4499", "#33bbee",
)  # fmt: skip
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
"""Told apart by colour-blind eyes too (after P. Tol's vibrant scheme), on light and dark ground."""

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 72,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.35,
    "grid.color": FAINT,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "slackwater",
}


@contextmanager
def drawn(width_in: float, height_in: float) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure of this size [inches] and its one pair of axes, to draw on."""
    with figure_of(width_in, height_in) as figure:
        yield figure, figure.subplots()


@contextmanager
def drawn_rows(width_in: float, row_in: float, count: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield a figure with so many pairs of axes below each other, over one axis of time."""
    with figure_of(width_in, row_in * count + 0.4) as figure:
        yield figure, list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


@contextmanager
def figure_of(width_in: float, height_in: float) -> Iterator[Figure]:
    """Yield an empty figure of this size [inches], for several pairs of axes."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width_in, height_in), layout="constrained")


def svg_of(figure: Figure, label: str) -> str:
    """Return a figure as an SVG element for a page.

    Parameters
    ----------
    figure : Figure
    label : str
        What it shows, for those who do not see it.
    """
    with mpl.rc_context(_STYLE):
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return _named_by_content(drawing).replace(INK, "currentColor")


def _named_by_content(drawing: str) -> str:
    """Return an SVG whose clip paths are named after what they hold, not after an address."""
    for name, content in re.findall(r'<clipPath id="(\w+)">(.*?)</clipPath>', drawing, re.DOTALL):
        ours = f"clip-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        drawing = drawing.replace(f'"{name}"', f'"{ours}"').replace(
            f"url(#{name})", f"url(#{ours})"
        )
    return drawing
