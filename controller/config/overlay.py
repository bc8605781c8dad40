"""What the environment says, laid over what a file says: one document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from controller.config.environment import Override, leaves
from controller.config.yaml_lines import Document, Value, Where


def overlaid(
    document: Document, overrides: Iterable[Override], entries: Mapping[Where, Mapping[str, str]]
) -> Document:
    """Return a document in which variables have the last word.

    Parameters
    ----------
    document : Document
    overrides : iterable of Override
        Of two that meet, the one that names more of the way has the last word.
    entries : mapping of Where to Value
        What an entry starts from that stands without being written, when a variable changes it.
    """
    value: Any = deepcopy(document.value)
    if not isinstance(value, dict):
        return document
    entries = {place: said for place, said in entries.items() if value.get(place[0]) is None}
    lines, variables = dict(document.lines), dict(document.variables)
    for override in sorted(overrides, key=lambda each: len(each.where)):
        for where, said in leaves(override):
            _start_from(value, where, entries)
            _put(value, where, said)
            for old in [old for old in lines if old[: len(where)] == where]:
                del lines[old]
            for length in range(1, len(where)):
                if where[:length] not in lines:
                    variables.setdefault(where[:length], override.variable)
            variables[where] = override.variable
    return replace(document, value=value, lines=lines, variables=variables)


def _start_from(value: Any, where: Where, entries: Mapping[Where, Mapping[str, str]]) -> None:
    for place, said in entries.items():
        if len(where) > len(place) and where[: len(place)] == place:
            for key, each in said.items():
                _put(value, (*place, key), each, over=False)


def _put(value: Any, where: Where, said: Value, *, over: bool = True) -> None:
    *way, last = where
    for step in way:
        if value.get(step) is None:
            value[step] = {}
        value = value[step]
        if not isinstance(value, dict):
            return  # one value where a section belongs, which is a fault of its own
    if over or last not in value:
        value[last] = said
