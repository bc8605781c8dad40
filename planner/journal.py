"""The journal: one versioned JSON-lines codec for the service's log, traces and golden files.

The first line is the header: format, build, settings. Each further line is one step: an event and
the commands that the planner answered it with. A line is written whole or not at all, so a torn
tail costs the last step only. Record once, replay anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from planner.commands import AnyCommand
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.events import AnyEvent
from planner.scaling.policy import BUILT_IN, Policy
from planner.settings import PlannerSettings

FORMAT = 1
"""Version of the line format; a reader refuses a newer one."""

_EVENTS: dict[str, type] = {kind.__name__: kind for kind in get_args(AnyEvent)}
_COMMANDS: dict[str, type] = {kind.__name__: kind for kind in get_args(AnyCommand)}
_OPENINGS = {kind: b'{"type":"%b",' % name.encode() for name, kind in (_EVENTS | _COMMANDS).items()}
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a replay must know before the first event.

    Parameters
    ----------
    journal : int
        `FORMAT` of the writer.
    build : str
        Program and version that wrote it; exact replay is promised for the same build.
    settings : PlannerSettings
    record : bool
        Whether it tells all that happened and was commanded. A trace that was made otherwise holds
        what came from outside, and cannot be compared with a replay.
    """

    journal: int = FORMAT
    build: str
    settings: PlannerSettings
    record: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event, and what the planner answered."""

    event: AnyEvent
    commands: tuple[AnyCommand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawStep:
    event: dict[str, Any]
    commands: list[dict[str, Any]]


def encode_header(header: Header) -> bytes:
    """Return the first line of a journal, with its line end."""
    return msgspec.json.encode(header) + b"\n"


def encode_step(event: AnyEvent, commands: Iterable[AnyCommand]) -> bytes:
    """Return one line of a journal, with its line end."""
    return join_step(event, [encode_command(command) for command in commands])


def join_step(event: AnyEvent, commands: Iterable[bytes]) -> bytes:
    """Return one line of a journal of commands that are encoded already (`encode_command`)."""
    told = _tagged(event)
    return b'{"event":%b,"commands":[%b]}\n' % (told, b",".join(commands))


def encode_command(command: AnyCommand) -> bytes:
    """Return one command as JSON, as it stands in a line."""
    return _tagged(command)


def decode_command(text: bytes) -> AnyCommand:
    """Return the command that some JSON holds.

    Raises
    ------
    BrokenJournal
        It is no command that this version knows.
    """
    try:
        command: AnyCommand = _untagged(msgspec.json.decode(text, type=dict), _COMMANDS)
    except (msgspec.MsgspecError, KeyError) as error:
        raise BrokenJournal(f"no command of this version ({error})") from None
    return command


def decode_header(line: bytes) -> Header:
    """Return the header of a journal.

    Raises
    ------
    BrokenJournal
        The line is no header, or of a newer format.
    """
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError as error:
        raise BrokenJournal(
            f"line 1 is not the header of a slackwater journal ({error})",
            fix="Give a file that `slackwater run --journal` wrote",
        ) from None
    if header.journal > FORMAT:
        raise BrokenJournal(
            f"the journal has format {header.journal}, this program reads up to {FORMAT}",
            fix="Use the version that wrote it, or a newer one",
        )
    return header


def decode_step(line: bytes, number: int) -> Step:
    """Return the step that a line holds; `number` names the line in errors.

    Raises
    ------
    BrokenJournal
        The line is no step that this version knows.
    """
    try:
        raw = msgspec.json.decode(line, type=_RawStep)
        event = _untagged(raw.event, _EVENTS)
        commands = tuple(_untagged(command, _COMMANDS) for command in raw.commands)
    except (msgspec.MsgspecError, KeyError) as error:
        raise BrokenJournal(f"line {number} is no step of a journal ({error})") from None
    return Step(event=event, commands=commands)


def read_steps(lines: Iterable[bytes]) -> Iterator[Step]:
    """Read the steps behind a header; a torn last line is left out.

    Raises
    ------
    BrokenJournal
        A line other than a torn last one cannot be read.
    """
    for number, line in enumerate(lines, start=2):
        if not line.endswith(b"\n"):
            return
        yield decode_step(line, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a replay first differs from its record. `step` counts from 1."""

    step: int
    event: AnyEvent
    recorded: tuple[AnyCommand, ...]
    replayed: tuple[AnyCommand, ...]


def replay(
    header: Header,
    steps: Iterable[Step],
    policies: Mapping[str, Policy] = BUILT_IN,
    watch: Callable[[Step, Planner], None] = lambda step, planner: None,
) -> tuple[int, Difference | None]:
    """Feed every recorded event to a new planner and compare what it commands.

    Parameters
    ----------
    header : Header
    steps : iterable of Step
    policies : mapping of str to Policy
    watch : callable
        Is shown each step that was equal, and the planner as it is after it.

    Returns
    -------
    steps : int
        Steps that were equal.
    difference : Difference or None
        The first step that was not.
    """
    planner = Planner(header.settings, policies)
    count = 0
    for step in steps:
        commands = tuple(planner.handle(step.event))
        if commands != step.commands:
            return count, Difference(
                step=count + 1, event=step.event, recorded=step.commands, replayed=commands
            )
        count += 1
        watch(step, planner)
    return count, None


def _tagged(value: AnyEvent | AnyCommand) -> bytes:
    """Return a message as JSON, its type before its fields; each has at least one."""
    return _OPENINGS[type(value)] + _encode(value)[1:]


def _untagged(raw: dict[str, Any], kinds: Mapping[str, type]) -> Any:
    return msgspec.convert({k: v for k, v in raw.items() if k != "type"}, kinds[raw["type"]])
