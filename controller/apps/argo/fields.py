"""Turns columns of text into columns of numbers, a block of rows at a time.

A block is an array of bytes; a field of every row is given by where it starts and ends in it. No
function here raises for what a row holds: each says which rows it could read.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.rows import TICKS_PER_DEGREE, Int64s, Mask

Text = NDArray[np.uint8]

FIELD_BYTES_MAX = 16
"""Longest number that is read [bytes]; the GDAC's longest is the 14 digits of a date."""

_DECIMALS = len(str(TICKS_PER_DEGREE)) - 1
_STAMP = np.dtype("S14").itemsize
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_YEAR_MIN, _YEAR_MAX = 1900, 2199


def text_of(block: bytes) -> Text:
    """Return a block as an array, padded so that a number may be looked for at its very end."""
    return np.frombuffer(block + b" " * FIELD_BYTES_MAX, np.uint8)


def trimmed(text: Text, starts: Int64s, ends: Int64s) -> tuple[Int64s, Int64s]:
    """Return the fields without blanks around them; many blanks are left, and fail later."""
    for _ in range(FIELD_BYTES_MAX):
        leading = (starts < ends) & (text[starts] == 32)
        trailing = (starts + leading < ends) & (text[ends - 1] == 32)
        if not (leading.any() or trailing.any()):
            break
        starts, ends = starts + leading, ends - trailing
    return starts, ends


def heads(text: Text, starts: Int64s, ends: Int64s) -> Int64s:
    """Return the first 8 bytes of fields as numbers, equal only where these bytes are equal."""
    windows = np.lib.stride_tricks.sliding_window_view(text, 8)
    packed = windows[starts].view("<u8")[:, 0]
    spare_bits = (8 - np.clip(ends - starts, 0, 8)).astype(np.uint64) * np.uint64(8)
    # A shift by all 64 bits would leave them as they are.
    emptied = np.where(spare_bits < 64, packed << (spare_bits % np.uint64(64)), np.uint64(0))
    return emptied.view(np.int64)


def whole_numbers(text: Text, starts: Int64s, ends: Int64s, digits_max: int) -> tuple[Int64s, Mask]:
    """Read fields of decimal digits.

    Returns
    -------
    values : array of int64, shape (n,)
    read : array of bool, shape (n,)
        Which fields are 1 to `digits_max` digits and nothing else.
    """
    assert digits_max <= FIELD_BYTES_MAX
    length = ends - starts
    values = np.zeros(len(starts), np.int64)
    read = (length > 0) & (length <= digits_max)
    for j in range(_longest(length, digits_max)):
        digit = text[starts + j] - np.uint8(48)
        inside = length > j
        read &= ~inside | (digit <= 9)
        values = np.where(inside, values * 10 + digit, values)
    return values, read


def degrees_in_ticks(text: Text, starts: Int64s, ends: Int64s) -> tuple[Int64s, Mask]:
    """Read fields such as ``-16.032`` as ticks of 1e-7 degree; further decimals are cut off."""
    length = ends - starts
    negative = (length > 0) & (text[starts] == ord("-"))
    starts = starts + (negative | ((length > 0) & (text[starts] == ord("+"))))
    length = ends - starts
    whole = np.zeros(len(starts), np.int64)
    dots, decimals, digits = (np.zeros(len(starts), np.int8) for _ in range(3))
    read = (length > 0) & (length <= FIELD_BYTES_MAX)
    for j in range(_longest(length, FIELD_BYTES_MAX)):
        sign = text[starts + j]
        inside = length > j
        dot, digit = inside & (sign == ord(".")), inside & (sign - np.uint8(48) <= 9)
        read &= ~inside | dot | digit
        dots += dot
        digits += digit
        kept = digit & (decimals < _DECIMALS)
        decimals += kept & (dots > 0)
        whole = np.where(kept, whole * 10 + sign - 48, whole)
    read &= (dots <= 1) & (digits > 0) & (whole < 10**6 * 10 ** decimals.astype(np.int64))
    ticks = np.where(read, whole, 0) * 10 ** (_DECIMALS - decimals.astype(np.int64))
    return np.where(negative, -ticks, ticks), read


def stamps(text: Text, starts: Int64s, ends: Int64s) -> tuple[NDArray[np.uint8], Mask]:
    """Return the digits of fields YYYYMMDDHHMMSS, shape (n, 14), and which fields are such."""
    windows = np.lib.stride_tricks.sliding_window_view(text, _STAMP)
    digits = windows[starts] - np.uint8(48)
    return digits, (ends - starts == _STAMP) & (digits <= 9).all(axis=1)


def stamp_numbers(digits: NDArray[np.uint8]) -> Int64s:
    """Return the digits of shape (n, 14) as one number a row."""
    values = np.zeros(len(digits), np.int64)
    for j in range(_STAMP):
        values = values * 10 + digits[:, j]
    return values


def stamp_seconds(digits: NDArray[np.uint8]) -> tuple[Int64s, Mask]:
    """Return the UTC instants [POSIX s] of digits YYYYMMDDHHMMSS, and which of them exist."""
    wide = digits.astype(np.int64)
    century, decade, month, day, hour, minute, second = (
        wide[:, j] * 10 + wide[:, j + 1] for j in range(0, _STAMP, 2)
    )
    year = century * 100 + decade
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days_max = _MONTH_DAYS[np.minimum(month, 12)] - ((month == 2) & ~leap)
    exists = (year >= _YEAR_MIN) & (year <= _YEAR_MAX) & (month >= 1) & (month <= 12)
    exists &= (day >= 1) & (day <= days_max) & (hour < 24) & (minute < 60) & (second < 60)
    midnight = _days_since_1970(year, month, day) * 86400
    return midnight + hour * 3600 + minute * 60 + second, exists


def _days_since_1970(year: Int64s, month: Int64s, day: Int64s) -> Int64s:
    # Years counted from March end with the leap day, so that months have fixed offsets.
    early = month <= 2
    y = year - early
    day_of_year = (153 * (month + np.where(early, 9, -3)) + 2) // 5 + day - 1
    return cast(Int64s, 365 * y + y // 4 - y // 100 + y // 400 + day_of_year - 719468)


def codes_of(
    block: bytes, text: Text, starts: Int64s, ends: Int64s, known: dict[bytes, int]
) -> Int64s:
    """Return a small number for the text of every field, the same for equal texts.

    `known` maps texts to their numbers and grows; rows that repeat a short text of the row before
    cost nothing.
    """
    if not len(starts):
        return np.empty(0, np.int64)
    head, length = heads(text, starts, ends), ends - starts
    begins = np.ones(len(starts), np.bool_)
    begins[1:] = (head[1:] != head[:-1]) | (length[1:] != length[:-1]) | (length[1:] > 8)
    spans = zip(starts[begins].tolist(), ends[begins].tolist(), strict=True)
    codes = np.array([known.setdefault(block[a:b], len(known)) for a, b in spans], np.int64)
    return cast(Int64s, codes[np.cumsum(begins) - 1])


def _longest(length: Int64s, most: int) -> int:
    return min(most, int(length.max(initial=0)))
