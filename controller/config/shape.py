"""What a tree of settings is made of: sections, mappings of sections by name, and single values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from controller.config.yaml_lines import Where

PLUGGED = "as a plug-in reads it"

Plugged = Annotated[Any, PLUGGED]
"""A value whose shape a plug-in says (`controller.config.providers`)."""


@cache
def hints_of(kind: type) -> Mapping[str, Any]:
    """Return the annotations of a section's keys."""
    return get_type_hints(kind, include_extras=True)


def section_in(hint: Any) -> type | None:
    """Return the section that an annotation stands for, be it one that may be left out."""
    if get_origin(hint) is UnionType:
        return next(filter(None, map(section_in, get_args(hint))), None)
    return hint if isinstance(hint, type) and is_dataclass(hint) else None


def entries_in(hint: Any) -> Any:
    """Return the annotation of a mapping's values, None for anything else."""
    return get_args(hint)[1] if get_origin(hint) is dict else None


def is_plugged(hint: Any) -> bool:
    """Tell whether a plug-in says what an annotation stands for."""
    return get_origin(hint) is Annotated and PLUGGED in hint.__metadata__


def bare(hint: Any) -> Any:
    """Return the type of a single value, without its rules and without None."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) is UnionType:
        return bare(next(each for each in get_args(hint) if each is not type(None)))
    return get_origin(hint) or hint


def plain_values(kind: type, before: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Yield the way to each value that has a fixed place, and its annotation."""
    for name, hint in hints_of(kind).items():
        where = (*before, name)
        if section := section_in(hint):
            yield from plain_values(section, where)
        elif entries_in(hint) is None:
            yield where, hint
