"""The documentation as data: pages, their sections, tables, links and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        """Return its path from the root."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """All but what stands in code blocks."""
        return _FENCE.sub("", self.text)

    def headings(self, level: int) -> list[str]:
        """Return the headings of a level, in order, without code marks."""
        found = _HEADING.findall(self.prose)
        return [words.replace("`", "") for marks, words in found if len(marks) == level]

    def anchors(self) -> set[str]:
        """Return what links to this page may name behind a hash, as GitHub forms it."""
        words = (heading.lower() for _, heading in _HEADING.findall(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words}

    def section(self, heading: str) -> str:
        """Return the prose under a heading, up to the next one of its level or above."""
        pieces = re.split(r"^(#+ .+)$", self.prose, flags=re.MULTILINE)
        level = 0
        taken: list[str] = []
        for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
            marks, _, words = title.partition(" ")
            if level and len(marks) <= level:
                break
            if words.replace("`", "") == heading:
                level = len(marks)
            if level:
                taken.append(body)
        assert taken, f"{self} has no section {heading!r}"
        return "".join(taken)

    def blocks(self, language: str) -> list[str]:
        """Return the code blocks of a language."""
        return [body for name, body in _FENCE.findall(self.text) if name == language]

    def links(self) -> list[str]:
        """Return the targets of all links."""
        return _LINK.findall(self.prose)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every table row, without headers and rules."""
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def coded(cell: str) -> list[str]:
    """Return what stands in code marks in a cell."""
    return _CODE.findall(cell)


def first_cells(text: str) -> list[str]:
    """Return what stands in code marks in the first cells of all rows."""
    return [name for row in rows(text) for name in coded(row[0])]


def page(path: str) -> Page:
    """Return a page by its path below docs/."""
    return Page(DOCS / path)


def all_pages() -> list[Page]:
    """Return every page that people read."""
    tops = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "changes").glob("*.md"))]
    return [Page(path) for path in [*tops, *sorted(DOCS.rglob("*.md"))]]
