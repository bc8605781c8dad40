"""The manifest: what a product is, what was asked for, which command made it of which parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from controller.apps.command.joining import Piece, part_of
from controller.apps.command.orders import CombineOrder, ListedFile, Selected
from controller.apps.manifests import FORMAT, made, product_entry
from controller.apps.request import request
from planner.model import Product


def manifest(
    order: CombineOrder, pieces: Sequence[Piece], product: Product, *, created_at: float
) -> dict[str, object]:
    """Return the manifest of a product, fit for JSON; only `created` depends on when it was made.

    Parameters
    ----------
    order : CombineOrder
    pieces : sequence of Piece
        As they were joined.
    product : Product
    created_at : float
        [POSIX s]
    """
    return {
        "format": FORMAT,
        "product": product_entry(order.product_id, product),
        "subscription": order.subscription_id,
        "selections": [_selection(each, pieces, n) for n, each in enumerate(order.selected)],
        "join": {"how": str(order.form.join), "header_lines": order.form.header_lines},
        **made(created_at),
    }


def _selection(selected: Selected, pieces: Sequence[Piece], number: int) -> dict[str, object]:
    own = [piece for piece in pieces if piece.selection == number]
    return {
        **request(selected.selection.view),
        "updates": asdict(selected.selection.updates),
        "tool": {
            "command": list(selected.tool.command),
            # What a variable holds may be a secret; which there are explains what was done.
            "environment": sorted(name for name, _ in selected.tool.environment),
            "versions": sorted({piece.head.tool_version for piece in own} - {""}),
        },
        "parts": [part_of(piece) for piece in own],
        "sources": _sources(own),
    }


def _sources(pieces: Sequence[Piece]) -> list[dict[str, object]] | None:
    """Return the files that the parts were given, sorted; None where the folder was not listed."""
    found: set[ListedFile] = set()
    for piece in pieces:
        if piece.head.files is None:
            return None
        found.update(piece.head.files)
    return [asdict(file) for file in sorted(found, key=lambda file: (file.path, file.stamp))]
