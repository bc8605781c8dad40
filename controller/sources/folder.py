"""A folder as a source of updates: its files, compared with those that were known before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.apps.command.application import CommandApplication, CommandDataset
from controller.apps.command.listing import Files, Listing, ListingState, list_folder, listed_file
from controller.apps.command.orders import Form, Join, ListedFile, Tool
from controller.apps.command.places import Places, read_places
from controller.clock import now
from controller.config.commands import CommandSettings
from controller.destinations import without_user
from controller.errors import ArchiveError
from controller.ports import Dataset
from controller.sources.folder_state import FolderState
from controller.sources.keeping import Memory
from controller.sources.reaching import NO_HURRY, Limits, Reaching
from controller.sources.settling import Settling
from controller.sources.unlisted import NOTHING, UnlistedSource
from planner.events import UpdateArrived
from planner.model import Observations, UnitCosts

GONE_MAX, GONE_FRACTION_MAX = 10, 0.1
"""A folder that lost more files than these since the last look is taken for one that is away."""

NO_COSTS = UnitCosts(base_s=0.0, file_s=0.0, megabyte_s=0.0, value_s=0.0)
"""What reading is held to cost besides the time of a part that the operator expects."""


def open_command(
    *,
    alias: str,
    identifier: str,
    archive: str,
    settings: CommandSettings,
    fragments_url: str,
    staging_url: str,
    memory: Memory | None = None,
    limits: Limits = NO_HURRY,
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
    memory : Memory or None
        Where the source keeps what it told, to come back with it; None forgets it at the end.
    limits : Limits
        How long files must rest in a folder that is followed for long, with a memory.

    Raises
    ------
    ArchiveError
        The folder or its index cannot be read.
    StorageError
        What was kept cannot be read, or nothing can be kept.
    """
    # Commands run in folders of their own, where a relative path leads elsewhere.
    archive = archive if "://" in archive else str(Path(archive).absolute())
    parameters = tuple(sorted(set(settings.parameters)))
    source = _source(archive, identifier, settings, memory, limits)
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


def _source(
    archive: str,
    identifier: str,
    settings: CommandSettings,
    memory: Memory | None,
    limits: Limits,
) -> FolderSource | UnlistedSource:
    """Return what follows a dataset: its folder, or announcements where no files are named."""
    if not settings.files:
        return UnlistedSource(identifier, memory)
    return FolderSource(
        archive,
        identifier,
        parameters=tuple(sorted(set(settings.parameters))),
        files=settings.files,
        index=settings.index or None,
        memory=memory,
        settle_s=limits.settle_s if memory else 0.0,
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
    memory : Memory or None
        Where to keep what was told. A folder that is followed so is one that others write to: it
        is looked at for months, and no link in it is followed.
    settle_s : float
        A file is taken when it was the same for so long [s].
    clock : callable
        Returns seconds that never go back.

    Raises
    ------
    ArchiveError
        The folder or its index cannot be read; not asked for where a state was kept.
    StorageError
        What was kept cannot be read, is lost, or nothing can be kept.
    """

    def __init__(
        self,
        archive: str,
        dataset: str,
        *,
        parameters: tuple[str, ...],
        files: str,
        index: str | None = None,
        memory: Memory | None = None,
        settle_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._dataset = dataset
        self._parameters = parameters
        self._pattern = files
        self._index = index
        self._state = None if memory is None else FolderState(memory, dataset)
        self._settling = Settling(settle_s, clock)
        self._settle_s = settle_s
        self._known_index: ListedFile | None = None
        self._warnings: tuple[str, ...] = ()
        self.listing = self._restored(memory) or self._begun()

    def faults(self) -> tuple[str, ...]:
        """Return in words which rows of the index could not be used, and which files it lacks."""
        places = self.listing.state.places
        return (*self._warnings, *(places.faults if places else ()))

    @property
    def again_s(self) -> float | None:
        """In how many seconds files will have rested that were held back; None if none was."""
        return self._settle_s if self._settling.waits else None

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""
        return self._update(0, NOTHING)

    def look(self) -> UpdateArrived | None:
        """List the folder again; return what changed as the next update, None if nothing did.

        A file that has gone is no update: there is nothing to deliver of it.

        Raises
        ------
        ArchiveError
            The folder cannot be read, or has lost very many files; what was known stands.
        """
        there = self._rested()
        if there is None:
            return None
        self._refuse_loss(there)
        places = self._places(there)
        changed = self.listing.changed(there, places)
        state = self.listing.after(there, changed, places)
        if self._state is not None and not same(state, self.listing.state):
            self._state.keep(state)
        self.listing.take_in(state)
        if not changed:
            return None
        return self._update(state.newest, self._observations(changed, places))

    def _rested(self) -> Files | None:
        """Return the files that count now; None while the index is being written."""
        there, known = self._list(), self.listing.state.files
        if self._index is None or not self._settle_s:
            return self._settling.rested(known, there)
        with self._reading_index():
            index = listed_file(self._archive, self._index)
        known = {**known, **({self._index: self._known_index} if self._known_index else {})}
        rested = self._settling.rested(known, {**there, self._index: index})
        if rested.pop(self._index, None) != index:
            return None
        self._known_index = index
        return rested

    def _restored(self, memory: Memory | None) -> Listing | None:
        if self._state is None or memory is None or memory.known is None:
            return None
        found = self._state.restore()
        if found is None:
            raise memory.lost(self._dataset)
        state, warning = found
        self._warnings = (warning,) if warning else ()
        return Listing(state.files, state=state)

    def _begun(self) -> Listing:
        there = self._list()
        listing = Listing(there, self._places(there))
        if self._state is not None:
            self._state.begin(listing.state)
        return listing

    def _list(self) -> Files:
        with Reaching(f"the folder {without_user(self._archive)}"):
            there = list_folder(self._archive, self._pattern, links=self._state is None)
        there.pop(self._index or "", None)
        return there

    def _places(self, there: Files) -> Places | None:
        if not self._index:
            return None
        with self._reading_index():
            return read_places(self._archive, self._index, there)

    def _reading_index(self) -> Reaching:
        return Reaching(f"index {self._index} of {without_user(self._archive)}")

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
            at=now(), dataset=self._dataset, number=number, observations=observations
        )


def same(state: ListingState, other: ListingState) -> bool:
    """Tell whether two states say the same."""
    if (state.newest, state.files) != (other.newest, other.files):
        return False
    if state.places is None or other.places is None:
        return state.places is other.places
    columns = ("paths", "time_s", "longitude", "latitude")
    return state.places.faults == other.places.faults and all(
        np.array_equal(getattr(state.places, name), getattr(other.places, name)) for name in columns
    )
