"""Who asks, and what they may: API keys with scopes, or everything for who is on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from controller.api.problems import Problem


class Scope(StrEnum):
    """What a key allows."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name : str
        Owner of what they make; empty where nobody has to say who they are.
    scopes : frozenset of Scope
    """

    name: str
    scopes: frozenset[Scope]

    def sees(self) -> str:
        """Return whose things they see; empty is everybody's."""
        return "" if Scope.OPERATE in self.scopes else self.name


ANYBODY = Caller(name="", scopes=frozenset(Scope))
"""Who asks where no keys are needed: whoever is on this machine."""

Find = Callable[[str], Caller | None]
"""Returns whose a key is, None of one that is nobody's."""


def may(scope: Scope) -> Callable[[Request], Caller]:
    """Return what finds the caller of a request, and refuses one who may not do such a thing."""

    def caller(request: Request) -> Caller:
        found = _caller(request)
        if scope not in found.scopes and Scope.OPERATE not in found.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"this key does not allow to {scope}",
                fix="Ask the operator for one that does",
            )
        return found

    return caller


Subscriber = Annotated[Caller, Depends(may(Scope.SUBSCRIBE))]
Publisher = Annotated[Caller, Depends(may(Scope.PUBLISH))]
Operator = Annotated[Caller, Depends(may(Scope.OPERATE))]
"""A caller who may do such things; as a route's parameter it refuses all others."""


def _caller(request: Request) -> Caller:
    find: Find | None = request.app.state.find_caller
    if find is None:
        return ANYBODY
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    found = find(key.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "no key, or none that is known",
            fix="Send Authorization: Bearer <key>",
        )
    return found
