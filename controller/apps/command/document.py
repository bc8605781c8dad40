"""A part as its command reads it: JSON on stdin, in a file, and in the environment."""

from __future__ import annotations

import json
from pathlib import Path

from controller.apps.command.orders import ExtractOrder
from controller.apps.request import request
from planner.model import View

FORMAT = 1
"""Grows when a command that was written for an older document would misunderstand a new one."""

PART_VARIABLE = "SLACKWATER_PART"
FRAGMENT_VARIABLE = "SLACKWATER_FRAGMENT"
VARIABLES = (PART_VARIABLE, FRAGMENT_VARIABLE)
"""What a command finds in its environment."""


def document(order: ExtractOrder, fragment: Path) -> dict[str, object]:
    """Return what a command is told of its part, fit for JSON."""
    view = View(dataset=order.dataset, application="", extent=order.extent, options=order.options)
    files = order.files
    return {
        "format": FORMAT,
        "part": order.part,
        "archive": order.archive,
        **request(view),
        "updates": {"after": order.updates.after, "upto": order.updates.upto},
        "fragment": str(fragment),
        "files": None
        if files is None
        else [
            {"path": file.path, "size_bytes": file.size_bytes, "stamp": file.stamp}
            for file in files
        ],
    }


def variables(told: dict[str, object]) -> dict[str, str]:
    """Return the environment's share: the document without its files, which may be very many."""
    short = {key: value for key, value in told.items() if key != "files"}
    return {
        PART_VARIABLE: json.dumps(short),
        FRAGMENT_VARIABLE: str(told["fragment"]),
    }


def placeholders(told: dict[str, object], part_file: Path) -> dict[str, str]:
    """Return what the placeholders of a command line stand for (see `placeholders`)."""
    box, parameters = told["bbox"], told["parameters"]
    assert isinstance(box, list)
    assert isinstance(parameters, list)
    start, _, end = str(told["datetime"]).partition("/")
    edges = zip(("west", "south", "east", "north"), box, strict=True)
    return {
        "fragment": str(told["fragment"]),
        "part": str(part_file),
        "archive": str(told["archive"]),
        **{name: f"{edge:.12g}" for name, edge in edges},
        "start": start,
        "end": end,
        "parameters": ",".join(parameters),
    }
