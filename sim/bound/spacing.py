"""A floor for light loads: nodes that come and go cannot come in fractions.

A linear programme serves a light load by a twentieth of a node that stands all the year. Take,
though, K demands whose windows lie apart, each at least g after the one before. In each window some
node is ready. With n launches nodes are ready in n stretches at most, so that at least K - n of the
gaps between the windows lie within a stretch. A run then costs at least

    b n + max(W, W_K + g s v (K - n)) / (s v)

with W all work and W_K that of the K demands, which is done outside the gaps. The least of it over
n is a floor, whatever g is.
"""

from __future__ import annotations

import numpy as np

from sim.bound.terms import FleetTerms, Ints, Load

SPACINGS_MAX = 24
"""Gaps tried, each half as long again as the one before."""


def spacing_floor(load: Load, fleet: FleetTerms) -> float:
    """Return what a load costs at least because nodes come whole [currency]."""
    boot_s = max(one.boot_s for one in fleet.types)
    load = load.taken(load.work_s > 0)
    if len(load) < 2 or boot_s <= 0:
        return 0.0
    earliest = _earliest_due(load)
    floor = 0.0
    for step in range(SPACINGS_MAX):
        gap_s = boot_s * 1.5**step
        apart = _apart(load, earliest, gap_s)
        if len(apart) < 2:
            break
        floor = max(floor, _least(load, apart, gap_s, fleet))
    return floor


def _earliest_due(load: Load) -> Ints:
    """Return for each demand which one, of it and those released after, is due first."""
    least_s = np.minimum.accumulate(load.due_s[::-1])[::-1]
    numbers = np.where(load.due_s == least_s, np.arange(len(load)), len(load))
    earliest: Ints = np.minimum.accumulate(numbers[::-1])[::-1]
    return earliest


def _apart(load: Load, earliest: Ints, gap_s: float) -> Ints:
    """Return as many demands as there are with windows that lie so far apart [s]."""
    chosen = []
    after = 0
    while after < len(load):
        chosen.append(int(earliest[after]))
        after = int(np.searchsorted(load.released_s, load.due_s[chosen[-1]] + gap_s))
    return np.array(chosen, dtype=np.int64)


def _least(load: Load, apart: Ints, gap_s: float, fleet: FleetTerms) -> float:
    """Return the least cost over all numbers of launches."""
    launches = np.arange(1, len(apart) + 1)
    per_work = min(one.price_per_s / one.power for one in fleet.types)
    standing = gap_s * (len(apart) - launches) * min(one.price_per_s for one in fleet.types)
    within = per_work * float(load.work_s[apart].sum())
    ready = np.maximum(per_work * float(load.work_s.sum()), within + standing)
    booting = launches * min(one.price_per_s * one.boot_s for one in fleet.types)
    quanta = launches * min(one.price_per_s * one.quantum_s for one in fleet.types)
    return float(np.maximum(ready + booting, quanta).min())
