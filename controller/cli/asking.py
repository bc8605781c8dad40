"""What the commands that ask a service have in common: how its answers are put into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from rich.markup import escape
from rich.table import Table

from controller.cli.display import messages, print_json


def answer_json(value: object) -> None:
    """Print what the service answered as JSON."""
    print_json(msgspec.to_builtins(value))


def warn_of(warnings: Iterable[str]) -> None:
    """Tell warnings on stderr."""
    for warning in warnings:
        messages().print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)


def complain(faults: Iterable[str]) -> None:
    """Tell on stderr what could not be done."""
    for fault in faults:
        messages().print(f"[red]error:[/] {escape(fault)}", highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Tell on stderr what was done."""
    messages().print(escape(text), highlight=False, soft_wrap=True)


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Return names and values, one below the other."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in rows:
        shown.add_row(name, value)
    return shown


def instant(at: datetime | None) -> str:
    """Return an instant as people read it, in UTC; "-" for none."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def clock(at: datetime | None) -> str:
    """Return an instant of these days in short: the time of day, and the day if it is another."""
    if at is None:
        return "-"
    same_day = at.astimezone(UTC).date() == datetime.now(UTC).date()
    return at.astimezone(UTC).strftime("%H:%M:%SZ" if same_day else "%m-%d %H:%MZ")


def box(bbox: Sequence[float]) -> str:
    """Return a box as it is written; the globe by its name."""
    if tuple(bbox) == (-180.0, -90.0, 180.0, 90.0):
        return "the globe"
    return ",".join(f"{edge:g}" for edge in bbox)
