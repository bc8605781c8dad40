"""The floats of the demonstration archive: what each is like, and what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from controller.demo.fleet import Floats, Randomness, Track
from controller.demo.water import oxygen, salinity, temperature

Letters = NDArray[np.str_]

ODD_EVERY = 25
"""Of so many floats, one has each odd trait; the rest have none."""

DENSE_FROM = datetime(2010, 1, 1, tzinfo=UTC).timestamp()
"""Floats launched later [POSIX s] measure at more levels."""

_SPARSE = np.concatenate([np.arange(5, 200, 10), np.arange(200, 1520, 40)]).astype(np.float64)
_DENSE = np.concatenate([np.arange(4, 200, 4), np.arange(200, 2010, 30)]).astype(np.float64)

LEVELS_SHORT_MAX = 5
"""A profile ends up to so many levels before the deepest."""

SPIKES_SHARE = 0.004
"""Of the levels are measured wrong, and flagged 4."""
SPIKE = 7.0
"""By so much, in the parameter's own units."""

_NOISE = {"PRES": 0.05, "TEMP": 0.02, "PSAL": 0.004, "DOXY": 2.0}


class Trait(StrEnum):
    """What is odd about a float; all of it occurs among the real ones."""

    NONE = "none"
    NO_SALINITY = "no salinity"
    NUL_PADDED = "its number is padded with NULs"
    TWO_PROFILES = "two profiles a file"
    DESCENDING = "measures on its way down too"
    OXYGEN = "has synthetic files with oxygen"


@dataclass(frozen=True, eq=False)
class DemoFloat:
    """A float: its way, and what it measures on it.

    Parameters
    ----------
    track : Track
    trait : Trait
    seed : int
        Of its noise.
    """

    track: Track
    trait: Trait
    seed: int

    def cycle(self, place: int) -> tuple[int, str]:
        """Return the number and direction of a profile; the way down comes before the way up."""
        if self.trait is not Trait.DESCENDING:
            return place + 1, "A"
        return place // 2 + 1, "DA"[place % 2]

    def parameters(self, *, with_oxygen: bool = False) -> tuple[str, ...]:
        """Return what its core files hold, or its synthetic ones."""
        core = ("PRES", "TEMP") if self.trait is Trait.NO_SALINITY else ("PRES", "TEMP", "PSAL")
        return (*core, "DOXY") if with_oxygen else core

    @property
    def pressure(self) -> Floats:
        """Levels [dbar], shape (levels,)."""
        return _DENSE if self.track.time_s[0] >= DENSE_FROM else _SPARSE

    @cached_property
    def measured(self) -> dict[str, tuple[Floats, Letters]]:
        """Values, NaN where it did not reach, and flags by parameter: shape (profiles, levels)."""
        randomness = np.random.default_rng((self.seed, self.track.wmo))
        way, shape = self.track, (len(self.track), len(self.pressure))
        true = {
            "PRES": np.broadcast_to(self.pressure, shape),
            "TEMP": temperature(way.latitude, way.longitude, way.time_s, self.pressure),
            "PSAL": salinity(way.latitude, way.longitude, self.pressure),
            "DOXY": np.broadcast_to(oxygen(self.pressure), shape),
        }
        short = randomness.integers(0, LEVELS_SHORT_MAX + 1, (shape[0], 1))
        reached = np.arange(shape[1]) < shape[1] - short
        return {name: _measured(name, true[name], reached, randomness) for name in true}


def _measured(
    name: str, true: Floats, reached: NDArray[np.bool_], randomness: Randomness
) -> tuple[Floats, Letters]:
    values = np.round(true + randomness.normal(0.0, _NOISE[name], true.shape), 3)
    spikes = randomness.random(true.shape) < (0.0 if name == "PRES" else SPIKES_SHARE)
    flags = np.where(reached, np.where(spikes, "4", "1"), " ")
    return np.where(reached, values + SPIKE * spikes, np.nan), flags


def equip(tracks: Sequence[Track], seed: int, randomness: Randomness) -> list[DemoFloat]:
    """Return floats for these tracks, of each odd trait one in `ODD_EVERY` and at least one."""
    odd = [trait for trait in Trait if trait is not Trait.NONE]
    pattern = odd + [Trait.NONE] * (ODD_EVERY - len(odd))
    ranks = randomness.permutation(len(tracks)).tolist()
    return [
        DemoFloat(track=track, trait=pattern[rank % ODD_EVERY], seed=seed)
        for track, rank in zip(tracks, ranks, strict=True)
    ]
