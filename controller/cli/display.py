"""How things look on a terminal: tables on stdout, messages on stderr, spans and sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from planner.spans import span as told
from sim.page import json_text

Item = TypeVar("Item")

Column = tuple[str, int, Callable[[Item], str]]
"""Of a table that gives way: its head, how readily it is dropped, and its cell of an item."""


def results() -> Console:
    """Return the console for results (stdout)."""
    return Console()


def messages() -> Console:
    """Return the console for progress and messages (stderr)."""
    return Console(stderr=True)


def print_json(value: object) -> None:
    """Print a result as JSON on stdout."""
    print(json_text(value, indent=2))  # noqa: T201 - this is the result


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a plain table; a column ">name" is set flush right, "=name" is never wrapped."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        flush, whole = name.startswith(">"), name.startswith("=")
        shown.add_column(
            name.lstrip(">="),
            justify="right" if flush else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=max(map(len, name.lstrip(">=").split()), default=None),
            vertical="bottom",
        )
    for row in rows:
        shown.add_row(*row)
    return shown


def fitting(
    title: str, columns: Sequence[Column[Item]], items: Sequence[Item], width: int
) -> Table:
    """Return a table with as many columns as there is room for; those of 0 always stay."""
    for most in range(max(readiness for _, readiness, _ in columns), -1, -1):
        kept = [(head, cell) for head, readiness, cell in columns if readiness <= most]
        rows = [[cell(item) for _, cell in kept] for item in items]
        plain = [[Text.from_markup(cell).plain for cell in row] for row in rows]
        words = [max(map(len, head.lstrip(">=").split())) for head, _ in kept]
        columns_of = zip(*plain, strict=True) if rows else ((),) * len(kept)
        widths = [max(map(len, column), default=0) for column in columns_of]
        needed = sum(map(max, words, widths))
        if needed + 2 * len(kept) <= width:
            break
    heads = [head for head, _ in kept]
    whole = [max(len(head.lstrip(">=")), cells) for head, cells in zip(heads, widths, strict=True)]
    if sum(whole) + 2 * len(kept) > width:
        # A line a word: what lays the table out would rather crop the last column.
        heads = [head.replace(" ", "\n") for head in heads]
    return table(title, heads, rows)


def span(seconds: float | None) -> str:
    """Return a span of time in the unit that reads best (see `planner.spans`), "-" for none."""
    return "-" if seconds is None else told(seconds)


def short_span(seconds: float) -> str:
    """Return a span of time as `span` does, but what is below a second in milliseconds."""
    return f"{1000 * seconds:.0f} ms" if round(seconds, 3) < 1 else span(seconds)


def slack(seconds: float | None) -> str:
    """Return a slack with its sign and colour: green is in time, red is late."""
    if seconds is None:
        return "-"
    colour, sign = ("green", "+") if seconds >= 0 else ("red", "")
    return f"[{colour}]{sign}{span(seconds)}[/]"


def size(size_bytes: int) -> str:
    """Return a size in the unit that reads best."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
