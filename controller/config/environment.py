"""Settings from the environment: ``SLACKWATER_SECTION__KEY`` says one value as the file would.

What a variable's text may hold, one value or several, pydantic-settings reads off the model of the
settings. How several are written is ours, and so is that each value is known by its variable, that
one which names nothing is a fault, and that scalars stay text as in `yaml_lines`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, SecretStr, create_model
from pydantic.fields import FieldInfo

from controller.config.checked import hint as names_near
from controller.config.shape import (
    Plugged,
    bare,
    entries_in,
    hints_of,
    is_plugged,
    plain_values,
    section_in,
)
from controller.config.variables import BETWEEN, PREFIX, is_setting
from controller.config.yaml_lines import EMPTY_WORDS, Fault, Value, Where

if TYPE_CHECKING:
    from pydantic_settings import EnvSettingsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What a variable says.

    Parameters
    ----------
    variable : str
    where : Where
        The way to the value that it sets.
    value : Value
        As a settings file would hold it.
    """

    variable: str
    where: Where
    value: Value


@dataclass(frozen=True, slots=True)
class _Told:
    """Where a variable's value goes, and what may stand there."""

    where: Where
    hint: Any


def read_environment(
    environment: Mapping[str, str], kind: type, model: type[BaseModel]
) -> tuple[list[Override], list[Fault]]:
    """Return what the environment says of settings, and what is wrong with its variables.

    Parameters
    ----------
    environment : mapping of str to str
    kind : type
        The dataclass of the settings.
    model : type of BaseModel
        The model of that dataclass (`mirror.model_of`).
    """
    variables = sorted(filter(is_setting, environment))
    if not variables:
        return [], []
    source = _source_of(model)
    overrides: dict[Where, Override] = {}
    faults: list[Fault] = []
    for variable in variables:
        found = _placed(kind, variable)
        if isinstance(found, str):
            faults.append(Fault(0, found, variable))
        elif (first := overrides.get(found.where)) is not None:
            faults.append(Fault(0, f"says what {first.variable} says too; keep one", variable))
        else:
            try:
                value = _value(source, found, environment[variable])
            except (ValueError, RecursionError):
                faults.append(Fault(0, "begins as JSON but is none", variable))
                continue
            overrides[found.where] = Override(variable=variable, where=found.where, value=value)
    return list(overrides.values()), faults


def variable_of(where: Where) -> str:
    """Return the variable that sets a value."""
    return PREFIX + BETWEEN.join(str(step).replace("-", "_") for step in where).upper()


def _placed(kind: type, variable: str) -> _Told | str:
    """Return where a variable's value goes, or what is wrong with its name."""
    found = _way(kind, variable[len(PREFIX) :].split(BETWEEN))
    if isinstance(found, str):
        meant = {_single(variable_of(where)): where for where, _ in plain_values(kind)}
        if near := meant.get(_single(variable.upper())):
            return f"names no setting. Did you mean {variable_of(near)}?"
    return found


def _single(variable: str) -> str:
    return variable.replace(BETWEEN, "_")


def _way(hint: Any, names: Sequence[str], before: Where = ()) -> _Told | str:
    if not names:
        return _Told(before, hint)
    if is_plugged(hint):
        return _Told((*before, *(name.lower() for name in names)), Plugged)
    first, *rest = names
    if section := section_in(hint):
        hints = hints_of(section)
        if (key := first.lower()) not in hints:
            return f"names no setting: unknown key {key!r}. {names_near(key, hints)}"
        return _way(hints[key], rest, (*before, key))
    if (entries := entries_in(hint)) is not None:
        # Names of sections have small letters and hyphens, which no shell lets a variable have.
        is_section = section_in(entries) or is_plugged(entries)
        key = first.lower().replace("_", "-") if is_section else first
        return _way(entries, rest, (*before, key))
    return f"names no setting: {'.'.join(map(str, before))} is one value, without keys"


def _value(source: EnvSettingsSource, told: _Told, text: str) -> Value:
    if is_plugged(told.hint):
        return _composed(None, text)
    kind = bare(told.hint)
    if kind is tuple and not text.strip():
        return []
    if kind not in {str, SecretStr, tuple} and text in EMPTY_WORDS:
        return None
    if kind is SecretStr and not text:
        return None
    top, *steps = map(str, told.where)
    field = source.settings_cls.model_fields[top]
    if not steps:
        return _composed(field, text)
    found: Any = source.explode_env_vars(top, field, {BETWEEN.join((top, *steps)): text})
    for step in steps:
        found = found[step]
    return cast("Value", found)


@cache
def _source_of(model: type[BaseModel]) -> EnvSettingsSource:
    from pydantic_settings import BaseSettings, EnvSettingsSource  # noqa: PLC0415 - only if needed

    class Source(EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
            return _composed(field, str(value))

    shape: Any = create_model("Variables", __base__=(model, BaseSettings))
    return Source(shape, case_sensitive=True, env_prefix="", env_nested_delimiter=BETWEEN)


def _composed(field: FieldInfo | None, text: str) -> Value:
    """Return what a text says where several values may stand; no field is a mapping's value."""
    if text.lstrip()[:1] in {"[", "{"}:
        return _as_text(json.loads(text, parse_int=str, parse_float=str))
    if field is not None and bare(field.annotation) is tuple:
        return [word.strip() for word in text.split(",")]
    return text


def _as_text(said: Any) -> Value:
    """Return a value of JSON as YAML's reader would return it: scalars are text."""
    match said:
        case dict():
            return {key: _as_text(value) for key, value in said.items()}
        case list():
            return [_as_text(value) for value in said]
        case bool():
            return str(said).lower()
        case None:
            return None
    return str(said)


def leaves(override: Override) -> Iterator[tuple[Where, Value]]:
    """Yield each value that an override sets: a mapping changes what it names and nothing else."""
    yield from _leaves(override.where, override.value)


def _leaves(where: Where, value: Value) -> Iterator[tuple[Where, Value]]:
    if not isinstance(value, dict) or not value:
        yield where, value
        return
    for key, inner in value.items():
        yield from _leaves((*where, key), inner)
