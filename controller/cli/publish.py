"""`slackwater publish`: say that a dataset changed, so that the service looks now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from controller.cli import Exit
from controller.cli.asking import answer_json, say
from controller.client import Announced, Client
from controller.errors import FileFault

BYTES_MAX = 8_000_000
"""Of a message [bytes]: no service takes a larger one."""

STDIN = "-"


def publish_dataset(url: str | None, dataset: str, *, subject: str, as_json: bool) -> Exit:
    """Announce a change of a dataset and return the exit code."""
    with Client(url) as client:
        return _tell(client.announce(dataset, subject=subject), as_json)


def publish_message(url: str | None, path: str, *, as_json: bool) -> Exit:
    """Hand on the message in a file, or on stdin, and return the exit code.

    Raises
    ------
    FileFault
        It cannot be read, or is no JSON object.
    """
    message = _read(path)
    with Client(url) as client:
        return _tell(client.publish(message, _content_type(path, message)), as_json)


def _tell(announced: Announced, as_json: bool) -> Exit:
    if as_json:
        answer_json(announced)
    elif announced.is_new:
        say(f"announced {announced.dataset}")
    else:
        say(f"announced {announced.dataset} before: the message changes nothing")
    return Exit.OK


def _read(path: str) -> bytes:
    try:
        if path == STDIN:
            message = sys.stdin.buffer.read(BYTES_MAX + 1)
        else:
            with Path(path).open("rb") as file:
                message = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise FileFault(path, [f"cannot be read: {error.strerror}"]) from error
    if len(message) > BYTES_MAX:
        raise FileFault(path, [f"is larger than {BYTES_MAX} bytes"])
    return message


def _content_type(path: str, message: bytes) -> str:
    """Return what a message is written as: CloudEvent, WIS2 notification or plain JSON."""
    try:
        told = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise FileFault(path, [f"is no JSON: {error}"]) from error
    if not isinstance(told, dict):
        raise FileFault(path, ["is no JSON object; messages are sent one at a time"])
    if "specversion" in told:
        return "application/cloudevents+json"
    return "application/geo+json" if told.get("type") == "Feature" else "application/json"
