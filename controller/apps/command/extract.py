"""Turns one part into one fragment: runs the command for it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from controller.apps.command.document import document, placeholders, variables
from controller.apps.command.fragment import Head, measured, write_fragment, written_file
from controller.apps.command.orders import ExtractOrder, Tool
from controller.apps.command.placeholders import filled
from controller.apps.command.running import environment, private_folder, run_command, write_input
from planner.model import Fragment

PART_FILE = "part.json"


def extract(order: ExtractOrder) -> Fragment:
    """Run the command for a part and hand on what it has written.

    Raises
    ------
    CommandError
        The command failed, went beyond a limit, or left no fragment.
    StorageError
        The fragment, or what the command is to read, cannot be written.
    """
    version = tool_version(order.tool)
    with private_folder() as folder:
        fragment = folder / f"fragment{order.form.ending}"
        told = document(order, fragment)
        part_file = folder / PART_FILE
        write_input(part_file, json.dumps(told))
        run_command(
            filled(order.tool.command, placeholders(told, part_file)),
            order.tool,
            folder,
            environment(folder, order.tool, variables(told)),
            part_file,
        )
        return _handed_on(order, fragment, version, str(told["datetime"]))


def _handed_on(order: ExtractOrder, written: Path, version: str, datetime: str) -> Fragment:
    box = order.extent.box
    with written_file(written, order.tool.output_bytes_max) as file:
        found = measured(file)
        file.seek(0)
        head = Head(
            dataset=order.dataset,
            bbox=(box.west, box.south, box.east, box.north),
            datetime=datetime,
            rows=found.rows(order.form),
            size_bytes=found.size_bytes,
            sha256=found.sha256,
            tool_version=version,
            files=order.files,
        )
        return write_fragment(order.fragment_url, head, file)


@lru_cache(maxsize=64)
def tool_version(tool: Tool) -> str:
    """Return what a tool's version command prints; it is asked once in the life of a worker.

    Raises
    ------
    CommandError
        That command failed.
    """
    if not tool.version_command:
        return ""
    with private_folder() as folder:
        nothing = folder / PART_FILE
        write_input(nothing, "")
        words = filled(tool.version_command, {})
        return run_command(words, tool, folder, environment(folder, tool, {}), nothing)
