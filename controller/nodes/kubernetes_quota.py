"""How many pods the ResourceQuotas of a namespace leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

COUNTED = ("pods", "count/pods", "secrets", "count/secrets")
"""What a node takes one of."""

MEASURED: Mapping[str, str] = {
    f"{prefix}{what}": what
    for prefix in ("", "requests.", "limits.")
    for what in ("cpu", "memory", "ephemeral-storage")
}
"""What a quota may bound, and what a pod takes of it: it asks for as much as it may have."""


def left(quotas: Iterable[Mapping[str, Any]], pod: Mapping[str, str]) -> float:
    """Return how many more pods fit.

    Parameters
    ----------
    quotas : iterable of mapping
        As the API server lists them. One with scopes bounds only some pods, and is left out: it is
        told when it refuses one. So is one that has not counted yet.
    pod : mapping of str to str
        What a pod takes: cpu, memory, ephemeral-storage.

    Returns
    -------
    float
        Infinite where nothing bounds them.
    """
    need = {name: parse_quantity(pod[what]) for name, what in MEASURED.items()}
    need |= dict.fromkeys(COUNTED, Decimal(1))
    fits = [
        max(0, (parse_quantity(bound) - parse_quantity(used[name])) // need[name])
        for hard, used in map(_bounds, quotas)
        for name, bound in hard.items()
        if name in used and need.get(name)
    ]
    return float(min(fits, default=Decimal("Infinity")))


def _bounds(quota: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    spec, status = quota.get("spec") or {}, quota.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return {}, {}
    return status.get("hard") or {}, status.get("used") or {}
