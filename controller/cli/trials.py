"""What may be tried in a simulation, by the names on a command line; and how a bad name ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.markup import escape

from controller.cli.display import messages
from controller.config.checked import hint
from partitioners.catalogue import Partitioners
from planner.importance import ORDERS
from sim.experiment import policies

KINDS: Mapping[str, Callable[[], Iterable[str]]] = {
    "policy": policies,
    "partitioner": Partitioners,
    "order": lambda: ORDERS,
}
"""What may be varied, and the names of each."""


def listed(text: str) -> list[str]:
    """Return the names in a list separated by commas, each once."""
    return list(dict.fromkeys(text.replace(",", " ").split()))


def unknown(kind: str, option: str, names: Iterable[str | None]) -> list[str]:
    """Return in words which names are none of their kind, with those that are near."""
    known = list(KINDS[kind]())
    return [
        f"{option}: unknown {kind} {name!r}. {hint(name, known)}"
        for name in names
        if name is not None and name not in known
    ]


def told(faults: Sequence[str]) -> bool:
    """Tell all faults of a command line, if there are any."""
    for fault in faults:
        messages().print(f"[red]error:[/] {escape(fault)}", highlight=False, soft_wrap=True)
    return bool(faults)
