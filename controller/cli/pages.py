"""Files that a command leaves beside its result, pages and pictures, and how they were made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from controller.apps.storage import replacing
from controller.destinations import without_user
from controller.errors import StorageError


def refuse_unwritable(*files: Path | None) -> None:
    """Refuse files that cannot be written before any time is spent on them.

    Raises
    ------
    StorageError
        One is a folder, or its own folder is missing or takes no files.
    """
    for file in filter(None, files):
        if reason := _fault_of(file):
            raise StorageError(
                f"{file} cannot be written: {reason}",
                fix="Name a file in a folder that is there",
                retry=False,
            )


def _fault_of(file: Path) -> str:
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return "its folder is missing"
    return "" if os.access(file.parent, os.W_OK) else "its folder takes no files"


def write(file: Path, text: str) -> None:
    """Write a file, there whole or not at all.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    with replacing(str(file)) as out:
        out.write(text.encode())


def command_line() -> list[str]:
    """Return how this program was called, as a page may show it: URLs without their secrets."""
    return ["slackwater", *map(_shown, sys.argv[1:])]


def _shown(argument: str) -> str:
    if "://" not in argument:
        return argument
    return without_user(argument).partition("?")[0]
