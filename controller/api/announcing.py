"""Pushed messages, read and handed to who follows the datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from controller.api.door import Announce, Announced
from controller.api.problems import Problem
from controller.config.yaml_lines import Where
from controller.sources.messages import Announcement, BadMessage, Refusal, read_message

_STATUS = {
    Refusal.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Refusal.UNKNOWN_FORM: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Refusal.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_DATASET: HTTPStatus.UNPROCESSABLE_ENTITY,
}

_HEADER = "header:"


def announcing(datasets: Mapping[str, str], take: Callable[[Announcement], bool]) -> Announce:
    """Return what takes pushed messages for a door.

    Parameters
    ----------
    datasets : mapping of str to str
        Persistent identifier of each dataset by its alias.
    take : callable
        Takes an announcement, as `controller.sources.following.Follower.announce`.
    """

    def announce(headers: Mapping[str, str], body: bytes) -> Announced:
        try:
            found = read_message(headers, body, datasets)
        except BadMessage as fault:
            faults = [(_place(each.pointer), each.what) for each in fault.faults]
            raise Problem(
                _STATUS[fault.refusal], f"the message is refused: {fault.refusal}", faults=faults
            ) from fault
        return Announced(id=found.id, dataset=found.dataset, is_new=take(found))

    return announce


def _place(pointer: str) -> Where | str:
    """Return where a fault is; a message's own pointers are JSON pointers, or name a header."""
    if pointer.startswith(_HEADER):
        return pointer.removeprefix(_HEADER)
    steps = pointer.split("/")[1:] if pointer.strip("/") else []
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)
