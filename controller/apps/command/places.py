"""Where the files of a folder lie, as a small index says: a CSV file with a row for each file."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from controller.destinations import without_user
from controller.errors import ArchiveError
from controller.reach import reach
from planner.density import Density
from planner.extent import Extent, Floats, wrap_longitudes
from planner.model import Observations

COLUMNS = ("file", "date", "latitude", "longitude")
"""What an index needs; it may have more columns, in any order."""

INDEX_BYTES_MAX = 64 * 2**20
"""An index above this [bytes] is none of a folder of at most 100,000 files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """One time and place for each file, sorted by time; arrays have shape (n,).

    Parameters
    ----------
    paths : array of str
    time_s : array of float
        [POSIX s]
    longitude, latitude : array of float
        [degrees east in [-180, 180), degrees north]
    faults : tuple of str
        Rows that could not be used, in words.
    """

    paths: NDArray[np.object_]
    time_s: Floats
    longitude: Floats
    latitude: Floats
    faults: tuple[str, ...] = ()

    def inside(self, extent: Extent) -> frozenset[str]:
        """Return the paths of the files that lie in an extent."""
        return frozenset(self.paths[extent.contains(self.time_s, self.longitude, self.latitude)])

    def density(self, extent: Extent, sizes: Mapping[str, int]) -> Density:
        """Return the masses of those files that `sizes` [bytes] names and that lie in an extent."""
        wanted = np.array([path in sizes for path in self.paths], bool)
        wanted &= extent.contains(self.time_s, self.longitude, self.latitude)
        paths = self.paths[wanted]
        return Density(
            time_s=self.time_s[wanted],
            longitude=self.longitude[wanted],
            latitude=self.latitude[wanted],
            files=np.ones(len(paths)),
            size_bytes=np.array([sizes[path] for path in paths], np.float64),
        )

    def observations(self, paths: Collection[str], parameters: tuple[str, ...]) -> Observations:
        """Return where some files lie, each with all parameters of the dataset."""
        wanted = np.array([path in paths for path in self.paths], bool)
        return Observations(
            time_s=tuple(self.time_s[wanted].tolist()),
            longitude=tuple(self.longitude[wanted].tolist()),
            latitude=tuple(self.latitude[wanted].tolist()),
            parameter_set=(0,) * int(wanted.sum()),
            parameter_sets=(parameters,),
        )


def read_places(url: str, name: str, there: Collection[str]) -> Places:
    """Read the index of a folder.

    Parameters
    ----------
    url : str
        The folder.
    name : str
        The index's path below it.
    there : collection of str
        The paths of the files that the folder holds.

    Raises
    ------
    ArchiveError
        The index is not there, too large, no CSV file, or lacks a column.
    """
    try:
        filesystem, root = reach(url)
        with filesystem.open(f"{root.rstrip('/')}/{name}", "rb") as file:
            content = file.read(INDEX_BYTES_MAX + 1)
    except OSError as error:
        raise ArchiveError(
            f"index {name} of {without_user(url)} cannot be read: {error.strerror or error}",
            fix="Correct `index` of its dataset",
        ) from error
    if len(content) > INDEX_BYTES_MAX:
        raise ArchiveError(
            f"index {name} of {without_user(url)} has more than {INDEX_BYTES_MAX:,} bytes"
        )
    return parse_places(
        io.StringIO(content.decode("utf-8-sig", "replace"), newline=""), name, there
    )


def parse_places(lines: Iterable[str], name: str, there: Collection[str]) -> Places:
    """Read an index from its lines (see `read_places`)."""
    rows = csv.DictReader(lines)
    try:
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ArchiveError(
                f"index {name} lacks the column {missing[0]}",
                fix=f"Its first line must name {', '.join(COLUMNS)}",
            )
        placed, bad = _placed(rows, there)
    except csv.Error as error:
        raise ArchiveError(f"index {name} is no CSV file: {error}") from error
    return _places(placed, _faults(name, bad, len(there) - len(placed)))


def _placed(
    rows: Iterable[Mapping[str, str]], there: Collection[str]
) -> tuple[dict[str, tuple[float, float, float]], int]:
    """Return time, longitude and latitude by path, and how many rows could not be used."""
    found: dict[str, tuple[float, float, float]] = {}
    bad = 0
    for row in rows:
        try:
            place = _instant(row["date"]), float(row["longitude"]), float(row["latitude"])
        except (ValueError, TypeError):
            bad += 1
            continue
        if not (-90 <= place[2] <= 90 and np.isfinite(place[1])):
            bad += 1
        elif row["file"] in there:
            found[row["file"]] = place
    return found, bad


def _instant(date: str) -> float:
    """Return an ISO 8601 date or instant as POSIX seconds; without an offset it is UTC."""
    instant = datetime.fromisoformat(date)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


def _places(placed: Mapping[str, tuple[float, float, float]], faults: tuple[str, ...]) -> Places:
    paths = np.array(sorted(placed, key=lambda path: (placed[path][0], path)), object)
    table = np.array([placed[path] for path in paths], np.float64).reshape(-1, 3)
    return Places(
        paths=paths,
        time_s=table[:, 0],
        longitude=wrap_longitudes(table[:, 1]),
        latitude=table[:, 2],
        faults=faults,
    )


def _faults(name: str, bad: int, unplaced: int) -> tuple[str, ...]:
    counted = (
        (bad, "rows could not be read and are not used"),
        (unplaced, "files of the folder have no row and are not served"),
    )
    return tuple(f"index {name}: {count} {what}" for count, what in counted if count)
