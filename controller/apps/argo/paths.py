"""Reads paths of profile files, as ``coriolis/6903247/profiles/BD6903247_001D.nc``, many at once.

Only a path that `Rows` writes out again to the letter counts as read, so no path that an index
makes up (``../..``, absolute, of another folder) gets any further.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.fields import Text, heads, whole_numbers
from controller.apps.argo.rows import (
    CYCLE_DIGITS_MAX,
    WMO_DIGITS_MAX,
    Int64s,
    Kind,
    Mask,
    profile_keys,
)

DAC_LENGTH_MAX = 32
"""Longest name of a data centre's folder [bytes]; the GDAC's have at most 8."""

_BIO, _SYNTHETIC = (list(Kind).index(kind) for kind in (Kind.BIO, Kind.SYNTHETIC))
_FOLDER = b"profiles"
_IN_DAC_NAMES = np.isin(np.arange(256), list(b"abcdefghijklmnopqrstuvwxyz0123456789-_"))


class Paths(NamedTuple):
    """What paths say, one array of shape (n,) each; only where `read` holds does the rest count."""

    read: Mask
    profile: Int64s
    delayed: Mask
    dac_ends: Int64s

    def of(self, rows: Mask) -> Paths:
        """Return those of some rows."""
        return Paths(self.read[rows], self.profile[rows], self.delayed[rows], self.dac_ends[rows])


def read_paths(text: Text, starts: Int64s, ends: Int64s) -> Paths:
    """Read the paths that lie between `starts` and `ends` of a block."""
    slashes, bars = np.flatnonzero(text == ord("/")), np.flatnonzero(text == ord("_"))
    dac_end = _next(slashes, starts, ends)
    float_end = _next(slashes, dac_end + 1, ends)
    folder_end = _next(slashes, float_end + 1, ends)
    kind, letter = _kind_and_letter(text, folder_end + 1)
    bar = _next(bars, letter, ends)
    descending = text[ends - 4] == ord("D")
    cycle_end = ends - 3 - descending
    wmo, wmo_read = whole_numbers(text, letter + 1, bar, WMO_DIGITS_MAX)
    cycle, cycle_read = whole_numbers(text, bar + 1, cycle_end, CYCLE_DIGITS_MAX)
    read = wmo_read & cycle_read & (text[letter + 1] != ord("0"))
    read &= heads(text, dac_end + 1, float_end) == heads(text, letter + 1, bar)
    read &= float_end - dac_end == bar - letter
    read &= _padded(text, bar + 1, cycle_end) & _is(text, float_end + 1, folder_end, _FOLDER)
    read &= _is(text, ends - 3, ends, b".nc") & _dac_names(text, starts, dac_end)
    delayed = text[letter] == ord("D")
    read &= delayed | (text[letter] == ord("R"))
    return Paths(read, profile_keys(kind, wmo, cycle, descending), delayed, dac_end)


def _next(marks: NDArray[Any], starts: Int64s, ends: Int64s) -> Int64s:
    """Return the first mark at or after each start, but no further than its end."""
    found = np.append(marks, np.iinfo(np.int64).max)[np.searchsorted(marks, starts)]
    return cast(Int64s, np.minimum(found, ends))


def _kind_and_letter(text: Text, starts: Int64s) -> tuple[Int64s, Int64s]:
    """Tell the kind of the files named from here, and where their R or D stands."""
    bio, synthetic = text[starts] == ord("B"), text[starts] == ord("S")
    return bio * _BIO + synthetic * _SYNTHETIC, starts + (bio | synthetic)


def _padded(text: Text, starts: Int64s, ends: Int64s) -> Mask:
    """Tell which numbers have three digits, or more and no zero in front."""
    length = ends - starts
    return cast(Mask, (length == 3) | ((length > 3) & (text[starts] != ord("0"))))


def _is(text: Text, starts: Int64s, ends: Int64s, word: bytes) -> Mask:
    assert len(word) <= 8
    expected = int.from_bytes(word.rjust(8, b"\0"), "little", signed=True)
    return cast(Mask, (ends - starts == len(word)) & (heads(text, starts, ends) == expected))


def _dac_names(text: Text, starts: Int64s, ends: Int64s) -> Mask:
    """Tell which fields could be the folder of a data centre: a plain word, in small letters."""
    length = ends - starts
    plain = (length > 0) & (length <= DAC_LENGTH_MAX)
    for j in range(min(DAC_LENGTH_MAX, int(length.max(initial=0)))):
        plain &= (length <= j) | _IN_DAC_NAMES[text[np.minimum(starts + j, len(text) - 1)]]
    return plain
