"""Places in a command line that are filled in for each part, word by word: no shell reads them.

Only what the service itself has made or the operator has written gets into a command line: paths,
numbers, instants, and names of parameters that the settings list. A subscriber's options never do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

PLACEHOLDERS: Mapping[str, str] = {
    "fragment": "the file to write",
    "part": "a file with the part as JSON, what stdin holds too",
    "archive": "the dataset's folder or URL",
    "here": "the folder of the settings file",
    "west": "west edge of the box [degrees east]",
    "south": "south edge of the box [degrees north]",
    "east": "east edge of the box [degrees east]",
    "north": "north edge of the box [degrees north]",
    "start": "start of the period, ISO 8601 in UTC, or `..`",
    "end": "end of the period, ISO 8601 in UTC, or `..`",
    "parameters": "names of parameters, with commas between",
}
"""What may stand between braces in a word of a command."""

_DOUBLED = r"\{\{([a-z_]+)\}\}"
_PLACE = re.compile(rf"{_DOUBLED}|\{{([a-z_]+)\}}")
"""Braces around anything but one plain word are text: a program for awk has many."""


def unknown_places(words: Iterable[str]) -> list[str]:
    """Return what stands in braces and is no placeholder, sorted."""
    found = {name for word in words for _, name in _PLACE.findall(word) if name}
    return sorted(found - PLACEHOLDERS.keys())


def placed(words: Iterable[str], folder: str) -> tuple[str, ...]:
    """Return the words with ``{here}`` filled in, and all else as it is."""

    def fill(place: re.Match[str]) -> str:
        return folder if place.group() == "{here}" else place.group()

    return tuple(_PLACE.sub(fill, word) for word in words)


def filled(words: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Return the words with their placeholders filled in; ``{{name}}`` is the text ``{name}``.

    A name that `values` lacks stays as it is.
    """

    def fill(place: re.Match[str]) -> str:
        doubled, name = place.groups()
        return f"{{{doubled}}}" if doubled else values.get(name, place.group())

    return [_PLACE.sub(fill, word) for word in words]
