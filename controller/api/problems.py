"""What the API answers when it cannot do as it was asked: problem details as of RFC 9457."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from controller.config.yaml_lines import Where
from controller.errors import ArchiveError, Fenced, Overloaded, StorageError
from planner.errors import SlackwaterError

RETRY_S = 5
"""Who is told to come back later is told to wait this long [s]."""

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_FAULT = {
    "type": "object",
    "properties": {"pointer": _TEXT, "parameter": _TEXT, "detail": _TEXT},
    "required": ["detail"],
}

CONTENT: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "properties": {
                "type": _TEXT,
                "title": _TEXT,
                "status": _NUMBER,
                "detail": _TEXT,
                "errors": {"type": "array", "items": _FAULT},
            },
            "required": ["type", "title", "status", "detail"],
        }
    }
}
"""How OpenAPI describes a problem document."""


class Problem(SlackwaterError):
    """A request that is answered with a problem document.

    Parameters
    ----------
    status : HTTPStatus
    what, fix : str
        See `SlackwaterError`.
    faults : sequence of (Where or str, str)
        What is wrong with each value: of the body, the way to it; of the query or the headers, the
        name.
    """

    def __init__(
        self,
        status: HTTPStatus,
        what: str,
        *,
        fix: str = "",
        faults: Sequence[tuple[Where | str, str]] = (),
    ) -> None:
        super().__init__(what, fix=fix)
        self.status = status
        self.faults = tuple(faults)


def not_found(kind: str, name: str) -> Problem:
    """Return the problem of something that is not there, or is somebody else's."""
    return Problem(HTTPStatus.NOT_FOUND, f"there is no {kind} {name}")


def document(problem: Problem) -> dict[str, Any]:
    """Return a problem as its document."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": str(problem),
    }
    if problem.faults:
        told["errors"] = [{**_place(where), "detail": what} for where, what in problem.faults]
    return told


_HEADERS = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_S)},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": str(RETRY_S)},
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="slackwater"'},
}
"""What else is said with a status: when to come back, how to show who one is."""


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as an answer; one that may pass says when to come back."""
    return JSONResponse(
        document(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={**_HEADERS.get(problem.status, {}), **(headers or {})},
    )


def install(app: FastAPI) -> None:
    """Have every fault of an application answered as a problem."""
    app.add_exception_handler(SlackwaterError, _of_ours)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(Exception, _of_a_bug)


async def _of_ours(_: Request, fault: Exception) -> JSONResponse:
    match fault:
        case Problem():
            return answer(fault)
        case Overloaded():
            return answer(Problem(HTTPStatus.TOO_MANY_REQUESTS, fault.what, fix=fault.fix))
        case StorageError() | ArchiveError() | Fenced():  # Ours, not whoever asked.
            return answer(Problem(HTTPStatus.SERVICE_UNAVAILABLE, fault.what, fix=fault.fix))
        case SlackwaterError():
            return answer(Problem(HTTPStatus.UNPROCESSABLE_ENTITY, fault.what, fix=fault.fix))
    raise fault


async def _of_http(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, HTTPException)
    return answer(Problem(HTTPStatus(fault.status_code), str(fault.detail)), fault.headers)


async def _of_request(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, RequestValidationError)
    faults = [(_way(each["loc"]), str(each["msg"])) for each in fault.errors()]
    return answer(
        Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request cannot be read", faults=faults)
    )


async def _of_a_bug(request: Request, fault: Exception) -> JSONResponse:
    """Answer a fault of ours: nothing of it leaves the house but where to find it in the log."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    _log.error("request %s met a fault of ours, a %s", request_id, type(fault).__name__)
    return answer(
        Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "the service met a fault of its own",
            fix=f"Tell the operator of request {request_id}",
        )
    )


def _way(loc: Sequence[str | int]) -> Where | str:
    if loc and loc[0] in ("query", "header", "path"):
        return str(loc[-1])
    return tuple(loc[1:])


def _place(where: Where | str) -> dict[str, str]:
    """Return where a fault is: in the body as a JSON pointer (RFC 6901), elsewhere by its name."""
    if isinstance(where, str):
        return {"parameter": where}
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in where)
    return {"pointer": pointer}
