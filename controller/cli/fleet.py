"""`slackwater nodes`, `scale` and `policy`: the fleet, for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape

from controller.cli import Exit
from controller.cli.asking import answer_json, clock, complain, facts, say
from controller.cli.display import Column, fitting, results
from controller.client import Client, Node, Policy, ServiceError

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
    """Drain or remove nodes and return the exit code; one that cannot go keeps no other."""
    going, faults = [], []
    with Client(url) as client:
        for name in names:
            try:
                going.append(client.remove_node(name) if at_once else client.drain(name))
            except ServiceError as error:
                faults.append(str(error))
    if as_json:
        answer_json(going)
    for node in going if not as_json else ():
        say(f"{'removing' if at_once else 'draining'} {node.id}")
    complain(faults)
    return Exit.FAILED if faults else Exit.OK


def scale(url: str | None, nodes: int | None, *, as_json: bool) -> Exit:
    """Hold a number of nodes, or none in particular, and return the exit code."""
    with Client(url) as client:
        found = client.set_scale(nodes)
    if as_json:
        answer_json(found)
    else:
        bounds = f"{found.nodes_min} to {found.nodes_max} nodes, as the policy decides"
        count = "1 node" if found.nodes_min == 1 else f"{found.nodes_min} nodes"
        held = count if found.nodes_min == found.nodes_max else bounds
        say(f"scale: {held}")
    return Exit.OK


def show_policy(url: str | None, *, as_json: bool) -> Exit:
    """Show the scaling policy in force and return the exit code."""
    with Client(url) as client:
        return _tell(client.policy(), as_json)


def set_policy(
    url: str | None, name: str | None, changes: Mapping[str, str], *, as_json: bool
) -> Exit:
    """Let another scaling policy decide, or by other settings, and return the exit code."""
    with Client(url) as client:
        return _tell(client.set_policy(name, **changes), as_json)


def reset_policy(url: str | None, *, as_json: bool) -> Exit:
    """Let the settings file's policy decide again and return the exit code."""
    with Client(url) as client:
        return _tell(client.reset_policy(), as_json)


def _tell(policy: Policy, as_json: bool) -> Exit:
    if as_json:
        answer_json(policy)
    else:
        rows = [("policy", policy.policy), ("order", policy.order)]
        rows += [(name, _words(value)) for name, value in policy.settings.items()]
        results().print(facts([(name, escape(value)) for name, value in rows]))
    return Exit.OK


def _words(value: object) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
    return str(value)
