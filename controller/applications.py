"""Which applications there are, and how a dataset is opened with one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import DatasetSettings
from controller.errors import ArchiveError
from controller.ports import Dataset
from controller.sources.argo import open_argo
from controller.sources.folder import open_command
from controller.sources.keeping import Memory
from controller.sources.reaching import NO_HURRY, Limits
from planner.plugins import installed, load

GROUP = "slackwater.applications"
"""Entry point group; each entry names a function from an `Opening` to a `Dataset`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What an application is told to open a dataset.

    Parameters
    ----------
    alias : str
    settings : DatasetSettings
    archive : str
        Where the dataset lies, a folder or URL.
    read_latency_s : float
        Declared latency of every file read [s].
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    since : Path or None
        An older state of the dataset's index to begin from.
    memory : Memory or None
        Where the source keeps what it told, of a dataset that is followed for long.
    limits : Limits
        How much a look of its source may take.
    """

    alias: str
    settings: DatasetSettings
    archive: str
    read_latency_s: float
    fragments_url: str
    staging_url: str
    since: Path | None = None
    memory: Memory | None = None
    limits: Limits = NO_HURRY


Open = Callable[[Opening], Dataset]


def _open_argo(opening: Opening) -> Dataset:
    return open_argo(
        alias=opening.alias,
        identifier=opening.settings.identifier,
        archive=ArchiveAddress(url=opening.archive, read_latency_s=opening.read_latency_s),
        fragments_url=opening.fragments_url,
        staging_url=opening.staging_url,
        since=opening.since,
        memory=opening.memory,
        limits=opening.limits,
    )


def _open_command(opening: Opening) -> Dataset:
    assert opening.settings.command is not None
    if opening.since is not None:
        raise ArchiveError(
            f"dataset {opening.alias} is served by a command: it has no older index to begin from",
            fix="Leave --since out; what is new in a folder is told while a service follows it",
        )
    return open_command(
        alias=opening.alias,
        identifier=opening.settings.identifier,
        archive=opening.archive,
        settings=opening.settings.command,
        fragments_url=opening.fragments_url,
        staging_url=opening.staging_url,
        memory=opening.memory,
        limits=opening.limits,
    )


BUILT_IN: Mapping[str, Open] = {"argo": _open_argo, "command": _open_command}
"""Applications that need no installation, by name."""


class Applications(Mapping[str, Open]):
    """What opens a dataset, by the name of the application; an installed one is imported then."""

    def __getitem__(self, name: str) -> Open:
        """Return the function that opens a dataset with the application of this name.

        Raises
        ------
        UnknownPlugin
            No built-in or installed application has this name.
        BrokenPlugin
            It cannot be imported.
        """
        return load(GROUP, name, BUILT_IN)

    def __iter__(self) -> Iterator[str]:
        """Return all names, sorted."""
        return iter(sorted({*BUILT_IN, *installed(GROUP)}))

    def __len__(self) -> int:
        """Return the number of applications."""
        return len({*BUILT_IN, *installed(GROUP)})
