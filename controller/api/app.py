"""Puts the API together."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI

from controller.api import health, listings, operating, problems, recipients, subscriptions, updates
from controller.api.door import Door
from controller.api.gate import BODY_BYTES_MAX, REQUESTS_MAX, Gate, nobody_hears
from controller.api.pages import LIMIT_MAX
from controller.api.who import Find
from controller.build import VERSION

ABOUT = "Data subscriptions, delivered before their deadlines at the least cost."


def api(
    door: Door,
    find_caller: Find | None = None,
    *,
    hosts: Collection[str] | None = None,
    body_bytes_max: int = BODY_BYTES_MAX,
    requests_max: int = REQUESTS_MAX,
    page_max: int = LIMIT_MAX,
) -> FastAPI:
    """Return the API in front of a service.

    Parameters
    ----------
    door : Door
    find_caller : callable or None
        Returns whose a key is; None lets everybody do everything.
    hosts : collection of str or None
        See `controller.api.gate.Gate`.
    body_bytes_max, requests_max, page_max : int
        Bytes of a body, requests under way at the same time, entries of a page.
    """
    app = FastAPI(
        title="slackwater",
        description=ABOUT,
        version=VERSION,
        # Their pages load scripts from elsewhere; docs/reference/api.md is there without a network.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"description": "A problem", "content": problems.CONTENT}},
    )
    problems.install(app)
    app.state.door, app.state.find_caller, app.state.page_max = door, find_caller, page_max
    for routes in (health, subscriptions, recipients, listings, updates, operating):
        app.include_router(routes.router)
    app.include_router(recipients.links)
    app.add_middleware(
        Gate,
        hosts=hosts,
        body_bytes_max=body_bytes_max,
        requests_max=requests_max,
        heard=door.telemetry.hear_request if door.telemetry else nobody_hears,
    )
    return app
