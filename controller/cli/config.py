"""`slackwater config`: every setting, its value and where that came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from controller.cli import Exit
from controller.cli.display import print_json, results
from controller.config.environment import variable_of
from controller.config.origins import Origin, Setting, settings_told
from controller.config.schema import settings_schema
from controller.config.settings import read_told
from controller.config.yaml_lines import Where

INDENT = "  "

VALUE_WIDTH = 24
"""Room for a value [characters] without which the names of variables give way."""

GAP = 2


def show_settings(config: Path | None, *, schema: bool, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    if schema:
        print_json(settings_schema())
        return Exit.OK
    settings = list(settings_told(read_told(config)))
    if as_json:
        print_json([_as_data(setting) for setting in settings])
    else:
        console = results()
        console.print(_table(settings, console.width))
    return Exit.OK


def _as_data(setting: Setting) -> dict[str, object]:
    return {
        "setting": setting.name,
        "value": setting.value,
        "from": setting.origin,
        "place": setting.place or None,
    }


def _table(settings: Sequence[Setting], width: int) -> Table:
    """Return a table in which each section has a line of its own above its values."""
    sections: dict[Where, list[Setting]] = {}
    for setting in settings:
        sections.setdefault(setting.where[:-1], []).append(setting)
    named = max(len(f"{INDENT}{each.where[-1]}") for each in settings)
    is_wide = named + VALUE_WIDTH + max(len(each.place) for each in settings) + 2 * GAP <= width
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("Setting", no_wrap=True)
    shown.add_column("Value", overflow="fold", min_width=VALUE_WIDTH)
    shown.add_column("From", overflow="fold")
    for section, inside in sections.items():
        shown.add_row(Text(".".join(map(str, section)), style="bold"))
        for each in inside:
            style = "dim" if each.origin is Origin.DEFAULT else ""
            name = Text(f"{INDENT}{each.where[-1]}")
            shown.add_row(name, Text(_words(each.value)), Text(_place(each, is_wide), style))
    return shown


def _place(setting: Setting, is_wide: bool) -> str:
    # Who knows the setting knows its variable, whose name is too long for a narrow terminal.
    is_clear = setting.place == variable_of(setting.where)
    return setting.origin if is_clear and not is_wide else setting.place or setting.origin


def _words(value: object) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() else f"{value:.6g}"
        case list():
            return ", ".join(map(_words, value)) or "empty"
    return str(value) or "empty"
