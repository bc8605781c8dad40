"""Checks that nothing else owns slackwater's import names in this environment.

The names `planner`, `controller`, `partitioners` and `sim` are plain words; another distribution,
or a folder earlier on the path, could shadow one of them and be run in its place. So this module
imports nothing of ours before it has looked.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

NAMES = ("planner", "controller", "partitioners", "sim")
DISTRIBUTION = "slackwater"
ADVICE = "Install slackwater into an environment of its own"


def fault_of_names() -> str:
    """Return in words which import name leads to another program, empty when none does."""
    home = Path(__file__).resolve().parent.parent
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        places = spec.submodule_search_locations if spec else None
        found = [Path(place).resolve() for place in places or ()]
        if found != [home / name]:
            where = ", ".join(map(str, found)) or (spec.origin if spec else None) or "nothing"
            return _words(name, f"it leads to {where}")
    return ""


def check_names() -> None:
    """Make sure that each import name leads to slackwater and that nobody else installed it too.

    Raises
    ------
    controller.errors.NameTaken
        A name leads elsewhere, or a second distribution installed it too.
    """
    from importlib.metadata import packages_distributions  # noqa: PLC0415 - slow, and not for help

    from controller.errors import NameTaken  # noqa: PLC0415 - see the top of this module

    if fault := fault_of_names():
        raise NameTaken(fault, fix=ADVICE)
    owners = packages_distributions()
    for name in NAMES:
        others = sorted(set(owners.get(name, ())) - {DISTRIBUTION})
        if others:
            raise NameTaken(_words(name, f"{', '.join(others)} installed it too"), fix=ADVICE)


def _words(name: str, why: str) -> str:
    return f"the import name {name!r} does not belong to slackwater alone: {why}"
