"""Checks that nothing else owns slackwater's import names in this environment.

The names `planner`, `controller`, `partitioners` and `sim` are plain words; another distribution,
or a folder earlier on the path, could shadow one of them and be run in its place.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import packages_distributions
from pathlib import Path

from planner.errors import SlackwaterError

NAMES = ("planner", "controller", "partitioners", "sim")
DISTRIBUTION = "slackwater"


class NameTaken(SlackwaterError):
    """Another program owns one of our import names here."""


def check_names() -> None:
    """Make sure that each import name leads to slackwater and to nothing else.

    Raises
    ------
    NameTaken
        A name leads elsewhere, or a second distribution installed it too.
    """
    home = Path(__file__).resolve().parent.parent
    owners = packages_distributions()
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        places = spec.submodule_search_locations if spec else None
        found = [Path(place).resolve() for place in places or ()]
        if found != [home / name]:
            raise _taken(name, f"it leads to {', '.join(map(str, found)) or 'nothing'}")
        others = sorted(set(owners.get(name, ())) - {DISTRIBUTION})
        if others:
            raise _taken(name, f"{', '.join(others)} installed it too")


def _taken(name: str, why: str) -> NameTaken:
    return NameTaken(
        f"the import name {name!r} does not belong to slackwater alone: {why}",
        fix="Install slackwater into an environment of its own",
    )
