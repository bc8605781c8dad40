"""What other distributions add to slackwater: objects found by entry point group and name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar, cast

from planner.errors import BrokenPlugin, UnknownPlugin

Plugin = TypeVar("Plugin")

IMPORT_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a module of somebody else may raise while it is imported."""


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, sorted, without importing them.

    Where two distributions claim one name, which one stands here is arbitrary; `load` refuses it.
    """
    return {entry.name: entry for entry in sorted(entry_points(group=group))}


def load(group: str, name: str, builtins: Mapping[str, Plugin]) -> Plugin:
    """Return the built-in or installed plug-in of this name, as its entry point names it.

    The caller checks that an installed one is what the group asks for: nothing here can.

    Raises
    ------
    UnknownPlugin
        There is none of this name; near names are suggested.
    BrokenPlugin
        Its import fails, or its name is claimed twice.
    """
    claims = [entry for entry in entry_points(group=group) if entry.name == name]
    if len(claims) + (name in builtins) > 1:
        raise BrokenPlugin(
            f"the name {name!r} in {group} is claimed by {_claimants(claims, name in builtins)}",
            fix="Uninstall all but one",
        )
    if name in builtins:
        return builtins[name]
    if not claims:
        raise UnknownPlugin(
            f"no plug-in of {group} is called {name!r}", fix=_suggestion(group, name, builtins)
        )
    return cast("Plugin", _imported(claims[0]))


def _imported(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except IMPORT_FAULTS as error:
        raise BrokenPlugin(
            f"the plug-in {entry.name!r} of {entry.group} ({entry.value}, {_distribution(entry)})"
            f" cannot be imported: {type(error).__name__}: {error}",
            fix="Repair or uninstall that distribution",
        ) from error


def _suggestion(group: str, name: str, builtins: Mapping[str, object]) -> str:
    names = sorted({*builtins, *installed(group)})
    near = get_close_matches(name, names, n=2)
    guess = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{guess}There are: {', '.join(names) or 'none'}"


def _claimants(claims: list[EntryPoint], is_built_in: bool) -> str:
    names = sorted(map(_distribution, claims))
    return " and ".join((["slackwater itself"] if is_built_in else []) + names)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unnamed distribution"
