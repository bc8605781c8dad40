"""Reads and opens profile files, each once for all workers of a node where these share their reads.

To open a file takes fifty times as long as to take from it what one view asks for, so not only the
bytes are shared but also the profiles in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.apps.argo.archive import Archive, ProfileBytes
from controller.apps.argo.columns import column_names
from controller.apps.argo.orders import SourceFile
from controller.apps.argo.profile import Profile, UnreadableProfile, read_profiles
from controller.apps.argo.rows import CORE_PARAMETERS
from controller.shared_reads import ReadName, SharedReads

PROFILES, CONTENT = "profiles", "content"
"""Shelves of shared reads, in the order in which one is made from the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """What a profile file holds of what was asked for.

    Parameters
    ----------
    path : str
        Below ``dac/``, where it was really read from.
    sha256 : str
        Of the whole file.
    profiles : list of Profile
    """

    path: str
    sha256: str
    profiles: list[Profile]


@dataclass(slots=True, kw_only=True)
class Reader:
    """Opens the files of one part.

    Parameters
    ----------
    archive : Archive
    update : int or None
        Newest update that the part serves; only reads for the same one are shared. None shares
        nothing.
    shared : SharedReads or None
        Where this worker shares its reads.
    spared : int
        Files so far that another part had opened already [count].
    """

    archive: Archive
    update: int | None
    shared: SharedReads | None
    spared: int = 0

    def opened(
        self, file: SourceFile, parameters: Sequence[str], *, both_versions: bool
    ) -> OpenedFile:
        """Return a file's profiles; see `profile.read_profiles`.

        Raises
        ------
        ArchiveError
            It is not there, or cannot be read.
        UnreadableProfile
            It is no whole Argo profile file.
        """
        if self.shared is not None and self.update is not None:
            try:
                return self._opened_once(self.shared, file, parameters, both_versions)
            except UnreadableProfile:
                # It may be half written just now, or damaged only where this view does not look.
                self.shared.forget(self._name(file, CONTENT))
        return opened(self.archive.read_profile(file.path), parameters, both_versions)

    def _opened_once(
        self, shared: SharedReads, file: SourceFile, parameters: Sequence[str], both_versions: bool
    ) -> OpenedFile:
        wanted, is_spared = opened_for(parameters), True

        def fetch() -> ProfileBytes:
            return self.archive.read_profile(file.path)

        def open_file() -> OpenedFile:
            nonlocal is_spared
            is_spared = False
            found = shared.get(self._name(file, CONTENT), fetch)
            return opened(found, wanted, both_versions)

        found = shared.get(self._name(file, PROFILES, str(both_versions), *wanted), open_file)
        self.spared += is_spared
        return found if tuple(parameters) == wanted else narrowed(found, parameters, both_versions)

    def _name(self, file: SourceFile, shelf: str, *more: str) -> ReadName:
        assert self.update is not None
        return ReadName(
            source=self.archive.address.url,
            number=self.update,
            shelf=shelf,
            key=(file.path, file.date_update, *more),
        )


def opened(found: ProfileBytes, parameters: Sequence[str], both_versions: bool) -> OpenedFile:
    """Return what a file that was read holds."""
    return OpenedFile(
        path=found.path,
        sha256=hashlib.sha256(found.content).hexdigest(),
        profiles=read_profiles(found.content, parameters, both_versions=both_versions),
    )


def opened_for(parameters: Sequence[str]) -> tuple[str, ...]:
    """Return what a file is opened for: all core parameters if some are asked for, and no other.

    To read the three of them takes hardly longer than to read one, and serves more views.
    """
    some_core = parameters and set(parameters) <= set(CORE_PARAMETERS)
    return CORE_PARAMETERS if some_core else tuple(parameters)


def narrowed(file: OpenedFile, parameters: Sequence[str], both_versions: bool) -> OpenedFile:
    """Return a file as if it had been opened for these parameters only, and pressure."""
    names = tuple(dict.fromkeys(("PRES", *parameters)))
    columns = column_names(names, both_versions=both_versions)
    return replace(
        file,
        profiles=[
            replace(
                profile,
                modes={name: profile.modes[name] for name in names if name in profile.modes},
                columns={n: profile.columns[n] for n in columns if n in profile.columns},
            )
            for profile in file.profiles
        ],
    )
