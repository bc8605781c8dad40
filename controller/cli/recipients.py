"""`slackwater subscribe webhook`: who is told of a subscription's products."""

from __future__ import annotations

from rich.markup import escape

from controller.cli import Exit
from controller.cli.asking import answer_json, clock, say
from controller.cli.display import Column, fitting, results
from controller.client import Client, Webhook

COLUMNS: list[Column[Webhook]] = [
    ("Webhook", 0, lambda one: escape(one.id)),
    ("URL", 0, lambda one: escape(one.url)),
    ("State", 0, lambda one: escape(one.state)),
    (">Secrets", 2, lambda one: str(one.secrets)),
    ("Made", 1, lambda one: clock(one.made_at)),
    ("Why", 3, lambda one: escape(one.reason)),
]


def add(url: str | None, subscription: str, hook: str, *, as_json: bool) -> Exit:
    """Add a webhook, print its secret and return the exit code."""
    with Client(url) as client:
        made = client.add_webhook(subscription, hook)
    if as_json:
        answer_json(made)
        return Exit.OK
    say(f"webhook {made.id}; this secret verifies its messages, and is shown this once:")
    results().print(made.secret, highlight=False, markup=False, soft_wrap=True)
    return Exit.OK


def list_webhooks(url: str | None, subscription: str, *, as_json: bool) -> Exit:
    """List webhooks and return the exit code."""
    with Client(url) as client:
        found = list(client.webhooks(subscription))
    if as_json:
        answer_json(found)
    elif not found:
        say(f"{subscription} has no webhooks.")
    else:
        console = results()
        console.print(fitting("", COLUMNS, found, console.width))
    return Exit.OK


def remove(url: str | None, subscription: str, hook: str) -> Exit:
    """Remove a webhook and return the exit code."""
    with Client(url) as client:
        client.remove_webhook(subscription, hook)
    say(f"removed {hook}")
    return Exit.OK
