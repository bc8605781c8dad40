"""Tables on narrow terminals: what there is no room for goes whole, and nothing is cropped."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from controller.cli.display import Column, fitting

COLUMNS: list[Column[str]] = [
    ("Subscription", 0, lambda one: one),
    (">Parts", 1, lambda _: "2"),
    (">Run time", 1, lambda _: "1.4 s"),
    (">90 %", 1, lambda _: "2.1 s"),
    (">Workers", 0, lambda _: "1"),
    (">Finish", 0, lambda _: "2.5 s"),
    (">Deadline", 0, lambda _: "30.0 s"),
    (">Slack", 0, lambda _: "[green]+27.5 s[/]"),
    ("State", 0, lambda _: "on time"),
]


@pytest.mark.parametrize("width", [62, 68, 74, 79, 80, 81, 90, 120])
def test_the_last_column_is_whole(width: int) -> None:
    shown = StringIO()
    console = Console(file=shown, width=width)
    console.print(fitting("Tasks", COLUMNS, ["atlantic"], width))
    head, row = shown.getvalue().splitlines()[-2:]
    assert head.split()[-1] == "State"
    assert row.rstrip().endswith("+27.5 s  on time")
