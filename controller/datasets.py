"""The datasets of the settings, each opened when somebody first wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.applications import Applications, Opening
from controller.config.settings import DatasetSettings, Settings
from controller.errors import ArchiveError
from controller.ports import Application, Dataset
from controller.sources.keeping import Memory
from controller.sources.reaching import NO_HURRY, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where data come from and go to in between.

    Parameters
    ----------
    archive : str or None
        Serves the first dataset whose settings name no archive.
    since : Path or None
        An older state of that archive's index to begin from.
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    sources : Path or None
        Folder in which each source keeps what it told, below its alias; None keeps nothing.
    known : mapping of str to int
        The last update of each dataset in the journal, by identifier: sources go on from there.
    limits : Limits
        How much a look of a source may take.
    """

    archive: str | None
    since: Path | None = None
    fragments_url: str
    staging_url: str
    sources: Path | None = None
    known: Mapping[str, int] = field(default_factory=dict)
    limits: Limits = NO_HURRY

    def memory(self, alias: str, identifier: str) -> Memory | None:
        """Return where the source of a dataset keeps what it told, if it does."""
        if self.sources is None:
            return None
        return Memory(folder=self.sources / alias, known=self.known.get(identifier))


class Datasets(Mapping[str, Dataset]):
    """Datasets by their identifier; iterates over those that are open.

    Parameters
    ----------
    settings : Settings
    places : Places

    Raises
    ------
    ArchiveError
        An archive is given, but every dataset names its own; or an older index without its archive.
    """

    def __init__(self, settings: Settings, places: Places) -> None:
        self._settings = settings
        self._places = places
        self._aliases = {each.identifier: alias for alias, each in settings.datasets.items()}
        self._open: dict[str, Dataset] = {}
        homeless = [a for a, each in settings.datasets.items() if not each.archive]
        self._given = homeless[0] if homeless and places.archive is not None else None
        if places.archive is not None and self._given is None:
            raise ArchiveError(
                f"no dataset of the settings is served from archive {places.archive}: each names"
                " an archive of its own",
                fix="Leave --archive out, or leave the archive of one dataset out",
            )
        if places.since is not None and self._given is None:
            raise ArchiveError(
                f"it is not said which archive {places.since} is an older index of",
                fix="Give --archive too, and leave the archive of that dataset out of the settings",
            )

    def identifiers(self) -> Mapping[str, str]:
        """Return the identifier of each dataset by its alias."""
        return {alias: each.identifier for alias, each in self._settings.datasets.items()}

    def refuse_unused_index(self) -> None:
        """Refuse an older index whose dataset nobody has opened: it would change nothing.

        Raises
        ------
        ArchiveError
        """
        given = self._settings.datasets[self._given].identifier if self._given else None
        if self._places.since is not None and given not in self._open:
            raise ArchiveError(
                f"no subscription is to dataset {self._given}, of which {self._places.since} is an"
                " older index",
                fix="Leave --since out, or name that dataset in a subscription",
            )

    def application(self, identifier: str) -> Application:
        """Return the application that serves a dataset; opens it.

        Raises
        ------
        ArchiveError
            There is no such archive, or it cannot be read.
        """
        return self[identifier].application

    def __getitem__(self, identifier: str) -> Dataset:
        """Return a dataset; opens it, which reads its index.

        Raises
        ------
        ArchiveError
            There is no such archive, or it cannot be read.
        """
        if identifier not in self._open:
            alias = self._aliases[identifier]
            self._open[identifier] = self._opened(alias, self._settings.datasets[alias])
        return self._open[identifier]

    def __iter__(self) -> Iterator[str]:
        """Return the identifiers of the datasets that are open, in the order of their opening."""
        return iter(self._open)

    def __len__(self) -> int:
        """Return how many datasets are open."""
        return len(self._open)

    def _opened(self, alias: str, said: DatasetSettings) -> Dataset:
        given = alias == self._given
        archive = self._places.archive if given else said.archive
        if not archive:
            raise ArchiveError(
                f"dataset {alias} has no archive",
                fix=f"Give --archive, or write datasets.{alias}.archive into the settings",
            )
        own_s, common_s = said.read_latency_s, self._settings.archive.read_latency_s
        return Applications()[said.application](
            Opening(
                alias=alias,
                settings=said,
                archive=_as_seen_elsewhere(archive),
                read_latency_s=common_s if own_s is None else own_s,
                fragments_url=self._places.fragments_url,
                staging_url=self._places.staging_url,
                since=self._places.since if given else None,
                memory=self._places.memory(alias, said.identifier),
                limits=self._places.limits,
            )
        )


def _as_seen_elsewhere(archive: str) -> str:
    """Return an archive's address so that it means the same in any process's working folder."""
    return archive if "://" in archive else str(Path(archive).expanduser().absolute())
