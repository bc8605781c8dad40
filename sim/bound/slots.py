"""Time in slots: demands as what may be worked on in which slot, rounded outward.

A demand's window is widened to whole slots, and the demands of one widened window are one *group*.
In the slots at its ends a demand can still be worked on only while its own window is open, and only
by as many slots of nodes as it has parts. All of this allows what is possible and more, so what is
computed on slots never costs more than what is possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.bound.terms import Floats, Ints, Load

EDGE_S = 1e-3
"""Instants nearer to each other than this [s] are not told apart as edges of slots."""

SLOT_S_MIN = 15.0
"""Where slots are alike they are no shorter than this [s], and then longer by powers of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Which slots each demand may be worked on in: from `first` up to, not including, `last`."""

    edges_s: Floats
    first: Ints
    last: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    """A load over slots.

    Parameters
    ----------
    start_s, length_s : ndarray, shape (slots,)
        Of the slots [s].
    group : ndarray, shape (demands,)
        Which group each demand went into.
    work_s : ndarray, shape (groups,)
        [reference s]
    pair_group, pair_slot : ndarray, shape (pairs,)
        A slot in which a group may be worked on.
    pair_most_s : ndarray, shape (pairs,)
        How much of slots' time it can take there [s].
    """

    start_s: Floats
    length_s: Floats
    group: Ints
    work_s: Floats
    pair_group: Ints
    pair_slot: Ints
    pair_most_s: Floats

    def open_share(self, since_s: float) -> Floats:
        """Return which share of each slot lies behind an instant [s]."""
        return np.clip(1.0 - (since_s - self.start_s) / self.length_s, 0.0, 1.0)


def exact_edges(load: Load, also_s: float) -> Floats:
    """Return all instants at which something is released or due, and another if it lies within."""
    edges = np.unique(np.concatenate([load.released_s, load.due_s]))
    if edges[0] < also_s < edges[-1]:
        edges = np.union1d(edges, [also_s])
    far = np.diff(edges, prepend=-np.inf) > EDGE_S
    far[-1] = True
    return edges[far]


def even_edges(load: Load, slot_s: float) -> Floats:
    """Return the edges of slots of one length that hold all windows."""
    start_s = load.released_s.min()
    count = max(1, int(np.ceil((load.due_s.max() - start_s) / slot_s)))
    edges_s: Floats = start_s + slot_s * np.arange(count + 1, dtype=np.float64)
    return edges_s


def windows(load: Load, edges_s: Floats) -> Windows:
    """Return the slots that hold each demand's window."""
    first = np.searchsorted(edges_s, load.released_s, side="right") - 1
    last = np.searchsorted(edges_s, load.due_s, side="left")
    last = np.clip(last, first + 1, len(edges_s) - 1)
    return Windows(edges_s=edges_s, first=np.minimum(first, last - 1), last=last)


def pairs(of: Windows) -> int:
    """Return how many pairs of group and slot there are."""
    kinds = np.unique(of.first * len(of.edges_s) + of.last)
    return int(np.sum(kinds % len(of.edges_s) - kinds // len(of.edges_s)))


def choose_edges(load: Load, pairs_max: int, also_s: float) -> tuple[Floats, float]:
    """Return edges of slots for a load, the finest that make no more pairs than allowed.

    Returns
    -------
    edges_s : ndarray
        The instants of the load, and another, where they are few enough, else those of even slots.
    slot_s : float
        Length of even slots [s]; 0 where the instants are exact.
    """
    exact = exact_edges(load, also_s)
    if _fit(load, exact, pairs_max):
        return exact, 0.0
    slot_s, span_s = SLOT_S_MIN, float(load.due_s.max() - load.released_s.min())
    while slot_s < span_s and not _fit(load, even_edges(load, slot_s), pairs_max):
        slot_s *= 2.0
    return even_edges(load, slot_s), slot_s


def _fit(load: Load, edges_s: Floats, pairs_max: int) -> bool:
    return len(edges_s) <= pairs_max and pairs(windows(load, edges_s)) <= pairs_max


def slotted(load: Load, edges_s: Floats) -> Slotted:
    """Return a load over slots with these edges."""
    of = windows(load, edges_s)
    kinds, group = np.unique(of.first * len(edges_s) + of.last, return_inverse=True)
    first, last = kinds // len(edges_s), kinds % len(edges_s)
    count = last - first
    pair_group = np.repeat(np.arange(len(kinds)), count)
    begin = np.cumsum(count) - count
    pair_slot = np.arange(count.sum()) - np.repeat(begin - first, count)
    most_s = np.bincount(group, load.parallel)[pair_group] * np.diff(edges_s)[pair_slot]
    head_s, tail_s = _ends(load, of)
    single = of.last - of.first == 1
    most_s[begin] = np.bincount(group, head_s)
    most_s[begin + count - 1] = np.bincount(group, np.where(single, head_s, tail_s))
    return Slotted(
        start_s=edges_s[:-1],
        length_s=np.diff(edges_s),
        group=group,
        work_s=np.bincount(group, load.work_s).astype(np.float64),
        pair_group=pair_group,
        pair_slot=pair_slot,
        pair_most_s=most_s,
    )


def _ends(load: Load, of: Windows) -> tuple[Floats, Floats]:
    """Return what each demand can take in its first and in its last slot [s of slots]."""
    opens_s = np.minimum(of.edges_s[of.first + 1], load.due_s) - load.released_s
    closes_s = load.due_s - np.maximum(of.edges_s[of.last - 1], load.released_s)
    return load.parallel * np.maximum(opens_s, 0.0), load.parallel * np.maximum(closes_s, 0.0)


def joined(parts: Sequence[Slotted]) -> tuple[Slotted, Ints]:
    """Return loads side by side as one, and the part that each slot is of."""
    slots = np.array([len(part.start_s) for part in parts])
    groups = np.array([len(part.work_s) for part in parts])
    slot0, group0 = np.cumsum(slots) - slots, np.cumsum(groups) - groups
    whole = Slotted(
        start_s=np.concatenate([part.start_s for part in parts]),
        length_s=np.concatenate([part.length_s for part in parts]),
        group=np.concatenate([p.group + at for p, at in zip(parts, group0, strict=True)]),
        work_s=np.concatenate([part.work_s for part in parts]),
        pair_group=np.concatenate([p.pair_group + at for p, at in zip(parts, group0, strict=True)]),
        pair_slot=np.concatenate([p.pair_slot + at for p, at in zip(parts, slot0, strict=True)]),
        pair_most_s=np.concatenate([part.pair_most_s for part in parts]),
    )
    return whole, np.repeat(np.arange(len(parts)), slots)
