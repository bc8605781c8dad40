"""A pydantic model that checks what a tree of plain dataclasses is made of.

The planner's settings are plain dataclasses and know no pydantic. Their model is made from their
fields and defaults, so nothing is written twice; what a value may be stands beside, in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import partial
from types import GenericAlias, UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, create_model
from pydantic import Field as Rule

Kind = TypeVar("Kind")

Rules = Mapping[type, Mapping[str, Any]]
"""Of a dataclass and a field: pydantic's constraint, a narrower type, or None for any value."""

Orders = Mapping[type, tuple[tuple[str, str], ...]]
"""Of a dataclass: pairs of fields of which the first may not be above the second."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def model_of(kind: type, rules: Rules, orders: Orders) -> type[BaseModel]:
    """Return the model of a dataclass; nested dataclasses come out of it as themselves."""
    hints = get_type_hints(kind, include_extras=True)
    shape: dict[str, Any] = {
        one.name: (
            _checked(hints[one.name], rules.get(kind, {}).get(one.name), rules, orders),
            _default(one),
        )
        for one in fields(kind)
    }
    return create_model(kind.__name__, __config__=_STRICT, **shape)


def build(kind: Callable[..., Kind], model: BaseModel) -> Kind:
    """Return the dataclass that a checked model describes."""
    return kind(**dict(model))


def _checked(hint: Any, rule: Any, rules: Rules, orders: Orders) -> Any:
    if is_dataclass(hint):
        assert isinstance(hint, type)
        ordered = partial(_build_ordered, hint, orders.get(hint, ()))
        return Annotated[model_of(hint, rules, orders), AfterValidator(ordered)]
    if get_origin(hint) is UnionType and any(map(is_dataclass, get_args(hint))):
        (own,) = filter(is_dataclass, get_args(hint))
        return _checked(own, None, rules, orders) | None
    if get_origin(hint) is dict:
        name, value = get_args(hint)
        return GenericAlias(dict, (name, _checked(value, None, rules, orders)))
    if rule is None:
        return hint
    return rule if get_origin(rule) is not None else Annotated[hint, rule]


def _build_ordered(kind: type, pairs: tuple[tuple[str, str], ...], model: BaseModel) -> object:
    for low, high in pairs:
        below, above = getattr(model, low), getattr(model, high)
        if below > above:
            raise ValueError(f"{low} {below} is above {high} {above}")
    return build(kind, model)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return Rule(default_factory=one.default_factory)
    return ... if one.default is MISSING else one.default
