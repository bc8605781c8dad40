"""`slackwater nodes`, `scale` and `policy`: the fleet, for operators."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from controller.cli import Exit
from controller.cli.asking import answer_json, clock, facts, say
from controller.cli.display import Column, fitting, print_json, results
from controller.client import Client, Node, Policy

COLUMNS: list[Column[Node]] = [
    ("Node", 0, lambda one: escape(one.id)),
    ("Type", 2, lambda one: escape(one.type)),
    ("State", 0, lambda one: escape(one.state)),
    (">Workers", 0, lambda one: str(one.workers)),
    ("Asked for", 1, lambda one: clock(one.requested_at)),
    ("Ready", 3, lambda one: clock(one.ready_at)),
    ("Gone", 4, lambda one: clock(one.gone_at)),
    ("Why", 5, lambda one: escape(one.reason)),
]


def list_nodes(url: str | None, *, every: bool, as_json: bool) -> Exit:
    """List nodes and return the exit code."""
    with Client(url) as client:
        found = list(client.nodes(standing_only=not every))
    if as_json:
        answer_json(found)
    elif not found:
        say("There are no nodes: they come when work does.")
    else:
        console = results()
        console.print(fitting("", COLUMNS, found, console.width))
    return Exit.OK


def release(url: str | None, names: Sequence[str], *, at_once: bool, as_json: bool) -> Exit:
    """Drain or remove nodes and return the exit code."""
    with Client(url) as client:
        for name in names:
            if at_once:
                client.remove_node(name)
            else:
                client.drain(name)
    if as_json:
        print_json({"removed" if at_once else "draining": list(names)})
    else:
        words = "removing" if at_once else "draining, each goes when its parts have ended:"
        say(f"{words} {', '.join(names)}")
    return Exit.OK


def scale(url: str | None, nodes: int | None, *, as_json: bool) -> Exit:
    """Hold a number of nodes, or none in particular, and return the exit code."""
    with Client(url) as client:
        return _tell(client.scale(nodes), as_json)


def show_policy(url: str | None, *, as_json: bool) -> Exit:
    """Show the scaling policy in force and return the exit code."""
    with Client(url) as client:
        return _tell(client.policy(), as_json)


def set_policy(url: str | None, name: str, *, as_json: bool) -> Exit:
    """Let another scaling policy decide, and return the exit code."""
    with Client(url) as client:
        return _tell(client.set_policy(name), as_json)


def _tell(policy: Policy, as_json: bool) -> Exit:
    if as_json:
        answer_json(policy)
    else:
        bounds = f"{policy.nodes_min} to {policy.nodes_max}"
        results().print(facts([("policy", escape(policy.policy)), ("nodes", bounds)]))
    return Exit.OK
