"""An Argo archive as a source of updates: its indexes, compared with what was known before."""

from __future__ import annotations

import gzip
import time
import zlib
from pathlib import Path
from typing import IO, cast

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import Archive, open_archive
from controller.apps.argo.catalogue import Catalogue, profile_indexes, read
from controller.apps.argo.changes import changes_between, observations
from controller.apps.argo.index import Index, read_index, rows_by_kind
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import Kind, together
from controller.errors import ArchiveError
from controller.ports import Dataset
from planner.events import UpdateArrived
from planner.model import Observations

REMOVED_MAX, REMOVED_FRACTION_MAX = 1000, 0.1
"""An index that lost more profiles than these since the last look is taken for half written."""

GZIP_MAGIC = b"\x1f\x8b"

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
) -> Dataset:
    """Open an Argo archive as a dataset; reads its indexes.

    Parameters
    ----------
    alias, identifier : str
        See `controller.ports.Dataset`.
    archive : ArchiveAddress
    fragments_url, staging_url : str
        Folders for what parts leave and for products not yet delivered.
    since : Path or None
        An older state of the index: the dataset begins from there, and what changed is an update.

    Raises
    ------
    ArchiveError
        There is no such archive, or its index cannot be read.
    """
    source = ArgoSource(open_archive(archive), identifier, since)
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

    def __init__(self, archive: Archive, dataset: str, since: Path | None = None) -> None:
        self._archive = archive
        self._dataset = dataset
        indexes = self._indexes()
        if since is not None:
            older = read_index_file(since)
            # An older state of one kind of profiles says nothing of the others: they stand as now.
            begun = rows_by_kind([older])
            indexes = [older, *(i for i in indexes if not begun.keys() & rows_by_kind([i]).keys())]
        self.catalogue = Catalogue.from_indexes(indexes)

    def base(self) -> UpdateArrived:
        """Return the event that makes the dataset known, before any update."""
        return self._update(0, NO_OBSERVATIONS)

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
        new = together(tuple(rows_by_kind(self._indexes()).values()))
        old = together(tuple(self.catalogue.current(kind) for kind in Kind))
        changes = changes_between(old, new)
        if not len(changes):
            return None
        if len(changes.removed) > max(REMOVED_MAX, len(old) * REMOVED_FRACTION_MAX):
            raise ArchiveError(
                f"the index lost {len(changes.removed)} of {len(old)} profiles at once",
                fix="It may be half written: look again when it is whole",
            )
        number = self.catalogue.newest + 1
        self.catalogue.apply(number, changes)
        return self._update(number, observations(changes))

    def _indexes(self) -> list[Index]:
        return [read(self._archive, name) for name in profile_indexes(self._archive)]

    def _update(self, number: int, changed: Observations) -> UpdateArrived:
        return UpdateArrived(
            at=time.time(), dataset=self._dataset, number=number, observations=changed
        )


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
