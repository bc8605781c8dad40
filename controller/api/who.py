"""Finds who asks, and refuses who may not: API keys with scopes."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from controller.api.problems import Problem
from controller.api.scopes import ANYBODY, Caller, Scope

_bearer = HTTPBearer(auto_error=False, description="A key, as `slackwater keys add` makes them.")

Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

Find = Callable[[str], Caller | None]
"""Returns whose a key is, None of one that is nobody's; without a key the text is empty."""


def may(scope: Scope) -> Callable[[Request, Shown], Caller]:
    """Return what finds the caller of a request, and refuses one who may not do such a thing."""

    def caller(request: Request, shown: Shown) -> Caller:
        found = _caller(request, shown)
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


def _caller(request: Request, shown: HTTPAuthorizationCredentials | None) -> Caller:
    find: Find | None = request.app.state.find_caller
    if find is None:
        return ANYBODY
    found = find("" if shown is None else shown.credentials.strip())
    if found is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "no key, or none that is known",
            fix="Send Authorization: Bearer <key>",
        )
    return found
