"""Reads a GDAC profile index by the names of its columns, a block of rows at a time.

Any of the archive's indexes will do (core, bio, synthetic, this week's), and any CSV with the
columns ``file,date,latitude,longitude``. What is wrong with single rows is counted and told; only
an index that lacks its columns is refused.

Theory: all that is needed of a row lies between commas, and all that is needed of a path between
slashes. So the places of these bytes are found for a whole block at once, and every step of reading
is one numpy operation on all its rows. 2.9 million rows take seconds, and never exist as strings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo import fields
from controller.apps.argo.paths import read_paths
from controller.apps.argo.rows import (
    COLUMNS,
    CORE_CODE,
    CORE_PARAMETERS,
    NO_POSITION,
    NO_TIME,
    TICKS_PER_DEGREE,
    Int64s,
    Kind,
    Mask,
    Rows,
    in_time_order,
    kind_codes,
    recode,
    together,
)
from controller.errors import ArchiveError

NEEDED = ("file", "date", "latitude", "longitude")
"""Columns without which an index is of no use; bio and synthetic ones need `parameters` too."""
OPTIONAL = ("date_update", "parameters")

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at once: large enough that numpy's calls cost nothing, small enough to stay in cache."""
LINE_BYTES_MAX = 64 * 1024
"""Longest line [bytes]; the GDAC's longest rows list 50 parameters in about 1,000 bytes."""
HEADER_LINES_MAX = 100
"""Lines looked through for the names of the columns; the GDAC's come after 8."""
LINES_MAX = 50_000_000
"""Lines of an index: 15 times the GDAC's, and what 2 GB of memory hold."""
DACS_MAX = 255
"""Distinct folders of data centres; the GDAC has 11."""
PARAMETER_SETS_MAX = 65_535
"""Distinct lists of parameters; the GDAC has some hundreds."""
EXAMPLES_TOLD_MAX = 5
"""Places named for each fault: enough to find the cause, few enough to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Rows of an index that cannot be used, for one reason.

    Parameters
    ----------
    index : str
        Name of the index file.
    rows : int
        How many there are [count].
    reason : str
    examples : tuple of str
        Where the first few of them are.
    """

    index: str
    rows: int
    reason: str
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in words."""
        noun = "row" if self.rows == 1 else "rows"
        more = ", ..." if self.rows > len(self.examples) else ""
        places = ", ".join(self.examples) + more
        return f"{self.index}: {self.reason} in {self.rows} {noun} ({places})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What an index file says: its rows, sorted by time, and what is wrong with others."""

    name: str
    rows: Rows
    faults: tuple[RowFault, ...]


def read_index(stream: IO[bytes], name: str) -> Index:
    """Read a profile index.

    Parameters
    ----------
    stream : binary file
        The unpacked index.
    name : str
        What to call it in errors and faults.

    Raises
    ------
    ArchiveError
        It lacks needed columns, or is no index at all.
    """
    header = _read_header(stream, name)
    reading = _Reading(name=name, header=header)
    for block, first_line in _blocks(stream, name, header.line + 1):
        reading.take(block, first_line)
        if first_line > LINES_MAX:
            raise ArchiveError(f"{name} has more than {LINES_MAX} lines")
    rows, repeated = _without_repeats(reading.rows())
    return Index(name=name, rows=rows, faults=reading.faults(repeated))


class _Header(NamedTuple):
    """The line that names the columns: their places, how many commas it has, its number."""

    columns: dict[str, int]
    commas: int
    line: int


def _read_header(stream: IO[bytes], name: str) -> _Header:
    for number in range(1, HEADER_LINES_MAX + 1):
        line = stream.readline(LINE_BYTES_MAX).translate(None, b"\0\r")
        text = line.decode("utf-8-sig", "replace").strip()
        if text and not text.startswith("#"):
            columns = {title.strip().lower(): place for place, title in enumerate(text.split(","))}
            _require(columns, NEEDED, name)
            return _Header(columns, text.count(","), number)
    raise ArchiveError(
        f"{name} is no profile index: no line names its columns",
        fix=f"It needs a line with the columns {', '.join(NEEDED)}",
    )


def _require(columns: dict[str, int], needed: tuple[str, ...], name: str) -> None:
    lacking = [title for title in needed if title not in columns]
    if lacking:
        raise ArchiveError(
            f"{name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}",
            fix=f"A profile index needs the columns {', '.join(needed)}, in any order",
        )


def _blocks(stream: IO[bytes], name: str, line: int) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines, without NUL padding and carriage returns, and the number of the first."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        head, newline, tail = chunk.rpartition(b"\n")
        if len(tail if newline else rest + tail) > LINE_BYTES_MAX:
            raise ArchiveError(
                f"{name} is no profile index: a line after line {line} is longer than "
                f"{LINE_BYTES_MAX} bytes"
            )
        if newline:
            block = rest + head + newline
            yield block.translate(None, b"\0\r"), line
            line += block.count(b"\n")
            rest = b""
        rest += tail
    if rest:
        yield rest.translate(None, b"\0\r") + b"\n", line


class _Field(NamedTuple):
    starts: Int64s
    ends: Int64s

    def of(self, rows: Mask) -> _Field:
        return _Field(self.starts[rows], self.ends[rows])


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One index while it is read: columns in pieces, and what was wrong so far."""

    name: str
    header: _Header
    pieces: dict[str, list[NDArray[Any]]] = field(
        default_factory=lambda: {name: [] for name in COLUMNS}
    )
    dacs: dict[bytes, int] = field(default_factory=dict)
    parameters: dict[bytes, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def take(self, block: bytes, first_line: int) -> None:
        """Read a block of whole lines."""
        text = fields.text_of(block)
        cut, lines = self._cut(text, len(block), first_line)
        files = read_paths(text, *cut["file"])
        self._note("no profile file named", lines[~files.read])
        cut = {title: places.of(files.read) for title, places in cut.items()}
        lines, files = lines[files.read], files.of(files.read)
        self._keep("profile", files.profile)
        self._keep("delayed", files.delayed)
        self._read_dac(block, text, cut["file"].starts, files.dac_ends)
        self._read_time(text, cut["date"], lines)
        self._read_position(text, cut, lines)
        self._read_date_update(text, cut.get("date_update"), len(lines))
        self._read_parameters(block, text, cut.get("parameters"), files.profile)

    def rows(self) -> Rows:
        """Return all that was read."""
        columns = {
            name: np.concatenate([np.empty(0, dtype), *self.pieces.pop(name)])
            for name, dtype in COLUMNS.items()
        }
        dacs = tuple(dac.decode("ascii", "replace") for dac in self.dacs)
        sets = tuple(_parameter_names(text) for text in self.parameters)
        return in_time_order(columns, dacs, sets)

    def faults(self, repeated: list[str]) -> tuple[RowFault, ...]:
        """Return what was wrong, with the files that are listed more than once."""
        self._note_examples("a profile listed before", len(repeated), repeated)
        return tuple(
            RowFault(
                index=self.name, rows=rows, reason=reason, examples=tuple(self.examples[reason])
            )
            for reason, rows in self.counts.items()
        )

    def _cut(self, text: fields.Text, size: int, first_line: int) -> tuple[dict[str, _Field], Any]:
        """Find the wanted fields of every row that has as many fields as the header."""
        line_ends = np.flatnonzero(text[:size] == ord("\n"))
        line_starts = np.concatenate([[0], line_ends[:-1] + 1])
        lines = first_line + np.arange(len(line_ends))
        commas = np.flatnonzero(text[:size] == ord(","))
        first = np.searchsorted(commas, line_starts)
        count = np.searchsorted(commas, line_ends) - first
        whole = count == self.header.commas
        self._note("wrong number of fields", lines[~whole & (line_ends > line_starts)])
        edges = np.concatenate([commas, line_ends])
        cut = {}
        for title in (*NEEDED, *OPTIONAL):
            place = self.header.columns.get(title)
            if place is None:
                continue
            starts, ends = line_starts, line_ends
            if place > 0:
                starts = edges[np.minimum(first + place - 1, len(edges) - 1)] + 1
            if place < self.header.commas:
                ends = edges[np.minimum(first + place, len(edges) - 1)]
            cut[title] = _Field(*fields.trimmed(text, starts[whole], ends[whole]))
        return cut, lines[whole]

    def _read_dac(self, block: bytes, text: fields.Text, starts: Int64s, ends: Int64s) -> None:
        codes = fields.codes_of(block, text, starts, ends, self.dacs)
        _refuse_more(self.name, self.dacs, DACS_MAX, "data centres")
        self._keep("dac", codes)

    def _read_time(self, text: fields.Text, date: _Field, lines: Int64s) -> None:
        digits, read = fields.stamps(text, *date)
        seconds, exists = fields.stamp_seconds(digits)
        dated = read & exists
        self._keep("time_s", np.where(dated, seconds, NO_TIME))
        self._note("no usable date", lines[~dated])

    def _read_position(self, text: fields.Text, cut: dict[str, _Field], lines: Int64s) -> None:
        latitude, north = fields.degrees_in_ticks(text, *cut["latitude"])
        longitude, east = fields.degrees_in_ticks(text, *cut["longitude"])
        pole, turn = 90 * TICKS_PER_DEGREE, 360 * TICKS_PER_DEGREE
        # -99.999 and -999.999 stand for unknown; longitudes may run from 0 to 360.
        placed = north & east & (abs(latitude) <= pole)
        placed &= (longitude >= -turn // 2) & (longitude <= turn)
        wrapped = np.where(longitude >= turn // 2, longitude - turn, longitude)
        self._keep("latitude_ticks", np.where(placed, latitude, NO_POSITION))
        self._keep("longitude_ticks", np.where(placed, wrapped, NO_POSITION))
        self._note("no usable position", lines[~placed])

    def _read_date_update(self, text: fields.Text, stamp: _Field | None, rows: int) -> None:
        if stamp is None:
            self._keep("date_update", np.zeros(rows, np.int64))
            return
        digits, read = fields.stamps(text, *stamp)
        read &= fields.stamp_seconds(digits)[1]
        self._keep("date_update", np.where(read, fields.stamp_numbers(digits), 0))

    def _read_parameters(
        self, block: bytes, text: fields.Text, names: _Field | None, profile: Int64s
    ) -> None:
        if names is None:
            if bool(np.any(kind_codes(profile) != CORE_CODE)):
                _require(self.header.columns, (*NEEDED, "parameters"), self.name)
            self.parameters.setdefault(" ".join(CORE_PARAMETERS).encode(), 0)
            self._keep("parameter_set", np.zeros(len(profile), np.int64))
            return
        codes = fields.codes_of(block, text, *names, self.parameters)
        _refuse_more(self.name, self.parameters, PARAMETER_SETS_MAX, "lists of parameters")
        self._keep("parameter_set", codes)

    def _keep(self, column: str, values: NDArray[Any]) -> None:
        self.pieces[column].append(values.astype(COLUMNS[column]))

    def _note(self, reason: str, lines: Int64s) -> None:
        first = [f"line {line}" for line in lines[:EXAMPLES_TOLD_MAX].tolist()]
        self._note_examples(reason, len(lines), first)

    def _note_examples(self, reason: str, rows: int, examples: list[str]) -> None:
        if rows:
            self.counts[reason] += rows
            told = self.examples.setdefault(reason, [])
            told += examples[: EXAMPLES_TOLD_MAX - len(told)]


def _refuse_more(name: str, known: dict[bytes, int], most: int, what: str) -> None:
    if len(known) > most:
        raise ArchiveError(f"{name} is no profile index: it has more than {most} {what}")


def _parameter_names(text: bytes) -> tuple[str, ...]:
    return tuple(sorted(set(text.decode("ascii", "replace").split())))


def rows_by_kind(indexes: Iterable[Index]) -> dict[Kind, Rows]:
    """Return the rows of several indexes, apart by kind; each profile once."""
    tables: dict[Kind, list[Rows]] = {}
    for index in indexes:
        for kind, rows in index.rows.by_kind().items():
            tables.setdefault(kind, []).append(rows)
    return {kind: _without_repeats(together(found))[0] for kind, found in tables.items()}


def _without_repeats(rows: Rows) -> tuple[Rows, list[str]]:
    """Return each profile once: as its delayed-mode file, else as it was updated last.

    All columns take part, so that the order of an index never decides.
    """
    ordered = np.sort(rows.profile)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return rows, []
    places = np.flatnonzero(np.isin(rows.profile, repeated))
    preference = (
        recode(rows.parameter_set, rows.parameter_sets, sorted(rows.parameter_sets)),
        recode(rows.dac, rows.dacs, sorted(rows.dacs)),
        rows.longitude_ticks,
        rows.latitude_ticks,
        rows.time_s,
        rows.date_update,
        rows.delayed,
        rows.profile,
    )
    places = places[np.lexsort([column[places] for column in preference])]
    again = places[:-1][rows.profile[places][:-1] == rows.profile[places][1:]]
    kept = np.ones(len(rows), np.bool_)
    kept[again] = False
    return rows.taken(kept), [file.path for file in rows.source_files(again)]
