"""`slackwater products`: list what was delivered, and get it."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from controller.cli import Exit
from controller.cli.asking import answer_json, instant, say
from controller.cli.display import Column, fitting, print_json, results, size, slack
from controller.client import Client, Product
from controller.client.download import get_product

COLUMNS: list[Column[Product]] = [
    ("Product", 0, lambda one: escape(one.id)),
    ("Delivered", 2, lambda one: instant(one.delivered_at)),
    (">Slack", 1, lambda one: slack(one.slack_s)),
    (">Rows", 3, lambda one: f"{one.rows:,}"),
    (">Size", 1, lambda one: size(one.size_bytes)),
    ("URL", 4, lambda one: escape(one.url)),
]


def list_products(url: str | None, subscription: str, *, as_json: bool) -> Exit:
    """List delivered products and return the exit code."""
    with Client(url) as client:
        found = list(client.products(subscription=subscription))
    if as_json:
        answer_json(found)
    elif not found:
        say("Nothing is delivered yet: `slackwater status` tells what is under way.")
    else:
        console = results()
        console.print(fitting("", COLUMNS, found, console.width))
    return Exit.OK


def get(url: str | None, name: str, folder: Path, *, as_json: bool) -> Exit:
    """Get a product and return the exit code."""
    with Client(url) as client:
        product = client.product(name)
    path = get_product(product, folder)
    if as_json:
        print_json({"id": product.id, "path": str(path), "sha256": product.sha256})
    else:
        say(f"got {product.id}, {size(product.size_bytes)}, SHA-256 as delivered")
        results().print(escape(str(path)), highlight=False, soft_wrap=True)
    return Exit.OK
