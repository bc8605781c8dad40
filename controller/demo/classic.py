"""Writes NetCDF classic files, far faster than a library that opens each one as a dataset.

A `Layout` lays a file out once; then a file is its header followed by the bytes of its values. The
format is that of the NetCDF Users' Guide, appendix "Classic Format": big-endian, names and values
padded to four bytes. Only what profile files need: no record dimension, no file above 2 GB.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_ABSENT = bytes(8)
_TYPES = {"S1": 2, ">i4": 4, ">f4": 5, ">f8": 6}

Attributes = Mapping[str, str | np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable as a file's header declares it.

    Parameters
    ----------
    name : str
    dtype : str
        "S1", ">i4", ">f4" or ">f8".
    dimensions : tuple of str
    attributes : mapping
        Text, or numpy scalars of one of these types.
    fill : str or float
        The value of what is not given.
    """

    name: str
    dtype: str
    dimensions: tuple[str, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    fill: str | float = " "


class Layout:
    """Where everything stands in files of one shape.

    Parameters
    ----------
    dimensions : mapping of str to int
    attributes : mapping of str to str
    variables : sequence of Variable
    """

    def __init__(
        self, dimensions: Mapping[str, int], attributes: Attributes, variables: Sequence[Variable]
    ) -> None:
        self.shapes = {v.name: tuple(dimensions[d] for d in v.dimensions) for v in variables}
        self._dtypes = {v.name: v.dtype for v in variables}
        self._empty = {
            v.name: _padded(np.full(self.shapes[v.name], v.fill, v.dtype).tobytes())
            for v in variables
        }
        self._header = self._declared(dimensions, attributes, variables)

    def file(self, values: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file with these values; what is not given is filled.

        Parameters
        ----------
        values : mapping of str to array
            Broadcast to the variable's shape.
        """
        assert values.keys() <= self.shapes.keys(), values.keys() - self.shapes.keys()
        given = {name: self._bytes_of(name, value) for name, value in values.items()}
        return b"".join((self._header, *(self._empty | given).values()))

    def _bytes_of(self, name: str, value: NDArray[Any]) -> bytes:
        array = np.asarray(value, self._dtypes[name])
        shape = self.shapes[name]
        whole = array if array.shape == shape else np.broadcast_to(array, shape)
        return _padded(whole.tobytes())

    def _declared(
        self, dimensions: Mapping[str, int], attributes: Attributes, variables: Sequence[Variable]
    ) -> bytes:
        """Return the header; its length is known before the places of the variables are."""
        places = dict.fromkeys(self.shapes, 0)
        for _ in range(2):
            header = b"".join(
                (
                    b"CDF\x01" + _int(0),
                    _list(_DIMENSION, [_name(n) + _int(size) for n, size in dimensions.items()]),
                    _list(_ATTRIBUTE, [_attribute(*item) for item in attributes.items()]),
                    _list(
                        _VARIABLE,
                        [self._variable(v, list(dimensions), places[v.name]) for v in variables],
                    ),
                )
            )
            place = len(header)
            for name, content in self._empty.items():
                places[name] = place
                place += len(content)
        return header

    def _variable(self, variable: Variable, dimensions: list[str], place: int) -> bytes:
        numbers = [dimensions.index(name) for name in variable.dimensions]
        return b"".join(
            (
                _name(variable.name),
                _int(len(numbers), *numbers),
                _list(_ATTRIBUTE, [_attribute(*item) for item in variable.attributes.items()]),
                _int(_TYPES[variable.dtype], len(self._empty[variable.name]), place),
            )
        )


def _int(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _name(name: str) -> bytes:
    return _int(len(name)) + _padded(name.encode("ascii"))


def _list(tag: int, items: list[bytes]) -> bytes:
    return _int(tag, len(items)) + b"".join(items) if items else _ABSENT


def _attribute(name: str, value: str | np.generic) -> bytes:
    if isinstance(value, str):
        text = value.encode("ascii")
        return _name(name) + _int(_TYPES["S1"], len(text)) + _padded(text)
    number = np.asarray(value).astype(value.dtype.newbyteorder(">"))
    content: bytes = number.tobytes()
    return _name(name) + _int(_TYPES[number.dtype.str], 1) + content
