"""A subscription as the command line tells it, in the words of a subscriptions file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer


def wish_of(name: str | None, told: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    """Return the keys of a subscription that were given.

    Raises
    ------
    BadParameter
        There is neither a file nor enough for a subscription, or both.
    """
    given = {key: value for key, value in told.items() if value not in (None, [], ())}
    if file is not None:
        if name is not None or given:
            raise typer.BadParameter("a file says all; give no more", param_hint="--file")
        return {}
    if name is None:
        raise typer.BadParameter("give one, or --file", param_hint="ID")
    if "dataset" not in given:
        raise typer.BadParameter("is missing", param_hint="--dataset")
    if "parameters" in given:
        given["parameters"] = _names(given["parameters"])
    if "options" in given:
        given["options"] = pairs(given["options"])
    return {"id": name, **given, "dataset": _names(given["dataset"])}


def area(bbox: str | None, edges: Sequence[float | None]) -> str | None:
    """Return a box as it was given: as one, or by its edges, of which the globe's may be left out.

    Raises
    ------
    BadParameter
        Both were given.
    """
    if all(edge is None for edge in edges):
        return bbox
    if bbox is not None:
        raise typer.BadParameter("give it, or its edges", param_hint="--bbox")
    globe = (-180.0, -90.0, 180.0, 90.0)
    return ",".join(
        f"{outer if edge is None else edge:.10g}" for edge, outer in zip(edges, globe, strict=True)
    )


def interval(time: str | None, start: str | None, end: str | None) -> str | None:
    """Return an interval as it was given: as one, or by its ends; one that is missing is open.

    Raises
    ------
    BadParameter
        Both were given.
    """
    if start is None and end is None:
        return time
    if time is not None:
        raise typer.BadParameter("give it, or its ends", param_hint="--time")
    return f"{start or '..'}/{end or '..'}"


def _names(given: Sequence[str]) -> list[str]:
    return [name for each in given for name in each.replace(",", " ").split()]


def pairs(given: Sequence[str], option: str = "--option") -> dict[str, str]:
    """Return what was written as name=value.

    Raises
    ------
    BadParameter
        Something was written otherwise.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{text!r} is not name=value", param_hint=option)
        found[name.strip()] = value.strip()
    return found
