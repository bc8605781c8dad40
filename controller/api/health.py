"""Whether the service lives and is ready, for those who watch over it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from controller.api.door import TheDoor

router = APIRouter(tags=["health"])


@router.get("/livez")
def live() -> dict[str, Any]:
    """Answer that the process is there."""
    return {"status": "live"}


@router.get("/readyz")
def ready(door: TheDoor) -> JSONResponse:
    """Tell whether the service takes work, and what is wrong."""
    health = door.health()
    status = HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE
    told = {"status": "ready" if health.ready else "not ready", "faults": dict(health.faults)}
    return JSONResponse(told, status_code=status)
