"""`slackwater replay`: the story of a journal, or the proof that it repeats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path

from rich.markup import escape
from rich.progress import track

from controller.build import BUILD
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, span, table
from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.errors import BrokenJournal
from planner.journal import Difference, Header, Step, decode_header, read_steps, replay
from planner.scaling.catalogue import Policies

_TOLD = (ProvisionNode, SetWorkers, DrainNode, UndrainNode, RemoveNode, Notify)


def replay_journal(path: Path, *, exact: bool, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    with _opened(path) as (header, steps):
        return _compare(header, steps, as_json) if exact else _tell(header, steps, as_json)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Header, Iterator[Step]]]:
    try:
        with path.open("rb") as lines:
            yield decode_header(lines.readline()), read_steps(lines)
            lines.seek(-1, os.SEEK_END)
            if lines.read() != b"\n":
                messages().print(
                    "[yellow]warning:[/] the last line is torn and was left out", highlight=False
                )
    except OSError as error:
        raise BrokenJournal(f"journal {path} cannot be read: {error.strerror}") from None
    except BrokenJournal as error:
        raise BrokenJournal(f"journal {path}: {error.what}", fix=error.fix) from None


def _compare(header: Header, steps: Iterator[Step], as_json: bool) -> Exit:
    commands = Counter[str]()
    console = messages()
    hidden = as_json or not console.is_terminal
    shown = track(steps, "replaying", console=console, transient=True, disable=hidden)
    count, difference = replay(
        header,
        shown,
        Policies(),
        watch=lambda step: commands.update(type(c).__name__ for c in step.commands),
    )
    if as_json:
        print_json(
            {
                "steps": count,
                "commands": commands.total(),
                "identical": difference is None,
                "build": header.build,
                "difference": difference and repr(difference),
            }
        )
    elif difference is None:
        results().print(
            f"{count} steps, {commands.total()} commands: [green]identical[/] ({header.build})"
        )
    else:
        _show_difference(header, difference)
    return Exit.OK if difference is None else Exit.FAILED


def _show_difference(header: Header, difference: Difference) -> None:
    console = results()
    event = type(difference.event).__name__
    console.print(f"[red]step {difference.step} differs[/], at the event {event}:")
    pairs = zip_longest(difference.recorded, difference.replayed)
    recorded, replayed = next((a, b) for a, b in pairs if a != b)
    for name, one, other in (("recorded", recorded, replayed), ("replayed", replayed, recorded)):
        console.print(f"  {name}: {escape(_told(one, other))}", highlight=False, soft_wrap=True)
    if header.build != BUILD:
        console.print(f"It was written by {header.build}, and this is {BUILD}: builds may differ.")


def _told(command: AnyCommand | None, other: AnyCommand | None) -> str:
    """Return a command in short: only the fields that differ from the other's."""
    if command is None:
        return "nothing"
    alike = type(command) is type(other)
    told = [
        f"{field.name}={getattr(command, field.name)!r}"
        for field in fields(command)
        if not alike or getattr(command, field.name) != getattr(other, field.name)
    ]
    return f"{type(command).__name__}({', '.join(told)})"


def _tell(header: Header, steps: Iterator[Step], as_json: bool) -> Exit:
    first_at: float | None = None
    told: list[tuple[float, str, str, str]] = []
    for step in steps:
        first_at = step.event.at if first_at is None else first_at
        for command in step.commands:
            if isinstance(command, _TOLD):
                subject = command.task_id if isinstance(command, Notify) else command.node_id
                what = command.kind.value if isinstance(command, Notify) else type(command).__name__
                why = command.text if isinstance(command, Notify) else command.reason
                told.append((step.event.at - first_at, subject, what, why))
    if as_json:
        names = ("after_s", "subject", "what", "why")
        print_json(
            {"build": header.build, "decisions": [dict(zip(names, t, strict=True)) for t in told]}
        )
        return Exit.OK
    rows = [(span(after_s), subject, what, escape(why)) for after_s, subject, what, why in told]
    title = f"{escape(header.build)}: what was decided, and why"
    results().print(table(title, (">After", "Of", "What", "Why"), rows))
    return Exit.OK
