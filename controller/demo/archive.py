"""An archive for demonstrations and tests: laid out as the Argo GDAC, its data invented.

It has what makes a real one hard: profiles that are dense in some years and seas and rare in
others, files renamed when they reach delayed mode, and rows and files that are not as they should
be. The same seed makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from controller.demo.archived import DemoProfile, Quirk, first_state
from controller.demo.fleet import ARCHIVE_AT, Randomness, launch_fleet
from controller.demo.floats import equip
from controller.demo.index_files import INDEX_NAMES, write_indexes

QUIRK_EVERY = 250
"""Each quirk occurs once in so many profiles, and at least once."""

PROFILES_MIN = 100
"""A smaller archive has no room for every quirk."""

WAVE_PROFILES = 300
"""A wave of the demonstration, a fifth of its archive: most real updates come in such bursts."""

WAVE_AT = ARCHIVE_AT + 86400.0
"""It comes a day after the archive was made [POSIX s]."""

UNREADABLE = frozenset(
    (Quirk.MISSING_FILE, Quirk.TRUNCATED_FILE, Quirk.EMPTY_FILE, Quirk.NOT_NETCDF)
)
"""Profiles with these quirks are listed but cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoArchive:
    """An archive as it stands.

    Parameters
    ----------
    folder : Path
        Holds the index files and ``dac/``.
    seed : int
    profiles : tuple of DemoProfile
        In the order of floats and cycles; `Quirk` says which are not listed or not readable.
    """

    folder: Path
    seed: int
    profiles: tuple[DemoProfile, ...]

    @property
    def index(self) -> Path:
        """The index of the core profiles."""
        return self.folder / INDEX_NAMES["core"]

    @property
    def listed(self) -> tuple[DemoProfile, ...]:
        """The profiles that the indexes list."""
        return tuple(one for one in self.profiles if one.quirk is not Quirk.UNLISTED_FILE)


def make_archive(folder: Path, *, profiles: int, seed: int) -> DemoArchive:
    """Write an archive of this many core profiles into a folder, which is made if need be."""
    assert profiles >= PROFILES_MIN, profiles
    randomness = np.random.default_rng(seed)
    floats = equip(launch_fleet(profiles, randomness), seed, randomness)
    plain = [one for owner in floats for one in first_state(owner, randomness)]
    archive = DemoArchive(folder=folder, seed=seed, profiles=tuple(_with_quirks(plain, randomness)))
    _write_files(archive, archive.profiles)
    write_indexes(folder, archive.listed, ARCHIVE_AT)
    return archive


def reprocess(
    archive: DemoArchive, *, profiles: int = WAVE_PROFILES, at: float = WAVE_AT
) -> DemoArchive:
    """Bring profiles from real time to delayed mode, as a data centre does: in bursts, by float.

    New files come first, then the index in one step, and the old files go last: whoever reads
    meanwhile finds what the index names, or its successor.

    Parameters
    ----------
    archive : DemoArchive
    profiles : int
        This many are reprocessed, or all that are left.
    at : float
        When [POSIX s].

    Returns
    -------
    DemoArchive
        The archive as it stands now.
    """
    old = _next_to_reprocess(archive, profiles)
    new = {
        one: replace(one, mode="D", updated_at=at + 2 * number) for number, one in enumerate(old)
    }
    _write_files(archive, new.values())
    after = replace(archive, profiles=tuple(new.get(one, one) for one in archive.profiles))
    write_indexes(archive.folder, after.listed, at + 2 * len(new))
    for one in old:
        for kind in one.kinds:
            _file(archive, one, kind).unlink()
    return after


def _next_to_reprocess(archive: DemoArchive, profiles: int) -> list[DemoProfile]:
    """Return sound real-time profiles, whole floats in an order of chance."""
    by_float: dict[int, list[DemoProfile]] = {}
    for one in archive.listed:
        if one.mode != "D" and one.quirk not in UNREADABLE:
            by_float.setdefault(one.owner.track.wmo, []).append(one)
    order = np.random.default_rng((archive.seed, len(by_float))).permutation(list(by_float))
    return [one for wmo in order.tolist() for one in by_float[wmo]][:profiles]


def _with_quirks(profiles: list[DemoProfile], randomness: Randomness) -> list[DemoProfile]:
    odd = [quirk for quirk in Quirk if quirk is not Quirk.NONE]
    times = max(1, len(profiles) // QUIRK_EVERY)
    drawn = randomness.choice(len(profiles), times * len(odd), replace=False).tolist()
    quirks = dict(zip(drawn, odd * times, strict=True))
    return [
        replace(one, quirk=quirks.get(number, Quirk.NONE)) for number, one in enumerate(profiles)
    ]


def _write_files(archive: DemoArchive, profiles: Iterable[DemoProfile]) -> None:
    for one in profiles:
        if one.quirk is Quirk.MISSING_FILE:
            continue
        for kind in one.kinds:
            path = _file(archive, one, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one.content(kind))


def _file(archive: DemoArchive, profile: DemoProfile, kind: str) -> Path:
    return archive.folder / "dac" / profile.path(kind)
