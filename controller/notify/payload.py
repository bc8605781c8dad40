"""What a webhook is sent: a CloudEvent whose data is a GeoJSON Feature.

One notice is one sequence of bytes, so each attempt sends the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from controller.notify.notices import Delivered, Notice
from planner.extent import Box, Period
from planner.model import View

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
"""Of the structured mode: the whole event is the body."""

TYPE_PREFIX = "org.slackwater.product."
"""Stands before the kind of notice in the event's type."""

DATA_SCHEMA = "https://geojson.org/schema/Feature.json"
"""What `data` holds to."""


def cloud_event(notice: Notice, source: str) -> bytes:
    """Return a notice as the JSON of a CloudEvent.

    Parameters
    ----------
    notice : Notice
    source : str
        A URI reference that names this service; with the id it is unique.

    Notes
    -----
    CloudEvents 1.0.2, JSON event format; RFC 7946 (GeoJSON).
    """
    event = {
        "specversion": "1.0",
        "type": f"{TYPE_PREFIX}{notice.kind}",
        "source": source,
        "subject": notice.subscription_id,
        "id": notice.id,
        "time": instant(notice.at),
        "datacontenttype": "application/geo+json",
        "dataschema": DATA_SCHEMA,
        "data": feature(notice),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def feature(notice: Notice) -> dict[str, Any]:
    """Return a notice as a GeoJSON Feature: the boxes asked for, and how the product stands."""
    delivered = notice.delivered
    return {
        "type": "Feature",
        "id": notice.product_id,
        "geometry": geometry(view.extent.box for view in notice.views),
        "properties": {
            "kind": notice.kind.value,
            "text": notice.text,
            "subscription": notice.subscription_id,
            "subscription_version": notice.version,
            "task": notice.task_id,
            "product": notice.product_id,
            "deadline": None if notice.deadline_at is None else instant(notice.deadline_at),
            "slack_s": notice.slack_s,
            "datetime": _hull(notice.views),
            "parameters": sorted({name for v in notice.views for name in v.extent.parameters}),
            "datasets": [_dataset(view) for view in notice.views],
            **(_properties(delivered) if delivered else {}),
        },
        "links": _links(delivered) if delivered else [],
    }


def geometry(boxes: Iterable[Box]) -> dict[str, Any] | None:
    """Return boxes as a Polygon, or as a MultiPolygon where one is not enough; none as null.

    A box across the antimeridian is cut there (RFC 7946, 3.1.9).
    """
    rectangles = dict.fromkeys(one for box in boxes for one in box.rectangles())
    rings = [[_ring(*rectangle)] for rectangle in rectangles]
    if not rings:
        return None
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def interval(period: Period) -> str:
    """Return a period as an ISO 8601 interval; open ends are ``..``."""
    ends = (period.start_at, period.end_at)
    return "/".join(".." if end is None else instant(end) for end in ends)


def instant(at: float) -> str:
    """Return POSIX seconds as RFC 3339 has them, in UTC; whole seconds without a fraction."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """Go round a rectangle counterclockwise, back to where it began."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _hull(views: Iterable[View]) -> str:
    periods = [view.extent.period for view in views]
    starts = [period.start_at for period in periods]
    ends = [period.end_at for period in periods]
    known = [one for one in starts if one is not None], [one for one in ends if one is not None]
    start = None if None in starts else min(known[0], default=None)
    end = None if None in ends else max(known[1], default=None)
    return interval(Period(start_at=start, end_at=end))


def _dataset(view: View) -> dict[str, Any]:
    box = view.extent.box
    return {
        "dataset": view.dataset,
        "bbox": [box.west, box.south, box.east, box.north],
        "datetime": interval(view.extent.period),
        "parameters": list(view.extent.parameters),
    }


def _properties(delivered: Delivered) -> dict[str, Any]:
    return {
        "delivered": instant(delivered.at),
        "rows": delivered.rows,
        "size_bytes": delivered.size_bytes,
        "sha256": delivered.sha256,
        "digest": delivered.digest,
    }


def _links(delivered: Delivered) -> list[dict[str, Any]]:
    return [
        {"rel": "canonical", "href": delivered.url, "length": delivered.size_bytes},
        {"rel": "manifest", "href": delivered.manifest_url, "type": "application/json"},
    ]
