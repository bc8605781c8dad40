"""Removing a subscription's old products from its destination.

A manifest goes before what it names, so that a reader never finds one without the other. Before it
goes it is kept under a hidden name, by which a removal that was cut short is ended the next time.
Only files that a manifest of the subscription names are removed, and only such as it may name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.delivery.folder import MANIFEST_BYTES_MAX, ProductFolder
from controller.delivery.opening import place_at
from controller.delivery.place import Content, Place
from controller.destinations import Destinations
from controller.product_files import MANIFEST_ENDING

DAY_S = 86400.0

REMOVALS_MAX = 1000
"""Products removed in one go: a large clearing out does not hold a lane for hours."""

_KEPT_ENDING = ".removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a subscription's products stay.

    Parameters
    ----------
    subscription_id : str
    retention_days : float
        Products made longer ago than this [days] go.
    """

    subscription_id: str
    retention_days: float

    def is_over(self, manifest: Mapping[str, Any], now: float) -> bool:
        """Tell whether a product is one of the subscription's that are to go.

        Parameters
        ----------
        manifest : mapping
            What the product's manifest says.
        now : float
            POSIX time [s].
        """
        if manifest.get("subscription") != self.subscription_id:
            return False
        with suppress(TypeError, ValueError):
            created = datetime.fromisoformat(manifest.get("created", ""))
            if created.tzinfo is not None:
                return now - created.timestamp() > self.retention_days * DAY_S
        return False


def remove_old(
    retention: Retention,
    destination: str,
    destinations: Destinations,
    now: float,
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[str, ...]:
    """Remove a subscription's old products; return their ids. Repeating it ends what was begun.

    Parameters
    ----------
    retention : Retention
    destination : str
        Folder of the subscription.
    destinations : Destinations
        What is allowed now, and how it is reached.
    now : float
        POSIX time [s].
    given_up : callable
        Asked before each product: whether to stop.

    Raises
    ------
    DeliveryError
        With the cause, what to do about it and whether a retry may help.
    """
    url = destinations.resolve(destination)
    removed: list[str] = []
    undone = f"old products of subscription {retention.subscription_id} not removed"
    with place_at(url, destinations, undone) as place:
        names = _names(place)
        for product_id in _ids(names, retention, f".{{}}{MANIFEST_ENDING}{_KEPT_ENDING}"):
            _end(ProductFolder(place=place, product_id=product_id))
        for product_id in _ids(names, retention, f"{{}}{MANIFEST_ENDING}"):
            if given_up() or len(removed) >= REMOVALS_MAX:
                break
            folder = ProductFolder(place=place, product_id=product_id)
            content = folder.manifest_bytes()
            if retention.is_over(_read(content), now):
                _begin(folder, content)
                _end(folder)
                removed.append(product_id)
    return tuple(removed)


def _names(place: Place) -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(place.names())
    return []


def _ids(names: list[str], retention: Retention, pattern: str) -> list[str]:
    """Return which of the subscription's products have a file that is called so."""
    product = rf"({re.escape(retention.subscription_id)}-v[0-9][^/]*)"
    called = re.compile(product.join(map(re.escape, pattern.split("{}"))))
    return [found[1] for found in map(called.fullmatch, names) if found]


def _begin(folder: ProductFolder, manifest: bytes) -> None:
    kept = Content(size_bytes=len(manifest), blocks=iter((manifest,)))
    folder.place.put(_kept(folder), kept)
    folder.place.remove(folder.manifest)


def _end(folder: ProductFolder) -> None:
    """Remove what a manifest named that is gone; if it was delivered again, it stays."""
    place, kept = folder.place, _kept(folder)
    if not place.has(folder.manifest):
        content = b"".join(place.blocks(kept))
        told = _read(content).get("product")
        if isinstance(told, dict):
            if name := folder.believed_file(told):
                place.remove(name)
            place.remove(folder.crate)
    place.remove(kept)


def _kept(folder: ProductFolder) -> str:
    return f".{folder.manifest}{_KEPT_ENDING}"


def _read(content: bytes) -> Mapping[str, Any]:
    with suppress(ValueError):
        if len(content) <= MANIFEST_BYTES_MAX:
            said = json.loads(content)
            return said if isinstance(said, dict) else {}
    return {}
