"""`slackwater replay`: the story of a journal, or the proof that it repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from rich.progress import track

from controller.cli import Exit
from controller.cli.display import messages, print_json, results, span, table
from planner.commands import DrainNode, Notify, ProvisionNode, RemoveNode, SetWorkers, UndrainNode
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
    except OSError as error:
        raise BrokenJournal(f"cannot read {path}: {error.strerror}") from None


def _compare(header: Header, steps: Iterator[Step], as_json: bool) -> Exit:
    commands = Counter[str]()
    shown = track(steps, "replaying", console=messages(), transient=True, disable=as_json)
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
        _show_difference(difference)
    return Exit.OK if difference is None else Exit.FAILED


def _show_difference(difference: Difference) -> None:
    console = results()
    event = type(difference.event).__name__
    console.print(f"[red]step {difference.step} differs[/], at the event {event}")
    for name, commands in (("recorded", difference.recorded), ("replayed", difference.replayed)):
        console.print(f"  {name}: {', '.join(map(repr, commands)) or 'nothing'}", highlight=False)


def _tell(header: Header, steps: Iterator[Step], as_json: bool) -> Exit:
    first_at: float | None = None
    told: list[tuple[float, str, str, str]] = []
    for step in chain(steps):
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
    rows = [(span(after_s), subject, what, why) for after_s, subject, what, why in told]
    results().print(
        table(f"{header.build}: what was decided, and why", (">After", "Of", "What", "Why"), rows)
    )
    return Exit.OK
