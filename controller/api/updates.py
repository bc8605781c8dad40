"""Messages that announce new data, pushed by those who publish it."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool as aside

from controller.api.door import TheDoor
from controller.api.problems import Problem
from controller.api.who import Publisher

router = APIRouter(prefix="/v1", tags=["updates"])

FORMS = (
    "application/json",
    "application/cloudevents+json",
    "application/geo+json",
)
"""Plain JSON or a binary CloudEvent, a structured CloudEvent, a WIS2 notification message."""


class AnnouncedTold(BaseModel):
    """What became of a message."""

    id: str
    dataset: str
    is_new: bool


@router.post(
    "/updates",
    status_code=HTTPStatus.ACCEPTED,
    response_model=AnnouncedTold,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {form: {"schema": {"type": "object"}} for form in FORMS},
        }
    },
)
async def announce(door: TheDoor, request: Request, _: Publisher) -> dict[str, Any]:
    """Take a message that a dataset has changed: it is looked at now.

    A message that comes again under its id changes nothing, and is answered alike.
    """
    if door.announce is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "this service takes no pushed messages",
            fix="Set sources.push_enabled",
        )
    headers, body = dict(request.headers), await request.body()
    headers.pop("authorization", None)
    return asdict(await aside(door.announce, headers, body))
