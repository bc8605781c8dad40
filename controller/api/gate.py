"""What every request passes first: is it meant for us, is there room, is it small enough.

Written straight to ASGI, so that it sees bodies as they come and answers before anything is parsed.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api import problems
from controller.api.problems import Problem

BODY_BYTES_MAX = 8_000_000
"""A request's body may be this large [bytes]: a few thousand announcements."""

REQUESTS_MAX = 256
"""Requests under way at the same time; who comes later is told to come back."""

GONE = 499
"""Counted of a request whose client went before it was whole; nobody is sent it."""

PATH_LOGGED_MAX = 200
"""Characters of a path that a line of the log holds."""

WATCHED = frozenset(("/livez", "/readyz", "/metrics"))
"""Asked by machines every few seconds: always answered."""

Heard = Callable[[str, int, float], None]


def nobody_hears(method: str, status: int, took_s: float) -> None:
    """Hear of a request, and make nothing of it."""


_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What browsers are told of an answer that says nothing else: it is data, and for nobody's page."""

_log = logging.getLogger("controller.api.access")


class Gate:
    """Lets requests through to an application.

    Parameters
    ----------
    app : ASGIApp
    hosts : collection of str or None
        Names that requests may be sent to. Where nobody needs a key, a page of any web site could
        otherwise reach the service of whoever reads it, under a name that leads to this machine.
        None lets any name pass.
    body_bytes_max : int
    requests_max : int
    heard : callable
        Is told method, status and duration [s] of each request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        requests_max: int = REQUESTS_MAX,
        heard: Heard = nobody_hears,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._body_bytes_max = body_bytes_max
        self._requests_max = requests_max
        self._heard = heard
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answer = time.monotonic(), _Answer(send, secrets.token_hex(8))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        self._under_way += 1
        gone = False
        try:
            refusal = self._refusal(scope)
            if refusal is None:
                body = _Body(receive, self._body_bytes_max)
                await self._app(scope, body.receive, answer.send)
            else:
                await problems.answer(refusal)(scope, receive, answer.send)
        except ClientDisconnect:
            gone = (
                True  # In the midst of its body: nobody is left to be answered, and no fault ours.
            )
        finally:
            self._under_way -= 1
            took_s = time.monotonic() - began
            _note(scope, answer, took_s)
            self._heard(scope["method"], answer.status or (GONE if gone else 500), took_s)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._under_way > self._requests_max and scope["path"] not in WATCHED:
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._requests_max} requests are under way",
                fix="Send it again later",
            )
        if self._hosts is not None and _name_of(headers.get("host", "")) not in self._hosts:
            return Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this service is not known by the name that it was asked under",
                fix="Ask it as 127.0.0.1 or localhost, or let it require keys",
            )
        if self._hosts is not None and scope["method"] not in _SAFE and self._is_strange(headers):
            return Problem(
                HTTPStatus.FORBIDDEN, "pages of other sites may change nothing here without a key"
            )
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._body_bytes_max:
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(self._body_bytes_max))
        return None

    def _is_strange(self, headers: Headers) -> bool:
        """Tell whether a browser sent it on behalf of a page of another site."""
        origin = headers.get("origin")
        if origin is None or self._hosts is None:
            return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        try:
            return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        except ValueError:
            return True


class _Body:
    """Counts a body while it comes: not all say before how large they are."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self._receive = receive
        self._bytes_max = bytes_max
        self._bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._bytes_max:
            # What reads bodies lets only this kind of fault through.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(self._bytes_max))
        return message


class _Answer:
    """Adds to an answer what all have, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self.request_id
        await self._send(message)


def _note(scope: Scope, answer: _Answer, took_s: float) -> None:
    """Log a request: never its query, headers or body, which may hold what is nobody's business."""
    # What was only looked at is asked for every few seconds, by `status --watch` and machines.
    looked = scope["method"] in _SAFE and 0 < answer.status < HTTPStatus.BAD_REQUEST
    level = logging.DEBUG if looked or scope["path"] in WATCHED else logging.INFO
    # The raw path is still quoted: it cannot break a line.
    path = scope.get("raw_path", b"").decode("ascii", "replace")[:PATH_LOGGED_MAX]
    caller = scope["state"].get("caller", "-")
    _log.log(
        level,
        "%s %s %s in %.0f ms, by %s, request %s",
        scope["method"],
        path,
        answer.status or "unanswered",
        1000 * took_s,
        caller or "-",
        answer.request_id,
    )


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _too_large(bytes_max: int) -> str:
    return f"a body may have {bytes_max} bytes"
