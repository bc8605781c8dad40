"""`slackwater replay`: the story of a journal, or the proof that it repeats."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import IO, cast

from rich.markup import escape
from rich.progress import track

from controller.build import BUILD
from controller.cli import Exit
from controller.cli.display import messages, print_json, results
from controller.cli.pages import refuse_unwritable, write
from controller.cli.story import Story
from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.core import Planner
from planner.errors import BrokenJournal
from planner.journal import Difference, Header, Step, decode_header, read_steps, replay
from sim.baselines.catalogue import AllPolicies
from sim.chapter.replayed import Replayed
from sim.traces.native import PACKED


def replay_journal(path: Path, *, exact: bool, html: Path | None, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    refuse_unwritable(html)
    with opened(path) as (header, steps):
        if not exact and html is None:
            return _tell(header, steps, as_json)
        if not header.record:
            raise BrokenJournal(
                f"{path} is no record of a run but a trace: it holds no commands to compare with",
                fix=f"Play it with `slackwater simulate {path}`",
            )
        return _compare(header, steps, _Drawing(path, header, html), as_json)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Header, Iterator[Step]]]:
    """Open a journal: its header, and its steps to be read inside the block.

    Raises
    ------
    BrokenJournal
        It cannot be read, or is none.
    """
    opener = gzip.open if path.suffix in PACKED else open
    try:
        lines = cast("IO[bytes]", opener(path, "rb"))
    except OSError as error:
        raise BrokenJournal(f"journal {path} cannot be read: {error.strerror}") from None
    with lines:
        try:
            yield decode_header(lines.readline()), read_steps(lines)
        except BrokenJournal as error:
            raise BrokenJournal(f"journal {path}: {error.what}", fix=error.fix) from None
        lines.seek(-1, os.SEEK_END)
        if lines.read() != b"\n":
            messages().print(
                "[yellow]warning:[/] the last line is torn and was left out", highlight=False
            )


class _Drawing:
    """Looks on while a journal is replayed, and draws it as a page if one is wanted."""

    def __init__(self, path: Path, header: Header, html: Path | None) -> None:
        self.commands = Counter[str]()
        self._path, self._html = path, html
        self._replayed = Replayed(header.settings) if html is not None else None

    def see(self, step: Step, planner: Planner) -> None:
        """Take a step in."""
        self.commands.update(type(each).__name__ for each in step.commands)
        if self._replayed:
            self._replayed.see(step, planner)

    def write(self, steps: int) -> None:
        """Write the page of a journal that was replayed to its end."""
        if self._html is None or self._replayed is None:
            return
        from controller.cli.replay_page import page_of  # noqa: PLC0415 - draws with matplotlib

        told = f"{steps} steps and {self.commands.total()} commands were replayed identically"
        write(self._html, page_of(self._replayed, str(self._path), told))
        messages().print(f"Page in {escape(str(self._html))}", highlight=False, soft_wrap=True)


def _compare(header: Header, steps: Iterator[Step], drawing: _Drawing, as_json: bool) -> Exit:
    commands = drawing.commands
    console = messages()
    hidden = as_json or not console.is_terminal
    shown = track(steps, "replaying", console=console, transient=True, disable=hidden)
    count, difference = replay(header, shown, AllPolicies(), watch=drawing.see)
    if difference is None:
        drawing.write(count)
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
    if as_json:
        print_json({"build": header.build, "decisions": list(_decisions(steps))})
        return Exit.OK
    story = Story()
    for step in steps:
        for line in story.tell(step.event, list(step.commands)):
            results().print(line, highlight=False, soft_wrap=True)
    return Exit.OK


def _decisions(steps: Iterator[Step]) -> Iterator[dict[str, float | str]]:
    began_at: float | None = None
    for step in steps:
        began_at = step.event.at if began_at is None else began_at
        for command in step.commands:
            match command:
                case Notify():
                    told = command.task_id, command.kind.value, command.text
                case ProvisionNode() | SetWorkers() | DrainNode() | UndrainNode() | RemoveNode():
                    told = command.node_id, type(command).__name__, command.reason
                case _:
                    continue
            subject, what, why = told
            after_s = step.event.at - began_at
            yield {"after_s": after_s, "subject": subject, "what": what, "why": why}
