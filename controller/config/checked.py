"""A document held against the shape it should have: all faults in words, each with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.config.yaml_lines import Document, Fault, Where

Model = TypeVar("Model", bound=BaseModel)
Describe = Callable[[Where], tuple[str, Where]]
"""Splits the way to a value into the words that a message begins with and the rest of the way."""

NAMES_TOLD_MAX = 12
"""A message lists this many allowed names at most; more would hide the message."""

_RULES = {
    "missing": "is missing",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be one value",
    "string_too_short": "must not be empty",
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}
"""What each kind of pydantic's errors is called here."""


def hint(word: str, allowed: Iterable[str]) -> str:
    """Return which allowed names are near a word, or else what is allowed."""
    names = {name.lower(): name for name in allowed}
    begun = [name for name in names if name and word.lower().startswith(name)]
    near = begun or get_close_matches(word.lower(), names, n=3)
    if near:
        return f"Did you mean {' or '.join(names[name] for name in near)}?"
    told = sorted(names.values())[:NAMES_TOLD_MAX]
    more = f" and {len(names) - len(told)} more" if len(names) > len(told) else ""
    return f"Known: {', '.join(told) or 'none'}{more}"


def check(
    document: Document, model: type[Model], describe: Describe, context: object = None
) -> tuple[Model | None, list[Fault]]:
    """Hold a document against a model: return either the checked value or what is wrong with it."""
    value, found = held(document.value, model, describe, context)
    return value, [_placed(document, where, what) for where, what in found]


def _placed(document: Document, where: Where, what: str) -> Fault:
    fault = document.fault(where, what)
    named = [each for each in _named(document, where, what) if each != fault.variable]
    return replace(fault, what=f"{what} (see {', '.join(named)})") if named else fault


def _named(document: Document, where: Where, what: str) -> Iterator[str]:
    """Yield the variables that said what a fault of a whole section names."""
    words = set(what.split())
    for place, variable in document.variables.items():
        if place[:-1] == where and place[-1] in words:
            yield variable


def held(
    given: object, model: type[Model], describe: Describe, context: object = None
) -> tuple[Model | None, list[tuple[Where, str]]]:
    """Hold plain values against a model; return where each fault lies, and what it is."""
    try:
        return model.model_validate(given, context=context), []
    except ValidationError as error:
        return None, [_fault(model, describe, each) for each in error.errors(include_url=False)]


def _fault(model: type[BaseModel], describe: Describe, error: ErrorDetails) -> tuple[Where, str]:
    where: Where = error["loc"]
    subject, rest = describe(where)
    return where, subject + _words(model, error, where, rest)


def _words(model: type[BaseModel], error: ErrorDetails, where: Where, rest: Where) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return f"unknown key {where[-1]!r}. {hint(str(where[-1]), keys_at(model, where[:-1]))}"
    name = ".".join(map(str, rest)) or ("the file" if not where else "it")
    if kind == "missing":
        return f"{name} is missing"
    rule = _RULES[kind].format(**context) if kind in _RULES else error["msg"]
    given = error["input"]
    if given is None:
        return f"{name} is empty; it {rule}, or leave it out"
    return f"{name} {rule}" + (f", not {given}" if given and isinstance(given, str) else "")


def keys_at(model: type[BaseModel], where: Where) -> list[str]:
    """Return the keys that a model allows at a place."""
    at: type[BaseModel] | None = model
    for step in where:
        field = at.model_fields.get(str(step)) if at else None
        at = _model_in(field.annotation) if field else at
    return list(at.model_fields) if at else []


def _model_in(hint: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, be it of a list or a mapping."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    return next(filter(None, map(_model_in, get_args(hint))), None)
