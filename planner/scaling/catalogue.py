"""Which scaling policies there are: the built-in ones and those of other distributions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.errors import BrokenPlugin
from planner.plugins import installed, load
from planner.scaling.guarded import Guarded
from planner.scaling.policy import BUILT_IN, Policy

GROUP = "slackwater.policies"
"""Entry point group; each entry names an instance of a policy, not its class."""

METHODS = ("start", "step", "nodes_reachable", "memory_type")


class Policies(Mapping[str, Policy]):
    """Policies by name; an installed one is imported when it is asked for."""

    def __getitem__(self, name: str) -> Policy:
        """Return the policy of this name.

        Raises
        ------
        UnknownPlugin
            No built-in or installed policy has this name.
        BrokenPlugin
            It cannot be imported, or it is no policy.
        """
        found = load(GROUP, name, BUILT_IN)
        missing = [method for method in METHODS if not hasattr(found, method)]
        if isinstance(found, type) or missing:
            raise BrokenPlugin(
                f"the plug-in {name!r} of {GROUP} is no policy: {found!r}",
                fix=f"Its entry point must name an instance with {', '.join(METHODS)}",
            )
        return found if name in BUILT_IN else Guarded(policy=found)

    def __iter__(self) -> Iterator[str]:
        """Return all names, sorted."""
        return iter(sorted({*BUILT_IN, *installed(GROUP)}))

    def __len__(self) -> int:
        """Return the number of policies."""
        return len({*BUILT_IN, *installed(GROUP)})
