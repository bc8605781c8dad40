"""Listings a page at a time: a cursor that says nothing to its reader, and a link to the next."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from controller.api.problems import Problem

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
"""Entries of a page, unless asked otherwise, and at most."""


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
            found = json.loads(base64.urlsafe_b64decode(padded))
            if [type(each) for each in found] == [type(each) for each in first]:
                return tuple(found)
        except (ValueError, TypeError, binascii.Error):
            pass
        raise Problem(HTTPStatus.BAD_REQUEST, "cursor is none that was given out")

    def told(self, items: Sequence[Any], *last: Any) -> dict[str, Any]:
        """Return the page; `last` are the keys of its last entry, where a next page may follow."""
        url = self.request.url
        links = [{"rel": "self", "href": url.path + (f"?{url.query}" if url.query else "")}]
        if last and len(items) == self.limit:
            again = url.include_query_params(cursor=_cursor(last)).query
            links.append({"rel": "next", "href": f"{url.path}?{again}"})
        return {"items": list(items), "links": links}


def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page:
    return Page(request=request, limit=limit, cursor=cursor)


Paged = Annotated[Page, Depends(_page)]
"""As a route's parameter: which page is asked for."""


def _cursor(keys: Sequence[Any]) -> str:
    text = json.dumps(keys, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
