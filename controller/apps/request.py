"""A request as people read it: bounding box, ISO 8601 interval, parameters, options."""

from __future__ import annotations

from datetime import UTC, datetime

from planner.model import View


def request(view: View) -> dict[str, object]:
    """Return what a view asks for (DESIGN.md 11: OGC bounding box and interval)."""
    box, period = view.extent.box, view.extent.period
    return {
        "dataset": view.dataset,
        "bbox": [box.west, box.south, box.east, box.north],
        "datetime": f"{_edge(period.start_at)}/{_edge(period.end_at)}",
        "parameters": list(view.extent.parameters),
        "options": dict(view.options),
    }


def iso_instant(at: float) -> str:
    """Return an instant [POSIX s] as ISO 8601 in UTC, to the second unless it is between two."""
    instant = datetime.fromtimestamp(at, UTC)
    timespec = "microseconds" if instant.microsecond else "seconds"
    return instant.isoformat(timespec=timespec).replace("+00:00", "Z")


def iso_stamp(stamp: str) -> str:
    """Return a stamp of the archive (YYYYMMDDHHMMSS, UTC) as ISO 8601."""
    return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat()[:19] + "Z"


def iso_duration(span_s: int) -> str:
    """Return a duration [s] as ISO 8601, in days, hours, minutes and seconds."""
    minutes, seconds = divmod(span_s, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    within = "".join(
        f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n
    )
    whole = f"{days}D" if days else ""
    return f"P{whole}{'T' if within or not days else ''}{within or ('' if days else '0S')}"


def _edge(at: float | None) -> str:
    return ".." if at is None else iso_instant(at)
