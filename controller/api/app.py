"""Puts the API together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from controller.api import health, listings, problems, subscriptions
from controller.api.door import Door
from controller.api.problems import Problem
from controller.api.who import Find
from controller.build import VERSION

BODY_BYTES_MAX = 8_000_000
"""A request's body may be this large [bytes]: a few thousand announcements."""

ABOUT = "Data subscriptions, delivered before their deadlines at the least cost."


def api(
    door: Door, find_caller: Find | None = None, *, body_bytes_max: int = BODY_BYTES_MAX
) -> FastAPI:
    """Return the API in front of a service; without `find_caller` nobody needs a key."""
    app = FastAPI(title="slackwater", description=ABOUT, version=VERSION, docs_url=None)
    problems.install(app)
    app.state.door, app.state.find_caller = door, find_caller
    for routes in (health, subscriptions, listings):
        app.include_router(routes.router)

    @app.middleware("http")
    async def refuse_large(
        request: Request, go_on: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Refuse a body that says it is too large; one that does not say may not have a length."""
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > body_bytes_max:
            return problems.answer(
                Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"a body may have {body_bytes_max} bytes",
                )
            )
        return await go_on(request)

    return app
