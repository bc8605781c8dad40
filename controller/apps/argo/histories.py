"""Rows of an index with the updates between which each of them stood, and how they are kept.

Kept as plain numpy columns in one file that nothing packs: of all of Argo 115 MB, which a disk
takes in a second. Each column has a checksum, and nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.index import RowFault
from controller.apps.argo.rows import COLUMNS, Int32s, Int64s, Rows, in_time_order, together
from controller.errors import StorageError

NEVER = np.iinfo(np.int32).max
"""Of a row that no update has superseded."""

FORMAT = 1
"""Grows when a reader of older files would misunderstand a new one."""

_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Rows of an index, each with the updates between which it stood.

    Parameters
    ----------
    rows : Rows
    since : array of int32, shape (n,)
        The update that brought each row.
    until : array of int32, shape (n,)
        The update that superseded it; `NEVER` where none has.
    """

    rows: Rows
    since: Int32s
    until: Int32s

    def as_of(self, update_number: int) -> History:
        """Return what was known when this update was the last."""
        if not len(self.since) or max(self.since.max(), _last(self.until)) <= update_number:
            return self
        came = self.since <= update_number
        until = self.until[came]
        until[until > update_number] = NEVER
        return History(rows=self.rows.taken(came), since=self.since[came], until=until)


def one_history(histories: Sequence[History]) -> History:
    """Return several histories as one; there must be one at least."""
    if len(histories) == 1:
        return histories[0]
    # `together` sorts so too, and stably.
    order = np.argsort(np.concatenate([h.rows.time_s for h in histories]), kind="stable")
    return History(
        rows=together([history.rows for history in histories]),
        since=np.concatenate([history.since for history in histories])[order],
        until=np.concatenate([history.until for history in histories])[order],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """What a file holds: a whole state of a catalogue, or what one update changed.

    Parameters
    ----------
    histories : tuple of History
    outdated : array of int64
        `profile_keys` of those rows of earlier files that count no more.
    faults : tuple of RowFault
        What was wrong with rows of the indexes.
    """

    histories: tuple[History, ...]
    outdated: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    faults: tuple[RowFault, ...] = ()


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    """What the codes of a table mean."""

    dacs: tuple[str, ...]
    parameter_sets: tuple[tuple[str, ...], ...]


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says beside its columns."""

    format: int
    tables: tuple[_Table, ...]
    faults: tuple[RowFault, ...]


def write_kept(file: IO[bytes], kept: Kept) -> None:
    """Write rows into an open file."""
    tables = tuple(
        _Table(dacs=each.rows.dacs, parameter_sets=each.rows.parameter_sets)
        for each in kept.histories
    )
    told = msgspec.json.encode(_Told(format=FORMAT, tables=tables, faults=kept.faults))
    columns: dict[str, NDArray[Any]] = {"told": np.frombuffer(told, np.uint8)}
    columns["outdated"] = kept.outdated
    for number, history in enumerate(kept.histories):
        columns |= {f"{number}.{name}": getattr(history.rows, name) for name in COLUMNS}
        gone = np.flatnonzero(history.until != NEVER).astype(np.int32)
        columns[f"{number}.gone"], columns[f"{number}.until"] = gone, history.until[gone]
        columns[f"{number}.since"] = _unless_one(history.since)
    np.savez(file, allow_pickle=False, **columns)


def read_kept(file: IO[bytes], name: str) -> Kept:
    """Read what `write_kept` wrote.

    Parameters
    ----------
    file : binary file
    name : str
        What to call it in errors.

    Raises
    ------
    StorageError
        It is torn or damaged, or was written by a newer version.
    """
    try:
        with np.load(file, allow_pickle=False) as columns:
            told = msgspec.json.decode(columns["told"].tobytes(), type=_Told)
            if told.format > FORMAT:
                raise StorageError(
                    f"{name} has format {told.format}, newer than this version knows",
                    fix="Use the version that wrote it",
                    retry=False,
                )
            return Kept(
                histories=tuple(_history(columns, *each) for each in enumerate(told.tables)),
                outdated=columns["outdated"].astype(np.int64),
                faults=told.faults,
            )
    except _UNREADABLE as error:
        raise StorageError(
            f"{name} is damaged: {error}",
            fix="Restore the folder of the source from a backup",
            retry=False,
        ) from error


def _history(columns: Any, number: int, table: _Table) -> History:
    taken = {
        name: columns[f"{number}.{name}"].astype(dtype, copy=False)
        for name, dtype in COLUMNS.items()
    }
    rows = in_time_order(taken, table.dacs, table.parameter_sets)
    until = np.full(len(rows), NEVER, np.int32)
    until[columns[f"{number}.gone"]] = columns[f"{number}.until"]
    since = np.broadcast_to(columns[f"{number}.since"], len(rows)).astype(np.int32)
    return History(rows=rows, since=since, until=until)


def _unless_one(since: Int32s) -> Int32s:
    """Return the update of each row, or only one where all have the same."""
    return since[:1] if len(since) and since.min() == since.max() else since


def _last(until: Int32s) -> int:
    """Return the last update that superseded a row, 0 if none did."""
    return int(until[until != NEVER].max(initial=0))
