"""Whether the service lives and is ready, how it stands, and its metrics: for who watches it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from controller.api.door import TheDoor
from controller.api.problems import Problem
from controller.api.shapes import StatusTold, told_status
from controller.api.who import Operator, Subscriber
from controller.telemetry import CONTENT_TYPE

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """That the process is there."""

    status: str


class Readiness(BaseModel):
    """Whether work is taken, and what is wrong, by the part of the service."""

    status: str
    faults: dict[str, str]


@router.get("/livez", response_model=Liveness)
async def live() -> dict[str, Any]:
    """Answer that the process is there."""
    return {"status": "live"}


@router.get("/readyz", response_model=Readiness)
async def ready(door: TheDoor) -> JSONResponse:
    """Tell whether the service takes work, and what is wrong; 503 where it does not."""
    health = door.health()
    status = HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE
    told = {"status": "ready" if health.ready else "not ready", "faults": dict(health.faults)}
    return JSONResponse(told, status_code=status)


@router.get("/v1/status", response_model=StatusTold)
def status(door: TheDoor, _: Subscriber) -> dict[str, Any]:
    """Tell how the service stands: what waits, what runs, the next deadline, the fleet."""
    health = door.health()
    return told_status(door.board, door.clock(), ready=health.ready, faults=dict(health.faults))


@router.get(
    "/metrics",
    response_class=Response,
    responses={HTTPStatus.OK: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(door: TheDoor, _: Operator) -> Response:
    """Return the metrics in Prometheus' text format."""
    if door.telemetry is None:
        raise Problem(HTTPStatus.NOT_FOUND, "this service counts nothing")
    return Response(door.telemetry.text(), media_type=CONTENT_TYPE)
