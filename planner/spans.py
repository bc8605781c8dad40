"""Spans of time in words, as people read them."""

from __future__ import annotations

import math

MINUTE_S, HOUR_S = 60.0, 3600.0

_GRAINS = ((30.0, 1.0), (600.0, 15.0), (7200.0, 60.0), (86400.0, 900.0), (math.inf, 3600.0))
"""Spans up to the first are told in multiples of the second [s]."""


def span(seconds: float) -> str:
    """Return a span in the unit that reads best: "8.2 s", "14 m 03 s", "2 h 05 m"."""
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    if round(size, 1) < MINUTE_S:
        return f"{sign}{size:.1f} s"
    if round(size) < HOUR_S:
        minutes, rest = divmod(round(size), 60)
        return f"{sign}{minutes} m {rest:02d} s"
    hours, rest = divmod(round(size / MINUTE_S), 60)
    return f"{sign}{hours} h {rest:02d} m"


def rounded_up(seconds: float) -> float:
    """Return the next longer span [s] that somebody would write down."""
    grain_s = next(grain_s for most_s, grain_s in _GRAINS if seconds <= most_s)
    return math.ceil(seconds / grain_s - 1e-9) * grain_s
