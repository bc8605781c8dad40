"""How the service logs: lines to read or JSON, and one line for each decision with its reason.

What the log tells of a decision is what the journal holds of it; nothing is kept here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.events import (
    AnyEvent,
    NodeLost,
    NodeReady,
    NodeRefused,
    TaskCut,
    UpdateArrived,
)
from planner.model import NoticeKind

LINES_A_STEP_MAX = 50
"""Lines of one step; one update may put a million tasks at risk, and all are in the journal."""

_TEXT = "%(asctime)s %(levelname)s %(message)s"

_CHANGES = {
    ProvisionNode: "launch",
    SetWorkers: "resize",
    UndrainNode: "keep",
    DrainNode: "drain",
    RemoveNode: "remove",
}

_GRAVE = frozenset((NoticeKind.AT_RISK, NoticeKind.LATE, NoticeKind.EXPIRED, NoticeKind.FAILED))

_log = logging.getLogger(__name__)


def log_as(form: str, level: str, stream: TextIO | None = None) -> None:
    """Have this process log in a form and from a level on.

    Parameters
    ----------
    form : str
        `text` or `json`.
    level : str
        `debug`, `info`, `warning` or `error`.
    stream : TextIO, optional
        Standard error, if not said.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its server tells of its own start and end, which is not that of the service.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))


class _Json(logging.Formatter):
    """Writes a record as one JSON object, with the ids that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What is told of one decision or happening."""

    level: int
    text: str
    about: Mapping[str, Any]


def log_step(event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
    """Log what a step of the planner was about; most steps have nothing to tell."""
    for number, line in enumerate(_lines(event, commands)):
        if number == LINES_A_STEP_MAX:
            _log.info("more was decided at the same time: `slackwater status` and the journal tell")
            return
        _log.log(line.level, "%s", line.text, extra={"about": line.about})


def _lines(event: AnyEvent, commands: Sequence[AnyCommand]) -> Iterator[_Line]:
    match event:
        case UpdateArrived():
            about: dict[str, Any] = {"dataset": event.dataset, "update": event.number}
            yield _line("update", f"{event.number} of {event.dataset}", about)
        case NodeReady():
            stand = "1 worker stands" if event.workers == 1 else f"{event.workers} workers stand"
            about = {"node": event.node_id, "workers": event.workers}
            yield _line("ready", f"node {event.node_id}: {stand}", about)
        case NodeLost() | NodeRefused():
            what = "lost" if isinstance(event, NodeLost) else "refused"
            text = f"node {event.node_id}: {event.reason}"
            yield _line(what, text, {"node": event.node_id}, logging.WARNING)
        case TaskCut() if event.fallback:
            text = f"task {event.task_id}: {event.fallback}"
            yield _line("cut linearly", text, {"task": event.task_id}, logging.WARNING)
    for command in commands:
        match command:
            case Notify():
                yield _notice(command)
            case ProvisionNode() | SetWorkers() | UndrainNode() | DrainNode() | RemoveNode():
                what = _CHANGES[type(command)]
                text = f"node {command.node_id}: {command.reason}"
                yield _line(what, text, {"node": command.node_id})


def _notice(notice: Notify) -> _Line:
    left = "" if notice.slack_s is None else f", slack {notice.slack_s:+.1f} s"
    return _line(
        notice.kind.value.replace("_", " "),
        f"{notice.subscription_id}, task {notice.task_id}{left}: {notice.text}",
        {
            "subscription": notice.subscription_id,
            "task": notice.task_id,
            "slack_s": notice.slack_s,
        },
        logging.WARNING if notice.kind in _GRAVE else logging.INFO,
    )


def _line(what: str, text: str, about: dict[str, Any], level: int = logging.INFO) -> _Line:
    told = MappingProxyType({"what": what, **about})
    return _Line(level=level, text=f"{what} {text}", about=told)
