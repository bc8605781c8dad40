"""An Argo archive as a source of updates: its indexes, compared with what was known before."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import Archive, open_archive
from controller.apps.argo.catalogue import BASE_UPDATE, Catalogue, profile_indexes, read
from controller.apps.argo.changes import Changes, changes_between, observations
from controller.apps.argo.index import Index, read_index, rows_by_kind
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind, together
from controller.clock import now
from controller.errors import ArchiveError
from controller.ports import Dataset
from controller.sources.argo_state import ArgoState
from controller.sources.indexes import GZIP_MAGIC, IndexFeed
from controller.sources.keeping import Memory
from controller.sources.reaching import NO_HURRY, Limits, Unsettled
from planner.events import UpdateArrived
from planner.model import Observations

REMOVED_MAX, REMOVED_FRACTION_MAX = 1000, 0.1
"""An index that lost more profiles than these since the last look is taken for half written."""

NO_OBSERVATIONS = Observations(
    time_s=(), longitude=(), latitude=(), parameter_set=(), parameter_sets=()
)
"""The base state of an archive: nothing in it is new."""


def open_argo(
    *,
    alias: str,
    identifier: str,
    archive: ArchiveAddress,
    fragments_url: str,
    staging_url: str,
    since: Path | None = None,
    memory: Memory | None = None,
    limits: Limits = NO_HURRY,
) -> Dataset:
    """Open an Argo archive as a dataset; reads its indexes, or the state that was kept.

    Parameters
    ----------
    alias, identifier : str
        See `controller.ports.Dataset`.
    archive : ArchiveAddress
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    since : Path or None
        An older state of the index: the dataset begins from there, and what changed is an update.
    memory : Memory or None
        Where the source keeps what it told, to come back with it; None forgets it at the end.
    limits : Limits
        How much a look may take at an archive that is followed for long, with a memory.

    Raises
    ------
    ArchiveError
        There is no such archive, or its index cannot be read.
    StorageError
        What was kept cannot be read, or nothing can be kept.
    """
    reached = open_archive(archive)
    source: ArgoSource | FollowedArgo
    if memory is None:
        source = ArgoSource(reached, identifier, since)
    else:
        source = FollowedArgo(reached, identifier, memory, since=since, limits=limits)
    application = ArgoApplication(
        dataset=identifier,
        archive=archive,
        fragments_url=fragments_url,
        staging_url=staging_url,
        catalogue=source.catalogue,
    )
    return Dataset(
        alias=alias,
        identifier=identifier,
        archive=archive.url,
        read_latency_s=archive.read_latency_s,
        application=application,
        source=source,
    )


class ArgoSource:
    """Follows the indexes of one archive and keeps the catalogue up with them.

    Parameters
    ----------
    archive : Archive
    dataset : str
        Persistent identifier that its updates are told under.
    since : Path or None
        An older state of the index to begin from; None begins from what the archive says now.

    Raises
    ------
    ArchiveError
        There is no index, or it cannot be read.
    """

    again_s = None

    def __init__(self, archive: Archive, dataset: str, since: Path | None = None) -> None:
        self._archive = archive
        self._dataset = dataset
        self.catalogue = Catalogue.from_indexes(begun_from(self._indexes(), since))

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""
        return update_of(self._dataset, BASE_UPDATE, NO_OBSERVATIONS)

    def faults(self) -> tuple[str, ...]:
        """Return in words which rows of the indexes could not be used."""
        return tuple(map(str, self.catalogue.faults))

    def look(self) -> UpdateArrived | None:
        """Read the indexes again; return what changed as the next update, None if nothing did.

        Raises
        ------
        ArchiveError
            An index cannot be read; what was known stands.
        """
        changes = changed(self.catalogue, self._indexes())
        if not len(changes):
            return None
        number = self.catalogue.newest + 1
        self.catalogue.apply(number, changes)
        return update_of(self._dataset, number, observations(changes))

    def _indexes(self) -> list[Index]:
        return [read(self._archive, name) for name in profile_indexes(self._archive)]


class FollowedArgo:
    """Follows the indexes of one archive for months, and comes back where it was.

    An update is kept before it is told. Indexes that are what they were cost a small request each.

    Parameters
    ----------
    archive : Archive
    dataset : str
        Persistent identifier that its updates are told under.
    memory : Memory
    since : Path or None
        An older state of the index to begin from, where nothing was kept.
    limits : Limits

    Raises
    ------
    ArchiveError
        There is no index, or it cannot be read; not asked for where a state was kept.
    StorageError
        What was kept cannot be read, is lost, or nothing can be kept.
    """

    def __init__(
        self,
        archive: Archive,
        dataset: str,
        memory: Memory,
        *,
        since: Path | None = None,
        limits: Limits,
    ) -> None:
        self.again_s: float | None = None
        self._dataset = dataset
        self._settle_s = limits.settle_s
        self._feed = IndexFeed(archive, limits, memory)
        self._state = ArgoState(memory, dataset)
        self._warnings: tuple[str, ...] = ()
        self._seen: Mapping[str, str] = {}
        at_once = IndexFeed(archive, replace(limits, settle_s=0.0), memory)
        self.catalogue = self._restored(memory) or self._begun(memory, at_once, since)

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""
        return update_of(self._dataset, BASE_UPDATE, NO_OBSERVATIONS)

    def faults(self) -> tuple[str, ...]:
        """Return in words which rows of the indexes could not be used, and what was lost."""
        return (*self._warnings, *map(str, self.catalogue.faults))

    def look(self) -> UpdateArrived | None:
        """Read the indexes if they are others; return what changed as the next update.

        Raises
        ------
        ArchiveError
            An index cannot be read whole; what was known stands.
        StorageError
            The update cannot be kept, so that it is not told; what was known stands.
        """
        self.again_s = None
        try:
            news = self._feed.news(self._seen)
        except Unsettled:
            self.again_s = self._settle_s
            return None
        if news is None:
            return None
        self._state.tidy(self.catalogue)
        changes = changed(self.catalogue, news.indexes)
        faults = tuple(fault for index in news.indexes for fault in index.faults)
        number = self.catalogue.newest + bool(len(changes))
        # Nothing may fail once the update is kept. The stamps hold with its number only.
        self._state.saw(number, dict(news.stamps))
        if len(changes):
            self._state.add(number, changes, faults)
            self.catalogue.apply(number, changes)
        self.catalogue.faults = faults
        self._seen = news.stamps
        return update_of(self._dataset, number, observations(changes)) if len(changes) else None

    def _restored(self, memory: Memory) -> Catalogue | None:
        found = None if memory.known is None else self._state.restore()
        if found is None:
            return None
        catalogue, warning = found
        self._warnings = (warning,) if warning else ()
        self._seen = self._state.seen(catalogue.newest)
        return catalogue

    def _begun(self, memory: Memory, feed: IndexFeed, since: Path | None) -> Catalogue:
        if memory.known is not None and since is None:
            raise memory.lost(self._dataset)
        # To wait until it rests is not worth it: what is still missing is the next update.
        news = feed.read()
        begun = Catalogue.from_indexes(begun_from(news.indexes, since))
        catalogue = Catalogue.from_histories(begun.histories(), memory.known or 0, begun.faults)
        self._state.begin(catalogue)
        if since is None:
            self._state.saw(catalogue.newest, dict(news.stamps))
            self._seen = news.stamps
        return catalogue


def update_of(dataset: str, number: int, changed: Observations) -> UpdateArrived:
    """Return an update that arrives now."""
    return UpdateArrived(at=now(), dataset=dataset, number=number, observations=changed)


def begun_from(indexes: Sequence[Index], since: Path | None) -> list[Index]:
    """Return the indexes to begin with: those of now, or an older one in the place of its kind.

    Raises
    ------
    ArchiveError
        The older one cannot be read.
    """
    if since is None:
        return list(indexes)
    older = read_index_file(since)
    # An older state of one kind of profiles says nothing of the others: they stand as now.
    begun = rows_by_kind([older])
    return [older, *(i for i in indexes if not begun.keys() & rows_by_kind([i]).keys())]


def changed(catalogue: Catalogue, indexes: Iterable[Index]) -> Changes:
    """Return what makes the indexes of what a catalogue holds now.

    Raises
    ------
    ArchiveError
        Very much is listed no more: the index may be half written, or being replaced.
    """
    now = rows_by_kind(indexes)
    before = {kind: catalogue.current(kind) for kind in Kind}
    for kind, rows in before.items():
        if len(rows) and kind not in now:
            raise ArchiveError(
                f"the archive lists no {kind} profiles any more",
                fix="Their index may be being replaced: look again when it is there",
                retry=True,
            )
    new, old = together(tuple(now.values())), together(tuple(before.values()))
    changes = changes_between(old, new)
    if len(changes.removed) > max(REMOVED_MAX, len(old) * REMOVED_FRACTION_MAX):
        raise ArchiveError(
            f"the index lost {len(changes.removed)} of {len(old)} profiles at once",
            fix="It may be half written: look again when it is whole",
        )
    return changes


def read_index_file(path: Path) -> Index:
    """Read an index that a person kept, packed or not.

    Raises
    ------
    ArchiveError
        It cannot be read, or is no profile index.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not packed:
                return read_index(file, path.name)
            with gzip.open(file) as unpacked:
                return read_index(cast("IO[bytes]", unpacked), path.name)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArchiveError(
            f"index {path} cannot be read: {reason}",
            fix="Give a profile index that was kept, plain or packed by gzip",
        ) from error
