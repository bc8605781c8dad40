"""Listings a page at a time: a cursor that says nothing to its reader, and a link to the next.

A page is written by msgspec and not held against its model again: with a thousand entries that
would take longer than to read them, and the loop wants the interpreter too. Tests hold them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Query, Request, Response

from controller.api.problems import Problem

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
"""Entries of a page, unless asked otherwise, and at most."""

CURSOR_CHARACTERS_MAX = 1024
"""No cursor that was given out is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which page of a listing is asked for.

    Parameters
    ----------
    request : Request
    limit : int
        Entries of a page.
    cursor : str or None
        What the page before gave to go on with.
    """

    request: Request
    limit: int
    cursor: str | None

    def after(self, *first: Any) -> tuple[Any, ...]:
        """Return the keys to go on behind; `first` on the first page, whose types they share.

        Raises
        ------
        Problem
            The cursor is none that this API gave.
        """
        if self.cursor is None:
            return first
        try:
            padded = self.cursor + "=" * (-len(self.cursor) % 4)
            found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if _may_follow_all(found, first):
                return tuple(found)
        except (ValueError, RecursionError, binascii.Error):
            pass
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "cursor is none that was given out",
            fix="Take it from the link to the next page",
        )

    def told(self, items: Sequence[Any], *last: Any) -> Response:
        """Return the page; `last` are the keys of its last entry, where a next page may follow."""
        url = self.request.url
        links = [{"rel": "self", "href": url.path + (f"?{url.query}" if url.query else "")}]
        if last and len(items) == self.limit:
            again = url.include_query_params(cursor=_cursor(last)).query
            links.append({"rel": "next", "href": f"{url.path}?{again}"})
        return fresh(self.request, {"items": list(items), "links": links})


def fresh(request: Request, content: object) -> Response:
    """Return content with its ETag, or only that it is what the client has already."""
    body = msgspec.json.encode(content)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, f"W/{etag}", "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


def _page(
    request: Request,
    limit: Annotated[
        int | None, Query(ge=1, description="Entries of the page; above what is allowed is that.")
    ] = None,
    cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS_MAX)] = None,
) -> Page:
    most: int = request.app.state.page_max
    return Page(request=request, limit=min(limit or LIMIT_DEFAULT, most), cursor=cursor)


Paged = Annotated[Page, Depends(_page)]
"""As a route's parameter: which page is asked for."""

_INTEGER_MAX = 2**63 - 1  # of the stores


def _may_follow_all(found: Any, first: Sequence[Any]) -> bool:
    if not isinstance(found, list) or len(found) != len(first):
        return False
    return all(map(_may_follow, found, first))


def _may_follow(found: Any, first: Any) -> bool:
    if type(found) is not type(first):
        return False
    if isinstance(found, str):
        return found.isprintable()
    return abs(found) <= _INTEGER_MAX or isinstance(found, float)


def _cursor(keys: Sequence[Any]) -> str:
    text = json.dumps(keys, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
