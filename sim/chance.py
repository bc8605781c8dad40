"""Luck that depends on nothing but a seed and what it befalls.

A draw is keyed by names, never by the order in which draws are made: two policies that meet the
same task meet the same luck, so what tells them apart is what they decide, and a run is a pure
function of scenario and seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist

_STANDARD = NormalDist()
_EQUALLY_LIKELY = 2**53
"""As many values as floats between 0 and 1 hold apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Draws under one seed."""

    seed: int

    def uniform(self, *names: object) -> float:
        """Return a number above 0 and below 1, the same for the same names."""
        key = f"{self.seed}/{'/'.join(map(str, names))}".encode()
        digest = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
        return ((digest >> 11) + 0.5) / _EQUALLY_LIKELY

    def happens(self, probability: float, *names: object) -> bool:
        """Tell whether something of this probability happens."""
        return probability > 0 and self.uniform(*names) < probability

    def between(self, low: float, high: float, *names: object) -> float:
        """Return a number between two others, all equally likely."""
        return low + (high - low) * self.uniform(*names)

    def whole(self, low: int, high: int, *names: object) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int((high - low + 1) * self.uniform(*names))

    def stretch(self, sigma: float, *names: object) -> float:
        """Return a factor whose logarithm is normal with deviation `sigma`; 1 on average."""
        if sigma <= 0:
            return 1.0
        return math.exp(sigma * _STANDARD.inv_cdf(self.uniform(*names)) - sigma**2 / 2)

    def exponential(self, rate: float, *names: object) -> float:
        """Return the time to the first event of a rate; infinite where the rate is 0."""
        return -math.log(self.uniform(*names)) / rate if rate > 0 else math.inf
