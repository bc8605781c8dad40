"""Finds who asks, and refuses who may not: API keys with scopes."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from controller.api.problems import Problem
from controller.api.scopes import ANYBODY, Caller, Scope

Find = Callable[[str], Caller | None]
"""Returns whose a key is, None of one that is nobody's; without a key the text is empty."""


def may(scope: Scope) -> Callable[[Request], Caller]:
    """Return what finds the caller of a request, and refuses one who may not do such a thing."""

    def caller(request: Request) -> Caller:
        found = _caller(request)
        request.scope["state"]["caller"] = found.name
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
    found = find(key.strip() if scheme.lower() == "bearer" else "")
    if found is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "no key, or none that is known",
            fix="Send Authorization: Bearer <key>",
        )
    return found
