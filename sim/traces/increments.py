"""Where the load of an increment lies: the profiles that its updates brought and its view wants.

What a live application reads from its index is told by the updates themselves, so a trace needs no
archive to be cut by the real partitioners. Quick, for a trace of a year makes tens of thousands of
small tasks: an update's columns are made once, and a view picks from them by a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.density import Density
from planner.events import UpdateArrived
from planner.extent import Extent, Floats, wrap_longitudes
from planner.model import Selection, View

ALWAYS_READ = "PRES"
"""Every profile holds it and it is read with all others: to ask for it beside them narrows nothing.
As the Argo application has it; no other application's parameter is called so."""

DENSITIES_MAX = 4096
"""Remembered, so that many subscriptions to one view share the work: a megabyte or so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Profiles that one update brought, by time, those without time or place left out."""

    time_s: Floats
    longitude: Floats
    latitude: Floats
    parameter_set: NDArray[np.int32]
    parameter_sets: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, event: UpdateArrived) -> Columns:
        """Return what an update of known observations brought."""
        seen = event.observations
        assert seen is not None
        time_s = np.array(seen.time_s, np.float64)
        longitude = np.array(seen.longitude, np.float64)
        latitude = np.array(seen.latitude, np.float64)
        placed = np.flatnonzero(Extent().contains(time_s, longitude, latitude))
        order = placed[np.argsort(time_s[placed], kind="stable")]
        return cls(
            time_s=time_s[order],
            longitude=wrap_longitudes(longitude[order]),
            latitude=latitude[order],
            parameter_set=np.array(seen.parameter_set, np.int32)[order],
            parameter_sets=tuple(map(frozenset, seen.parameter_sets)),
        )


class Increments:
    """What the updates of all datasets brought, as far as it was told."""

    def __init__(self) -> None:
        self._updates: dict[tuple[str, int], Columns | None] = {}
        self._densities = lru_cache(DENSITIES_MAX)(self._density)

    def take(self, event: UpdateArrived) -> None:
        """Take an update in."""
        told = None if event.observations is None else Columns.of(event)
        self._updates[event.dataset, event.number] = told

    def clear(self) -> None:
        """Forget all."""
        self._updates.clear()
        self._densities.cache_clear()

    def density(self, selection: Selection) -> Density | None:
        """Return where the files lie that an increment reads.

        None for a first delivery, and where an update did not say what it brought. A profile that
        two updates brought counts twice: observations carry no names.
        """
        updates = selection.updates
        if updates.after is None:
            return None
        return self._densities(selection.view, updates.after, updates.upto)

    def _density(self, view: View, after: int, upto: int) -> Density | None:
        picked = []
        for number in range(after + 1, upto + 1):
            columns = self._updates.get((view.dataset, number))
            if columns is None:
                return None
            picked.append(_picked(columns, view.extent))
        time_s, longitude, latitude, values = picked[0] if len(picked) == 1 else _joined(picked)
        return Density(
            time_s=time_s,
            longitude=longitude,
            latitude=latitude,
            files=np.ones(len(time_s)),
            size_bytes=np.zeros(len(time_s)),
            values=values,
        )


_Picked = tuple[Floats, Floats, Floats, Floats]


def _picked(columns: Columns, extent: Extent) -> _Picked:
    """Return time, place and number of values of the profiles that an extent wants."""
    held, values = _wanted(columns.parameter_sets, extent.parameters)
    inside = extent.contains(columns.time_s, columns.longitude, columns.latitude)
    inside &= held[columns.parameter_set]
    (places,) = inside.nonzero()
    return (
        columns.time_s[places],
        columns.longitude[places],
        columns.latitude[places],
        values[columns.parameter_set[places]],
    )


def _joined(picked: Sequence[_Picked]) -> _Picked:
    time_s, longitude, latitude, values = map(np.concatenate, zip(*picked, strict=True))
    order = np.argsort(time_s, kind="stable")
    return time_s[order], longitude[order], latitude[order], values[order]


@lru_cache(DENSITIES_MAX)
def _wanted(
    parameter_sets: tuple[frozenset[str], ...], wanted: tuple[str, ...]
) -> tuple[NDArray[np.bool_], Floats]:
    """Tell which sets of parameters hold one of those wanted, and how many are read of each."""
    telling = set(wanted) - {ALWAYS_READ} or set(wanted)
    read = {*wanted, ALWAYS_READ}
    held = [not telling or not telling.isdisjoint(names) for names in parameter_sets]
    values = [len(read & names) if wanted else len(names) for names in parameter_sets]
    return np.array(held, np.bool_), np.array(values, np.float64)
