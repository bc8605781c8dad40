"""A long load apart into spells that cost the same apart as together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from sim.bound.terms import FleetTerms, Load

T = TypeVar("T")


def worthless_gap_s(fleet: FleetTerms) -> float:
    """Return from which length [s] no node is worth keeping over a gap without demands.

    Let a node go when the gap begins and launch one anew, so that it is ready when the gap ends:
    that costs a boot more and the gap less, and each of the two may pay one quantum in vain.
    """
    return max(one.boot_s + 2.0 * one.quantum_s for one in fleet.types)


def split(load: Load, gap_s: float) -> list[Load]:
    """Return a load in spells: between two of them nothing can be worked on for so long [s]."""
    if not len(load):
        return []
    busy_until_s = np.maximum.accumulate(load.due_s)
    starts = np.flatnonzero(load.released_s[1:] - busy_until_s[:-1] >= gap_s) + 1
    bounds = [0, *starts.tolist(), len(load)]
    return [load.taken(slice(a, b)) for a, b in pairwise(bounds)]


def packed(items: Iterable[T], sizes: Sequence[int], size_max: int) -> Iterator[list[T]]:
    """Yield items in lists, in order, each list no larger than allowed or of one item."""
    pack: list[T] = []
    filled = 0
    for item, size in zip(items, sizes, strict=True):
        if pack and filled + size > size_max:
            yield pack
            pack, filled = [], 0
        pack.append(item)
        filled += size
    if pack:
        yield pack
