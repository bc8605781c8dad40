"""Which partitioners there are: the built-in ones and those of other distributions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from partitioners.balanced import Balanced
from partitioners.bisecting import Bisecting
from partitioners.calibrated import Calibrated
from partitioners.linear import Linear
from partitioners.logarithmic import Logarithmic
from partitioners.protocol import Partitioner
from planner.errors import BrokenPlugin
from planner.plugins import installed, load

GROUP = "slackwater.partitioners"
"""Entry point group; each entry names an instance of a partitioner, not its class."""

BUILT_IN: Mapping[str, Partitioner] = {
    partitioner.name: partitioner
    for partitioner in (Balanced(), Bisecting(), Calibrated(), Linear(), Logarithmic())
}
"""Partitioners that need no installation, by name."""


class Partitioners(Mapping[str, Partitioner]):
    """Partitioners by name; an installed one is imported when it is asked for.

    One that was found is remembered: to look through all that is installed takes milliseconds, more
    than a small cut.
    """

    def __init__(self) -> None:
        self._found: dict[str, Partitioner] = {}

    def __getitem__(self, name: str) -> Partitioner:
        """Return the partitioner of this name.

        Raises
        ------
        UnknownPlugin
            No built-in or installed partitioner has this name.
        BrokenPlugin
            It cannot be imported, or it is no partitioner of that name.
        """
        if name not in self._found:
            self._found[name] = self._load(name)
        return self._found[name]

    def _load(self, name: str) -> Partitioner:
        found: object = load(GROUP, name, BUILT_IN)
        if isinstance(found, type) or not isinstance(found, Partitioner) or found.name != name:
            raise BrokenPlugin(
                f"the plug-in {name!r} of {GROUP} is no partitioner of that name: {found!r}",
                fix="Its entry point must name an instance with name, version and cut",
            )
        return found

    def __iter__(self) -> Iterator[str]:
        """Return all names, sorted."""
        return iter(sorted({*BUILT_IN, *installed(GROUP)}))

    def __len__(self) -> int:
        """Return the number of partitioners."""
        return len({*BUILT_IN, *installed(GROUP)})
