"""`slackwater status`: how a service stands, and whether a deadline is in danger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from threading import Event
from typing import NoReturn, TypeVar

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from controller.cli import Exit
from controller.cli.asking import answer_json, clock
from controller.cli.display import Column, fitting, results, slack, span
from controller.client import Client, Decision, Health, Node, ServiceError, State, Task
from controller.interruption import Interrupted

Entry = TypeVar("Entry")

READ_MAX = 1000
"""Open tasks and nodes that are looked at: one page of the API, quickly read."""

SHOWN_MAX = 10
"""Tasks and decisions that are shown: what fits a screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a service stands at an instant.

    Parameters
    ----------
    at : datetime
    health : Health
    state : State or None
        None of a service that does not tell.
    tasks : tuple of Task
        Open ones, the next deadline first.
    nodes : tuple of Node or None
        None where the key does not allow to see them.
    decisions : tuple of Decision
        The newest first.
    """

    at: datetime
    health: Health
    state: State | None
    tasks: tuple[Task, ...]
    nodes: tuple[Node, ...] | None
    decisions: tuple[Decision, ...]

    @property
    def late(self) -> int:
        """How many tasks are open after their deadline."""
        return sum(task.is_late(self.at) for task in self.tasks)

    @property
    def at_risk(self) -> int:
        """How many more are predicted to be late."""
        found = sum(task.is_at_risk and not task.is_late(self.at) for task in self.tasks)
        if len(self.tasks) < READ_MAX or self.state is None:
            return found
        # The rest was not looked at, but counted by the service.
        return max(found, self.state.tasks.get("at_risk", 0) - self.late)

    @property
    def code(self) -> Exit:
        """The exit code that tells of it."""
        if not self.health.ready:
            return Exit.FAILED
        return Exit.LATE if self.late or self.at_risk else Exit.OK


def show_status(url: str | None, *, watch: bool, every_s: float, as_json: bool) -> Exit:
    """Run the command and return its exit code."""
    with Client(url) as client:
        if watch:
            with suppress(Interrupted):
                _watch(client, every_s, as_json)
            return Exit.INTERRUPTED
        standing = look(client)
    if as_json:
        answer_json(standing)
    else:
        console = results()
        console.print(_page(standing, console.width), highlight=False)
    return standing.code


def _watch(client: Client, every_s: float, as_json: bool) -> NoReturn:
    """Show the status again and again, until somebody ends it."""
    console, pause = results(), Event()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            standing = look(client)
            if as_json:
                print(json.dumps(msgspec.to_builtins(standing)), flush=True)  # noqa: T201
            elif console.is_terminal:
                live.update(_page(standing, console.width), refresh=True)
            else:
                console.print(_page(standing, console.width), highlight=False)
                console.file.flush()
            pause.wait(every_s)


def look(client: Client) -> Standing:
    """Ask a service how it stands."""
    tasks = islice(client.tasks(open_only=True), READ_MAX)
    return Standing(
        at=datetime.now(UTC),
        health=client.health(),
        state=client.state(),
        tasks=tuple(sorted(tasks, key=_urgency)),
        nodes=_allowed(client.nodes, READ_MAX),
        decisions=_allowed(client.decisions, SHOWN_MAX) or (),
    )


def _urgency(task: Task) -> tuple[bool, datetime]:
    return task.deadline_at is None, task.deadline_at or task.arrived_at


def _allowed(listing: Callable[[], Iterator[Entry]], most: int) -> tuple[Entry, ...] | None:
    """Return the first entries of a listing; None where the key does not allow to see it."""
    try:
        return tuple(islice(listing(), most))
    except ServiceError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return None


def _page(standing: Standing, width: int) -> RenderableType:
    shown: list[RenderableType] = [Text.from_markup(line) for line in _heads(standing)]
    if standing.tasks:
        first = standing.tasks[:SHOWN_MAX]
        shown += ["", fitting("", _columns(standing.at), first, width)]
        if len(standing.tasks) > SHOWN_MAX:
            shown.append(f"... and {len(standing.tasks) - SHOWN_MAX} more")
    if standing.decisions:
        shown.append("")
        shown += [_decided(each) for each in standing.decisions]
    return Group(*shown)


def _heads(standing: Standing) -> Iterator[str]:
    for part, fault in standing.health.faults.items():
        yield f"[red]{escape(part)}: {escape(fault)}[/]"
    words = ["[green]ready[/]" if standing.health.ready else "[red]not ready[/]"]
    if state := standing.state:
        threshold = "" if state.threshold_s is None else f" threshold {span(state.threshold_s)}"
        words.append(f"policy {escape(state.policy)}{threshold}")
        words.append(f"{_busy(state.workers)} workers busy")
    if standing.nodes is not None:
        words.append(_counted(standing.nodes))
    yield "  ".join(words)
    count = len(standing.tasks)
    more = "+" if count == READ_MAX else ""
    told = ["1 open task" if count == 1 else f"{count}{more} open tasks"]
    if standing.late:
        told.append(f"[red]{standing.late} late[/]")
    if standing.at_risk:
        told.append(f"[yellow]{standing.at_risk} at risk[/]")
    yield "  ".join(told)


def _busy(workers: Mapping[str, int]) -> str:
    return f"{workers.get('busy', 0)} of {workers.get('ready', 0)}"


def _counted(nodes: tuple[Node, ...]) -> str:
    states = sorted({node.state for node in nodes})
    told = ", ".join(f"{sum(n.state == state for n in nodes)} {state}" for state in states)
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    return f"{count} ({escape(told)})" if told else count


def _columns(now: datetime) -> list[Column[Task]]:
    return [
        ("Task", 0, lambda one: escape(one.id)),
        ("Subscription", 0, lambda one: escape(one.subscription)),
        (">Parts", 1, lambda one: f"{one.parts_done}/{one.parts}" if one.parts else "-"),
        (">ttd", 0, lambda one: _ttd(one, now)),
        ("Deadline", 2, lambda one: clock(one.deadline_at)),
        (">Slack", 1, lambda one: slack(one.slack_s)),
        ("State", 0, lambda one: _state(one, now)),
    ]


def _ttd(task: Task, now: datetime) -> str:
    return span((task.deadline_at - now).total_seconds()) if task.deadline_at else "-"


def _state(task: Task, now: datetime) -> str:
    if task.is_late(now):
        return "[red]late[/]"
    return "[yellow]at risk[/]" if task.is_at_risk else escape(task.state)


def _decided(decision: Decision) -> Text:
    return Text(f"{clock(decision.at)} {decision.action} {decision.node}: {decision.reason}")
