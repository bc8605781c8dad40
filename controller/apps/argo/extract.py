"""Turns one part into one fragment: reads its files and keeps what a view asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from controller.apps.argo.archive import MissingFile, open_archive
from controller.apps.argo.catalogue import INDEX_NAMES
from controller.apps.argo.columns import Column, column_names, stacked
from controller.apps.argo.derived.catalogue import names_in
from controller.apps.argo.derived.protocol import DerivedParameter
from controller.apps.argo.deriving import derivation, derive, loaded, mode_of
from controller.apps.argo.fragment import (
    PROFILE,
    Failure,
    Harvest,
    LeftOut,
    Source,
    write_fragment,
)
from controller.apps.argo.orders import ExtractOrder, SourceFile
from controller.apps.argo.policy import Policy, policy_of
from controller.apps.argo.profile import Profile, UnreadableProfile
from controller.apps.argo.reading import Reader
from controller.apps.request import iso_instant
from controller.errors import ArchiveError
from controller.shared_reads import shared_reads
from planner.extent import Extent
from planner.model import Fragment

EPOCH_D = 7305
"""Days from 1950-01-01, where Argo counts from, to 1970-01-01."""

INDEX_PRECISION = (1.0, 0.001, 0.001)
"""How exact an index is: to the second and the thousandth of a degree [s, deg, deg]."""

INDEXES = tuple(name for names in INDEX_NAMES.values() for name in names)

_NUDGES = np.array(list(product((-1, 0, 1), repeat=3))) * INDEX_PRECISION


def extract(order: ExtractOrder) -> Fragment:
    """Read the files of a part and write what is kept of them as one fragment.

    A file that is missing, torn, of another format or unreadable is left out, and the fragment says
    why; so is one that lies elsewhere than the index says. A profile of which nothing is kept is
    listed without rows.

    Raises
    ------
    ArchiveError
        The archive as a whole cannot be reached.
    InvalidSubscription
        The options are not understood.
    UnknownPlugin, BrokenPlugin
        A derived parameter is not installed here, or cannot be used.
    StorageError
        The fragment cannot be written.
    """
    archive = open_archive(order.archive)
    reader = Reader(archive=archive, update=order.update, shared=shared_reads())
    gathering = _Gathering(
        extent=order.extent,
        policy=policy_of(order.options),
        derived=loaded(names_in(order.options)),
    )
    for file in order.files:
        try:
            _take(file, gathering, reader)
        except (ArchiveError, UnreadableProfile) as error:
            gathering.leave_out(file, str(error))
    if gathering.left_out:
        # Bad files are left out; an archive that went away must not make a product full of holes.
        archive.assure_presence(INDEXES)
    fragment = write_fragment(order.fragment_url, gathering.harvest())
    return replace(fragment, shared=reader.spared)


def _take(file: SourceFile, gathering: _Gathering, reader: Reader) -> None:
    """Read a file and keep what is wanted; once more, if the archive may have been away."""
    try:
        gathering.take(file, reader)
    except MissingFile:
        raise
    except ArchiveError:
        # Not the file's fault where a host was cut off meanwhile.
        reader.archive.assure_presence(INDEXES)
        gathering.take(file, reader)


@dataclass(slots=True, kw_only=True)
class _Gathering:
    """What was kept so far of the files of a part."""

    extent: Extent
    policy: Policy
    derived: tuple[DerivedParameter, ...] = ()
    profiles: list[tuple[object, ...]] = field(default_factory=list)
    modes: list[dict[str, str]] = field(default_factory=list)
    levels: list[dict[str, Column]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def take(self, file: SourceFile, reader: Reader) -> None:
        """Read a file and keep what is wanted of it."""
        found = reader.opened(file, self.extent.parameters, both_versions=self.policy.both_versions)
        inside = [p for p in enumerate(found.profiles) if _is_inside(p[1], self.extent)]
        if not inside:
            self.leave_out(file, _elsewhere(found.profiles))
            return
        rows = sum(self._keep(file, place, profile) for place, profile in inside)
        source = Source(
            path=file.path,
            read_path=found.path,
            date_update=file.date_update,
            sha256=found.sha256,
            rows=rows,
        )
        self.sources.append(source)

    def leave_out(self, file: SourceFile, reason: str) -> None:
        """Note that a file is not used."""
        left = LeftOut(path=file.path, date_update=file.date_update, reason=reason)
        self.left_out.append(left)

    def harvest(self) -> Harvest:
        """Return all that was kept."""
        profiles = np.array(self.profiles, PROFILE)
        derived = [one.name for one in self.derived]
        names = sorted({*derived, *(name for modes in self.modes for name in modes)})
        both_versions = self.policy.both_versions
        pieces = list(zip(self.levels, profiles["rows"].tolist(), strict=True))
        return Harvest(
            profiles=profiles,
            modes={n: np.array([modes.get(n, "") for modes in self.modes], "S1") for n in names},
            columns={
                name: stacked(name, ((levels.get(name), rows) for levels, rows in pieces))
                for name in column_names(names, both_versions=both_versions, derived=derived)
            },
            sources=tuple(self.sources),
            left_out=tuple(self.left_out),
            derivations=tuple(map(derivation, self.derived)),
            failures=tuple(self.failures),
        )

    def _keep(self, file: SourceFile, place: int, profile: Profile) -> int:
        """Keep the wanted levels of a profile and return how many."""
        kept = self.policy.kept(profile) & self.policy.within(profile)
        if not self._holds_any_wanted(profile):
            kept[:] = False
        rows = int(np.count_nonzero(kept))
        derived = self._derive(file, place, profile) if rows else {}
        columns = profile.columns | derived
        self.profiles.append(_record(profile, place, len(self.sources), rows))
        self.modes.append(profile.modes | {one.name: mode_of(one, profile) for one in self.derived})
        self.levels.append({name: column[kept] for name, column in columns.items()})
        return rows

    def _derive(self, file: SourceFile, place: int, profile: Profile) -> dict[str, Column]:
        """Return the columns of the derived parameters, of all levels of a profile."""
        columns: dict[str, Column] = {}
        for one in self.derived:
            found = derive(one, profile, self.policy)
            columns |= {one.name: found.values, f"{one.name}_QC": found.flags}
            if found.failure:
                failure = Failure(name=one.name, reason=found.failure, path=file.path, place=place)
                self.failures.append(failure)
        return columns

    def _holds_any_wanted(self, profile: Profile) -> bool:
        """Tell whether a profile holds what the view asks for; pressure alone is no answer."""
        wanted = set(self.extent.parameters)
        return wanted <= {"PRES"} or bool(wanted & profile.modes.keys() - {"PRES"})


def _record(profile: Profile, place: int, source: int, rows: int) -> tuple[object, ...]:
    """Return one element of a `PROFILE` array."""
    facts = {"place": place, "source": source, "rows": rows}
    return tuple(
        facts[name] if name in facts else getattr(profile, name) for name in PROFILE.names or ()
    )


def _is_inside(profile: Profile, extent: Extent) -> bool:
    """Tell whether a profile lies inside, as far as an index could tell.

    The index decides which files are read. A profile on the edge must not be lost because its file
    is more exact than the index was.
    """
    here = np.array([_time_s(profile), profile.longitude, profile.latitude]) + _NUDGES
    return bool(extent.contains(here[:, 0], here[:, 1], here[:, 2]).any())


def _elsewhere(profiles: list[Profile]) -> str:
    if not profiles:
        return "it holds no profile"
    first = profiles[0]
    if np.isnan([first.time_d, first.latitude]).any():
        return "it does not say when or where it was taken"
    return (
        "the index lists it inside what was asked for, but by itself it lies at "
        f"{first.longitude:.3f} E {first.latitude:.3f} N, {iso_instant(round(_time_s(first)))}"
    )


def _time_s(profile: Profile) -> float:
    """Return when a profile was taken [POSIX s]."""
    return (profile.time_d - EPOCH_D) * 86400.0
