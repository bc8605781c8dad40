"""Each value of the settings, and where it came from; secrets are told as set or not set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from controller.apps.request import iso_instant
from controller.config.providers import ProviderSettings
from controller.config.serving import URLS
from controller.config.settings import Settings, Told
from controller.config.shape import bare, entries_in, hints_of, is_plugged, section_in
from controller.config.yaml_lines import Where
from controller.destinations import without_user
from planner.extent import Period


class Origin(StrEnum):
    """What kind of place a value came from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value and where it came from.

    Parameters
    ----------
    where : Where
        Its section, key by key, and its own.
    value : object
        Fit to be shown: a secret is "set" or "not set", a URL is without its user.
    origin : Origin
    place : str
        ``slackwater.yaml:7``, the variable, the secret's file; empty for a default.
    """

    where: Where
    value: object
    origin: Origin
    place: str = ""

    @property
    def name(self) -> str:
        """The name as the reference has it, ``planner.scaling.nodes_max``."""
        return ".".join(map(str, self.where))


def settings_told(told: Told) -> Iterator[Setting]:
    """Yield every value of the settings, section by section."""
    for where, value in _values((), Settings, told.settings):
        origin, place = _origin(told, where)
        yield Setting(where=where, value=value, origin=origin, place=place)


def _values(where: Where, hint: Any, value: Any) -> Iterator[tuple[Where, object]]:
    section, entries = section_in(hint), entries_in(hint)
    if isinstance(value, ProviderSettings):
        yield (*where, "kind"), value.kind
        yield from _values(where, type(value.options), value.options)
    elif is_plugged(hint) and value is not None:
        yield from _values(where, type(value), value)
    elif section is not None and value is not None:
        for name, inner in hints_of(section).items():
            yield from _values((*where, name), inner, getattr(value, name))
    elif entries is not None and value:
        for name, inner in value.items():
            # What a command is told in its variables may be a key to something.
            is_section = section_in(entries) is not None or is_plugged(entries)
            shown = inner if is_section else SecretStr(inner)
            yield from _values((*where, name), entries, shown)
    else:
        yield where, value if where in URLS else _shown(hint, value)


def _shown(hint: Any, value: Any) -> object:
    if bare(hint) is SecretStr or isinstance(value, SecretStr):
        return "set" if value is not None else "not set"
    match value:
        case str():
            return without_user(value)
        case tuple():
            return [_shown(None, each) for each in value]
        case None | bool() | int() | float():
            return value
        case dict():
            return {}
        case Period():
            return f"{_edge(value.start_at)}/{_edge(value.end_at)}"
    raise AssertionError(f"settings have no {type(value)}")


def _edge(at: float | None) -> str:
    return ".." if at is None else iso_instant(at)


def _origin(told: Told, where: Where) -> tuple[Origin, str]:
    if path := told.secret_files.get(where):
        return Origin.SECRET_FILE, path
    if variable := told.document.variables.get(where):
        return Origin.ENVIRONMENT, variable
    if line := told.document.lines.get(where):
        return Origin.FILE, f"{told.document.path}:{line}"
    return Origin.DEFAULT, ""
