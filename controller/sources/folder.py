"""A folder as a source of updates: its files, compared with those that were known before."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from controller.apps.command.application import CommandApplication, CommandDataset
from controller.apps.command.listing import Files, Listing, list_folder
from controller.apps.command.orders import Form, Join, Tool
from controller.apps.command.places import Places, read_places
from controller.config.commands import CommandSettings
from controller.destinations import without_user
from controller.errors import ArchiveError
from controller.ports import Dataset
from planner.events import UpdateArrived
from planner.model import Observations, UnitCosts

GONE_MAX, GONE_FRACTION_MAX = 10, 0.1
"""A folder that lost more files than these since the last look is taken for one that is away."""

NO_COSTS = UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=0.0)
"""What reading is held to cost besides the time of a part that the operator expects."""

NO_OBSERVATIONS = Observations(
    time_s=(), longitude=(), latitude=(), parameter_set=(), parameter_sets=()
)
"""The base state of a folder: nothing in it is new."""


def open_command(
    *,
    alias: str,
    identifier: str,
    archive: str,
    settings: CommandSettings,
    fragments_url: str,
    staging_url: str,
) -> Dataset:
    """Open a dataset that a command serves; lists its folder where the settings name its files.

    Parameters
    ----------
    alias, identifier : str
        See `controller.ports.Dataset`.
    archive : str
        Folder or URL; a folder may be named from where the service runs.
    settings : CommandSettings
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.

    Raises
    ------
    ArchiveError
        The folder or its index cannot be read.
    """
    # Commands run in folders of their own, where a relative path leads elsewhere.
    archive = archive if "://" in archive else str(Path(archive).absolute())
    parameters = tuple(sorted(set(settings.parameters)))
    source: FolderSource | UnlistedSource = UnlistedSource(identifier)
    if settings.files:
        source = FolderSource(
            archive,
            identifier,
            parameters=parameters,
            files=settings.files,
            index=settings.index or None,
        )
    dataset = CommandDataset(
        identifier=identifier,
        archive=archive,
        period=settings.period,
        parameters=parameters,
        options=settings.options,
        tool=_tool(settings),
        form=Form(
            join=Join(settings.join),
            header_lines=settings.header_lines,
            ending=settings.ending,
        ),
    )
    return Dataset(
        alias=alias,
        identifier=identifier,
        archive=archive,
        read_latency_s=0.0,
        costs=replace(NO_COSTS, base_s=settings.part_s),
        application=CommandApplication(
            dataset=dataset,
            fragments_url=fragments_url,
            staging_url=staging_url,
            listing=source.listing,
        ),
        source=source,
    )


def _tool(settings: CommandSettings) -> Tool:
    return Tool(
        command=settings.run,
        version_command=settings.version,
        environment=tuple(sorted(settings.environment.items())),
        limit_s=settings.limit_s,
        output_bytes_max=settings.output_bytes_max,
        memory_bytes_max=settings.memory_bytes_max,
        processes_max=settings.processes_max,
    )


class UnlistedSource:
    """A dataset of which nothing is known but that it is there: no update is ever seen.

    Parameters
    ----------
    dataset : str
        Persistent identifier.
    """

    listing = None

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known."""
        return UpdateArrived(
            at=time.time(), dataset=self._dataset, number=0, observations=NO_OBSERVATIONS
        )

    def look(self) -> UpdateArrived | None:
        """Return None: nothing tells of a change."""
        return None

    def faults(self) -> tuple[str, ...]:
        """Return none."""
        return ()


class FolderSource:
    """Follows the files of one folder and keeps the listing up with them.

    A file is new when its size or its time of change (or the store's tag) is another one, or when
    the index says for the first time where it lies. So files should be moved into the folder when
    they are whole; one whose name begins with a dot is not seen.

    Parameters
    ----------
    archive : str
        Folder or fsspec URL.
    dataset : str
        Persistent identifier that its updates are told under.
    parameters : tuple of str
        Of the dataset.
    files : str
        Pattern of the paths that count.
    index : str or None
        Path of the index below the folder, where there is one.

    Raises
    ------
    ArchiveError
        The folder or its index cannot be read.
    """

    def __init__(
        self,
        archive: str,
        dataset: str,
        *,
        parameters: tuple[str, ...],
        files: str,
        index: str | None = None,
    ) -> None:
        self._archive = archive
        self._dataset = dataset
        self._parameters = parameters
        self._pattern = files
        self._index = index
        there = self._list()
        places = self._places(there)
        self.listing = Listing(there, places)
        self._faults = places.faults if places else ()

    def faults(self) -> tuple[str, ...]:
        """Return in words which rows of the index could not be used, and which files it lacks."""
        return self._faults

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""
        return self._update(0, NO_OBSERVATIONS)

    def look(self) -> UpdateArrived | None:
        """List the folder again; return what changed as the next update, None if nothing did.

        A file that has gone is no update: there is nothing to deliver of it.

        Raises
        ------
        ArchiveError
            The folder cannot be read, or has lost very many files; what was known stands.
        """
        there = self._list()
        self._refuse_loss(there)
        places = self._places(there)
        self._faults = places.faults if places else ()
        changed = self.listing.changed(there, places)
        if not changed:
            self.listing.forget_missing(there, places)
            return None
        number = self.listing.apply(there, changed, places)
        return self._update(number, self._observations(changed, places))

    def _list(self) -> Files:
        there = list_folder(self._archive, self._pattern)
        there.pop(self._index or "", None)
        return there

    def _places(self, there: Files) -> Places | None:
        return read_places(self._archive, self._index, there) if self._index else None

    def _refuse_loss(self, there: Files) -> None:
        gone, known = self.listing.gone(there), len(self.listing)
        if gone > max(GONE_MAX, known * GONE_FRACTION_MAX) or (known and not there):
            raise ArchiveError(
                f"the folder {without_user(self._archive)} lost {gone} of {known} files at once",
                fix="It may be away: look again when it is whole",
            )

    def _observations(self, changed: tuple[str, ...], places: Places | None) -> Observations | None:
        """Return where the changed files lie; without an index they may concern everybody."""
        if places is None:
            return None
        return places.observations(frozenset(changed), self._parameters)

    def _update(self, number: int, observations: Observations | None) -> UpdateArrived:
        return UpdateArrived(
            at=time.time(), dataset=self._dataset, number=number, observations=observations
        )
