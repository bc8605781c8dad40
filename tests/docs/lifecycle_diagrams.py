"""Draws the lifecycles of `planner.lifecycle` into docs/explanation/architecture.md.

``python -m tests.docs.lifecycle_diagrams`` writes them anew; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from planner.lifecycle import NODE_LIFE, PART_LIFE, TASK_LIFE, State, Table
from tests.docs.pages import DOCS

PAGE = DOCS / "explanation" / "architecture.md"


def diagram(life: Table[State]) -> str:
    """Return a table as a Mermaid state diagram; the first state is where a life begins."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(life))}"]
    for state, ways in life.items():
        lines += [f"    {state} --> {following}: {by}" for by, following in ways.items()]
        lines += [] if ways else [f"    {state} --> [*]"]
    return "\n".join(lines) + "\n"


DIAGRAMS = {"task": diagram(TASK_LIFE), "part": diagram(PART_LIFE), "node": diagram(NODE_LIFE)}


def drawn(text: str) -> str:
    """Return a page with each diagram below its marker as the tables give it."""
    for name, states in DIAGRAMS.items():
        marker = f"<!-- lifecycle: {name} -->\n"
        before, found, after = text.partition(marker)
        assert found, f"{PAGE.name} has no {marker!r}"
        rest = re.sub(r"\A```mermaid\n.*?^```\n", "", after, flags=re.DOTALL | re.MULTILINE)
        text = f"{before}{marker}```mermaid\n{states}```\n{rest}"
    return text


def draw(path: Path = PAGE) -> None:
    """Write the diagrams into a page."""
    path.write_text(drawn(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    draw()
