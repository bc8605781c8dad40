"""YAML that a person wrote, as plain values, with the line of each: so that faults can point at it.

Scalars stay text as written; what reads them knows whether 007 is a name or a number, that NO is a
parameter and not a refusal, and that 12:30 is not 750. No tag is honoured, so nothing is ever
constructed, and aliases are refused, so a short file cannot unfold into a huge one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controller.errors import FileFault

BYTES_MAX = 16 * 2**20
"""A file above this [bytes] is not one that a person wrote: some 100,000 subscriptions."""

DEPTH_MAX = 16
"""Nested deeper than this [levels] is no file of ours; it bounds the recursion of the reader."""

Where = tuple[str | int, ...]
"""The way to a value: keys and list positions from the top."""

Value = str | None | list["Value"] | dict[str, "Value"]

EMPTY_WORDS = frozenset(("", "~", "null", "Null", "NULL"))
"""What YAML reads as no value."""

# libyaml's parser is 18 times faster, but not in every build of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong on a line (counted from 1), or else with a variable of the environment."""

    line: int
    what: str
    variable: str = ""

    def __str__(self) -> str:
        """Return ``line 7: what``, or the variable in the place of the line."""
        return f"{self.variable or f'line {self.line}'}: {self.what}"

    @property
    def order(self) -> tuple[str, int, str]:
        """What faults are told in the order of: those of the file first, by their lines."""
        return self.variable, self.line, self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A YAML file as plain values, and where they stand.

    Parameters
    ----------
    path : str
    value : Value
        Text, None for an empty value, lists and dicts.
    lines : mapping of Where to int
        The line of each key and list item, from 1.
    faults : tuple of Fault
        What is wrong with the YAML itself though it could be read (a key given twice).
    variables : mapping of Where to str
        The variable of the environment that said what the file does not.
    """

    path: str
    value: Value
    lines: Mapping[Where, int]
    faults: tuple[Fault, ...] = ()
    variables: Mapping[Where, str] = field(default_factory=dict)

    def line(self, where: Where) -> int:
        """Return the line of a value, or of the nearest one around it that is written."""
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]

    def fault(self, where: Where, what: str) -> Fault:
        """Return what is wrong with a value, at its line or its variable."""
        while where not in self.lines and where not in self.variables:
            where = where[:-1]
        variable = self.variables.get(where, "")
        return Fault(0 if variable else self.lines[where], what, variable)

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Raise all faults together, in the order of their lines; do nothing without any.

        Raises
        ------
        FileFault
        """
        found = sorted({*self.faults, *faults}, key=lambda fault: fault.order)
        if not found:
            return
        places = {"the environment" if fault.variable else self.path for fault in found}
        # The file's path first.
        told = " and ".join(sorted(places, key=lambda place: place != self.path))
        raise FileFault(told, [str(fault) for fault in found])


def read_document(path: str | Path) -> Document:
    """Read one YAML file.

    Raises
    ------
    FileFault
        It cannot be read, is too large or is no YAML; nothing further can be said of it.
    """
    text = _text_of(Path(path))
    try:
        return _Builder(str(path), yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise FileFault(str(path), [f"line {line}: no valid YAML: {error.problem}"]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise FileFault(str(path), [f"line {line}: no valid YAML: {error.reason}"]) from error


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise FileFault(str(path), [f"cannot be read: {error.strerror}"]) from error
    if len(content) > BYTES_MAX:
        raise FileFault(str(path), [f"is larger than {BYTES_MAX // 2**20} MiB"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileFault(str(path), [f"line {line}: is not UTF-8: {error.reason}"]) from error


@dataclass(slots=True)
class _Builder:
    """Builds the values from the parser's events."""

    path: str
    events: Iterator[Any]
    lines: dict[Where, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def document(self) -> Document:
        """Return the file's one document; an empty file holds None."""
        next(self.events)  # the start of the stream
        value: Value = None
        self.lines[()] = 1
        if isinstance(next(self.events), yaml.DocumentStartEvent):
            value = self._value(next(self.events), ())
            next(self.events)
            if isinstance(again := next(self.events), yaml.DocumentStartEvent):
                self._stop(again, "a second document begins here; one a file is read")
        return Document(path=self.path, value=value, lines=self.lines, faults=tuple(self.faults))

    def _value(self, event: Any, where: Where) -> Value:
        self.lines.setdefault(where, event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent):
            self._stop(event, f"aliases (*{event.anchor}) are not read; write the value out")
        if event.tag is not None and event.tag != "!":
            self._fault(event, f"tags ({event.tag}) are not read; write the value alone")
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.implicit[0]
            return None if is_plain and event.value in EMPTY_WORDS else str(event.value)
        if len(where) >= DEPTH_MAX:
            self._stop(event, f"is nested deeper than {DEPTH_MAX} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(where)
        return self._mapping(where)

    def _sequence(self, where: Where) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*where, len(items))))
        return items

    def _mapping(self, where: Where) -> dict[str, Value]:
        values: dict[str, Value] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(event, "a key must be a word")
            key = str(event.value)
            if key in values:
                first = self.lines[(*where, key)]
                self._fault(event, f"{key!r} is given a second time (first on line {first})")
            self.lines.setdefault((*where, key), event.start_mark.line + 1)
            values[key] = self._value(next(self.events), (*where, key))
        return values

    def _fault(self, event: Any, what: str) -> None:
        self.faults.append(Fault(event.start_mark.line + 1, what))

    def _stop(self, event: Any, what: str) -> None:
        raise FileFault(
            self.path,
            [*map(str, self.faults), f"line {event.start_mark.line + 1}: {what}"],
        )
