"""What ``slackwater.yaml`` says of a dataset that a command serves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator

from controller.apps.command.placeholders import PLACEHOLDERS, unknown_places
from controller.config.checked import hint
from controller.config.iso8601 import parse_interval
from planner.extent import ALWAYS, Period

WORDS_MAX = 1000
"""Of a command line; the system allows more, but nobody writes them."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_OWN = "SLACKWATER_"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,15}", re.ASCII)


def _read_words(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(words) > WORDS_MAX:
        raise ValueError(f"a command has more than {WORDS_MAX} words")
    if any("\0" in word for word in words):
        raise ValueError("a command holds a null character")
    for name in unknown_places(words):
        known = hint(name, PLACEHOLDERS)
        raise ValueError(f"unknown placeholder {{{name}}}. {known}. As text, write {{{{{name}}}}}")
    return words


def _read_command(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0]:
        raise ValueError("run is empty. Write a list: the program, then its arguments")
    return _read_words(words)


def _read_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or name.startswith(_OWN):
        raise ValueError(
            f"variable {name!r} cannot be. Use letters, digits and '_', and not {_OWN}..., which is"
            " for the part"
        )
    return name


def _read_value(value: str) -> str:
    if "\0" in value:
        raise ValueError("a variable holds a null character")
    return value


def _read_plain_name(name: str) -> str:
    # They get into command lines, where a name that begins with a hyphen would be an option.
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r} cannot be. Use up to 64 letters, digits and '_.:-', beginning with a"
            " letter or digit"
        )
    return name


def _read_ending(text: str) -> str:
    if not _ENDING.fullmatch(text):
        raise ValueError(f"ending {text!r} cannot be. Write a dot and letters or digits, as .csv")
    return text


def _read_period(given: object) -> Period:
    try:
        return given if isinstance(given, Period) else parse_interval(str(given))
    except ValueError as error:
        raise ValueError(f"period {error}") from error


def _read_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"index {path!r} cannot be. Write its path below the folder of the data")
    return path


Words = Annotated[tuple[str, ...], AfterValidator(_read_words)]
CommandLine = Annotated[tuple[str, ...], AfterValidator(_read_command)]
Variable = Annotated[str, AfterValidator(_read_variable)]
Value = Annotated[str, AfterValidator(_read_value)]
PlainName = Annotated[str, AfterValidator(_read_plain_name)]
Ending = Annotated[str, AfterValidator(_read_ending)]
DataPeriod = Annotated[Period, PlainValidator(_read_period)]
PathBelow = Annotated[str, AfterValidator(_read_path)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """A command line that serves a dataset, part by part.

    Parameters
    ----------
    run : tuple of str
        The program and its arguments, with placeholders; no shell reads them.
    version : tuple of str
        A command that prints the version of the tool, for the manifest.
    environment : dict of str to str
        Variables that the command is given.
    join : str
        "lines", "bytes" or "package".
    header_lines : int
        Lines that each fragment begins with and the product has once.
    ending : str
        What names of fragments end with, as ``.csv``.
    parameters, options : tuple of str
        What subscribers may ask for and set.
    period : Period
        What the data span, to cut requests that are open in time.
    files : str
        Pattern of the files of the folder that count; empty where it is not listed.
    index : str
        CSV file below the folder that says where each file lies; empty where there is none.
    part_s : float
        Expected run time of a part, before any was measured [s].
    limit_s : float
        The command is ended after this long [s].
    output_bytes_max : int
        No file that it writes may be larger [bytes].
    memory_bytes_max : int or None
        Address space of each of its processes [bytes].
    processes_max : int
        Processes that it may run at the same time.
    """

    run: CommandLine
    version: Words = ()
    environment: dict[Variable, Value] = field(default_factory=dict)
    join: Literal["lines", "bytes", "package"] = "package"
    header_lines: Annotated[int, Field(ge=0)] = 0
    ending: Ending
    parameters: tuple[PlainName, ...] = ()
    options: tuple[PlainName, ...] = ()
    period: DataPeriod = ALWAYS
    files: str = ""
    index: PathBelow = ""
    part_s: Seconds = 10.0
    limit_s: Seconds = 3600.0
    output_bytes_max: Count = 4 * 2**30
    memory_bytes_max: Count | None = None
    processes_max: Count = 64

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.header_lines and self.join != "lines":
            raise ValueError(f"header_lines are for join: lines, not {self.join}")
        if self.index and not self.files:
            raise ValueError("index needs files: the pattern of the files that it places")
