"""`slackwater subscribe`: make, list, show, pause, resume and end subscriptions of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape

from controller.cli import Exit
from controller.cli.asking import answer_json, box, complain, facts, instant, say, warn_of
from controller.cli.display import Column, fitting, print_json, results, size, span
from controller.client import Client, Estimate, ServiceError, Subscription
from controller.config.yaml_lines import Document, Fault, read_document
from controller.errors import FileFault, RequestFault

TROUBLE = ("at risk", "late")
"""States of an estimate that are worth an exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What is done with a wish.

    Parameters
    ----------
    replace : bool
        Whether one that is there already is changed.
    estimate : bool
        Only tell what it would take.
    as_json : bool
    """

    replace: bool = False
    estimate: bool = False
    as_json: bool = False


def add_one(url: str | None, wish: Mapping[str, Any], how: How) -> Exit:
    """Make one subscription and return the exit code."""
    with Client(url) as client:
        if how.estimate:
            return _tell_estimates({str(wish["id"]): client.estimate(wish)}, how)
        return _tell_made({str(wish["id"]): _made(client, wish, how)}, how)


def add_file(url: str | None, path: Path, how: How) -> Exit:
    """Make each subscription of a file and return the exit code.

    Raises
    ------
    FileFault
        Faults of the file, each with its line; those without any are made.
    """
    document = read_document(path)
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    with Client(url) as client:
        for number, wish in enumerate(_entries(document)):
            name = str(wish.get("id", number + 1))
            try:
                found[name] = client.estimate(wish) if how.estimate else _made(client, wish, how)
            except ServiceError as error:
                if not _is_about_a_wish(error):
                    raise
                faults += _placed(document, number, name, error)
    tell = _tell_estimates if how.estimate else _tell_made
    code = tell(found, how)
    document.refuse(faults)
    return code


def _made(client: Client, wish: Mapping[str, Any], how: How) -> Subscription:
    try:
        return client.subscribe(wish)
    except ServiceError as error:
        if error.status != HTTPStatus.CONFLICT or error.faults:
            raise
        if not how.replace:
            raise ServiceError(
                f"there is a subscription {wish.get('id')} already",
                status=error.status,
                fix="Take another id, or --replace to change it",
            ) from error
        return client.change(wish)


def _entries(document: Document) -> list[dict[str, Any]]:
    top = document.value
    entries = top.get("subscriptions") if isinstance(top, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise FileFault(
            document.path,
            ["line 1: holds no list `subscriptions` of mappings. See docs/reference"],
        )
    document.refuse([])
    return [dict(each) for each in entries if isinstance(each, dict)]


def _is_about_a_wish(error: ServiceError) -> bool:
    return error.status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT)


def _placed(document: Document, number: int, name: str, error: ServiceError) -> list[Fault]:
    """Return the faults that a service finds, at their lines."""
    faults = error.faults or (RequestFault(pointer="", what=str(error)),)
    return [
        Fault(
            document.line(("subscriptions", number, *_steps(each.pointer))),
            f"subscription {name}: {each.what}",
        )
        for each in faults
    ]


def _steps(pointer: str) -> list[str | int]:
    """Return the way that a JSON pointer (RFC 6901) tells."""
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
    return [int(step) if step.isascii() and step.isdigit() else step for step in steps]


def _tell_made(made: Mapping[str, Subscription], how: How) -> Exit:
    for each in made.values():
        warn_of(f"{each.id}: {warning}" for warning in each.warnings)
        if not how.as_json:
            deadline = f"deadline {each.deadline}" if each.deadline else "no deadline"
            say(f"subscribed {each.id} v{each.version}: {deadline}, to {each.destination}")
    if how.as_json:
        answer_json(list(made.values()))
    return Exit.OK


def _tell_estimates(found: Mapping[str, Estimate], how: How) -> Exit:
    if how.as_json:
        print_json([{"id": k, **msgspec.to_builtins(v)} for k, v in found.items()])
    else:
        for name, each in found.items():
            results().print(f"{name}: {escape(each.verdict)}", highlight=False, soft_wrap=True)
            warn_of(each.notes)
    return Exit.LATE if any(each.state in TROUBLE for each in found.values()) else Exit.OK


def list_subscriptions(url: str | None, *, as_json: bool) -> Exit:
    """List one's subscriptions and return the exit code."""
    with Client(url) as client:
        found = list(client.subscriptions())
    if as_json:
        answer_json(found)
    elif not found:
        say("There are no subscriptions yet: `slackwater subscribe add` makes one.")
    else:
        console = results()
        console.print(fitting("", COLUMNS, found, console.width))
    return Exit.OK


COLUMNS: list[Column[Subscription]] = [
    ("Subscription", 0, lambda one: escape(one.id)),
    (">v", 3, lambda one: str(one.version)),
    ("Area", 2, lambda one: box(one.bbox)),
    ("Time", 4, lambda one: "all" if one.time == "../.." else escape(one.time)),
    ("Parameters", 1, lambda one: escape(" ".join(one.parameters))),
    (">Deadline", 0, lambda one: one.deadline or "-"),
    ("State", 0, lambda one: "paused" if one.paused else "active"),
    ("Owner", 5, lambda one: escape(one.owner) or "-"),
    ("Made", 6, lambda one: instant(one.made_at)),
]


def show_subscription(url: str | None, name: str, *, as_json: bool) -> Exit:
    """Show one subscription and return the exit code."""
    with Client(url) as client:
        found = client.subscription(name)
    if as_json:
        answer_json(found)
    else:
        results().print(facts(_facts(found)))
    return Exit.OK


def _facts(one: Subscription) -> list[tuple[str, str]]:
    options = ", ".join(f"{name}={value}" for name, value in sorted(one.options.items()))
    kind = "firm" if one.firm else "soft"
    rows = [
        ("id", f"{one.id} v{one.version}"),
        ("state", "paused" if one.paused else "active"),
        ("dataset", " ".join(one.dataset)),
        ("bbox", box(one.bbox)),
        ("time", one.time),
        ("parameters", " ".join(one.parameters)),
        ("options", options or "-"),
        ("deadline", f"{one.deadline} ({kind})" if one.deadline else "-"),
        ("priority", f"{one.priority:g}"),
        ("backfill", "yes" if one.backfill else "no"),
        ("destination", one.destination),
        ("owner", one.owner or "-"),
        ("made", instant(one.made_at)),
        ("changed", instant(one.changed_at)),
    ]
    if one.account is not None:
        spent = one.account
        tasks = "1 task" if spent.tasks == 1 else f"{spent.tasks} tasks"
        told = f"{tasks}, {span(spent.worker_s)} of workers, cost {spent.cost:.4f}"
        rows.append(("account", f"{told}, {size(spent.size_bytes)}"))
    return [(name, escape(value)) for name, value in rows]


def switch(url: str | None, name: str, *, paused: bool, as_json: bool) -> Exit:
    """Pause or resume a subscription and return the exit code."""
    with Client(url) as client:
        found = client.pause(name) if paused else client.resume(name)
    if as_json:
        answer_json(found)
    else:
        say(f"{'paused' if paused else 'resumed'} {name}")
    return Exit.OK


def make_full(url: str | None, name: str, *, as_json: bool) -> Exit:
    """Have one product made of all that was delivered and return the exit code."""
    with Client(url) as client:
        found = client.make_full(name)
    if as_json:
        answer_json(found)
    else:
        say(f"one product of all that {name} was given is being made")
    return Exit.OK


def remove(url: str | None, names: Sequence[str], *, as_json: bool) -> Exit:
    """End subscriptions and return the exit code; one that cannot be ended stops no other."""
    removed, faults = [], []
    with Client(url) as client:
        for name in names:
            try:
                client.remove(name)
                removed.append(name)
            except ServiceError as error:
                faults.append(str(error))
    if as_json:
        print_json({"removed": removed})
    elif removed:
        say(f"removed {', '.join(removed)}; products stay")
    complain(faults)
    return Exit.FAILED if faults else Exit.OK
