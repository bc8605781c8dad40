"""Puts the harvests of many parts together: each profile once, from its newest file, in one order.

However a request was cut, and whichever parts were run again, the same files give the same result.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.columns import column_names, stacked
from controller.apps.argo.fragment import (
    PROFILE,
    Derivation,
    Failure,
    Harvest,
    LeftOut,
    Letters,
    ProfileTable,
    Source,
)

Places = NDArray[np.intp]

KEY = ("platform", "cycle", "direction", "kind")
"""What names a profile whatever file it comes from; one file may hold several of one name."""


def merge(
    harvests: Sequence[Harvest],
    parameters: Sequence[str],
    *,
    both_versions: bool,
    derived: Collection[str] = (),
) -> Harvest:
    """Return one harvest of several, sorted by `KEY`, place in the file and level.

    Of several files that hold the same profile the one updated last counts, and of those updated at
    once the delayed-mode one; the others are left out with that reason.

    Parameters
    ----------
    harvests : sequence of Harvest
        In any order; they may overlap.
    parameters : sequence of str
        Those wanted; blank where a harvest lacks one.
    both_versions : bool
        Which columns each has, see `columns.column_names`.
    derived : collection of str
        Those of the parameters that are derived.
    """
    found = _stacked_profiles(harvests)
    sources = [source for harvest in harvests for source in harvest.sources]
    order = _chosen(found, _ranks(sources)[found["source"]])
    rows = _row_places(found["rows"], order)
    pieces = [(harvest.columns, harvest.rows) for harvest in harvests]
    profiles, used = _with_sources(found[order], sources)
    return Harvest(
        profiles=profiles,
        modes={name: _stacked_modes(name, harvests)[order] for name in parameters},
        columns={
            name: stacked(name, ((columns.get(name), size) for columns, size in pieces))[rows]
            for name in column_names(parameters, both_versions=both_versions, derived=derived)
        },
        sources=used,
        left_out=_left_out(harvests, used),
        derivations=_derivations(harvests),
        failures=_failures(harvests, used),
    )


def _stacked_profiles(harvests: Sequence[Harvest]) -> ProfileTable:
    """Return all profiles, with their sources numbered through."""
    tables = [np.empty(0, PROFILE)]
    first = 0
    for harvest in harvests:
        table = harvest.profiles.copy()
        table["source"] += first
        first += len(harvest.sources)
        tables.append(table)
    return np.concatenate(tables)


def _stacked_modes(name: str, harvests: Sequence[Harvest]) -> Letters:
    pieces = (h.modes.get(name, np.zeros(len(h.profiles), "S1")) for h in harvests)
    return np.concatenate([np.zeros(0, "S1"), *pieces])


def _ranks(sources: Sequence[Source]) -> Places:
    """Return a number for each source, higher for what supersedes, the same for the same file."""
    keys = [
        (
            source.date_update,
            _is_delayed(source.read_path),
            source.sha256,
            source.path,
            source.dataset,
        )
        for source in sources
    ]
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return np.array([ranks[key] for key in keys], np.intp)


def _is_delayed(path: str) -> bool:
    return PurePosixPath(path).name.lstrip("BS").startswith("D")


def _chosen(profiles: ProfileTable, rank: Places) -> Places:
    """Return where the profiles are that count, in their final order."""
    keys = [profiles[name] for name in KEY]
    order = np.lexsort((profiles["place"], -rank, *reversed(keys)))
    if not len(order):
        return order
    new = np.zeros(len(order), bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    rank, place = rank[order], profiles["place"][order]
    newest = rank[new][np.cumsum(new) - 1]
    again = np.zeros(len(order), bool)
    again[1:] = ~new[1:] & (rank[1:] == rank[:-1]) & (place[1:] == place[:-1])
    chosen: Places = order[(rank == newest) & ~again]
    return chosen


def _row_places(sizes: NDArray[np.int64], order: Places) -> Places:
    """Return where the rows of profiles taken in this order lie."""
    starts = np.cumsum(sizes) - sizes
    taken = sizes[order]
    before = np.cumsum(taken) - taken
    return np.repeat(starts[order] - before, taken) + np.arange(int(taken.sum()))


def _with_sources(
    profiles: ProfileTable, sources: Sequence[Source]
) -> tuple[ProfileTable, tuple[Source, ...]]:
    """Return the profiles renumbered to the sources that they use, and those, sorted by path."""
    numbers = np.unique(profiles["source"]).tolist()
    by_file = {_file(sources[n]): sources[n] for n in numbers}
    places = {file: place for place, file in enumerate(sorted(by_file))}
    renumbered = np.zeros(len(sources), np.int32)
    for n in numbers:
        renumbered[n] = places[_file(sources[n])]
    profiles["source"] = renumbered[profiles["source"]]
    rows = np.bincount(profiles["source"], profiles["rows"], len(places)).astype(int).tolist()
    used = (replace(by_file[file], rows=rows[place]) for file, place in places.items())
    return profiles, tuple(used)


def _file(source: Source) -> tuple[str, str, str]:
    return source.path, source.dataset, source.sha256


def _derivations(harvests: Sequence[Harvest]) -> tuple[Derivation, ...]:
    """Return how each derived parameter was computed, each way once: workers may differ."""
    ways = {repr(one): one for harvest in harvests for one in harvest.derivations}
    return tuple(ways[way] for way in sorted(ways))


def _failures(harvests: Sequence[Harvest], used: Sequence[Source]) -> tuple[Failure, ...]:
    files = {(source.path, source.dataset) for source in used}
    failures = {one for harvest in harvests for one in harvest.failures}
    return tuple(sorted(one for one in failures if (one.path, one.dataset) in files))


def _left_out(harvests: Sequence[Harvest], used: Sequence[Source]) -> tuple[LeftOut, ...]:
    """Return the files that nothing was taken of, each once, sorted by path and archive."""
    superseded = "a file updated later, or in delayed mode, holds the same profiles"
    left = {
        (source.path, source.dataset): LeftOut(
            path=source.path,
            date_update=source.date_update,
            reason=superseded,
            dataset=source.dataset,
        )
        for harvest in harvests
        for source in harvest.sources
    }
    left |= {(f.path, f.dataset): f for harvest in harvests for f in harvest.left_out}
    for source in used:
        left.pop((source.path, source.dataset), None)
    return tuple(left[file] for file in sorted(left))
