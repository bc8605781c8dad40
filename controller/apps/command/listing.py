"""What the folder of a dataset holds, and with which update each of its files came."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from controller.apps.command.orders import ListedFile
from controller.apps.command.places import Places
from controller.destinations import without_user
from controller.errors import ArchiveError
from controller.reach import reach
from planner.density import Density
from planner.extent import Extent
from planner.model import UpdateSpan

FILES_MAX = 100_000
"""Files of a folder: they are named to every part that reads them, and listed at every look."""

DEPTH_MAX = 16
"""Folders below each other that are listed; it ends a walk around links."""

_STAMPS = (
    "ETag",
    "etag",
    "checksum",
    "mtime",
    "LastModified",
    "last_modified",
    "modified",
    "updated",
)
"""What file systems call what changes with a file, the surest first."""

Files = Mapping[str, ListedFile]


def list_folder(url: str, pattern: str, *, links: bool = True) -> dict[str, ListedFile]:
    """Return the files below a folder whose path there fits a pattern; hidden ones never do.

    What is no regular file is none.

    Parameters
    ----------
    url : str
        Folder or fsspec URL.
    pattern : str
        As ``*.nc``; a ``*`` matches across folders.
    links : bool
        Whether symbolic links to files are followed, be it out of the folder; those to folders
        never are.

    Raises
    ------
    ArchiveError
        The folder is not there or cannot be listed, or has more than `FILES_MAX` such files.
    """
    shown = without_user(url)
    try:
        filesystem, root = reach(url)
        if not filesystem.isdir(root):
            raise ArchiveError(
                f"the folder {shown} is not there",
                fix="Correct `archive` of its dataset",
            )
        # File systems remember what they listed, and would never see a change.
        filesystem.invalidate_cache()
        found = _walked(filesystem, root.rstrip("/"), pattern, links)
    except (ImportError, ValueError) as error:
        raise ArchiveError(f"the folder {shown} cannot be opened: {error}") from error
    except OSError as error:
        raise ArchiveError(f"the folder {shown} cannot be listed: {error.strerror}") from error
    if len(found) > FILES_MAX:
        raise ArchiveError(
            f"the folder {shown} has more than {FILES_MAX:,} files like {pattern}",
            fix="Narrow `files` of its dataset, or make several datasets of it",
        )
    return found


def listed_file(url: str, path: str) -> ListedFile:
    """Return what a file below a folder is now.

    Raises
    ------
    OSError
        It is not there, or cannot be reached.
    """
    filesystem, root = reach(url)
    filesystem.invalidate_cache()
    return _listed(path, filesystem.info(f"{root.rstrip('/')}/{path}"))


def _walked(filesystem: Any, root: str, pattern: str, links: bool) -> dict[str, ListedFile]:
    found: dict[str, ListedFile] = {}
    for folder, folders, files in filesystem.walk(
        root, maxdepth=DEPTH_MAX, detail=True, on_error="raise"
    ):
        for name in [name for name in folders if name.startswith(".")]:
            del folders[name]
        for name, told in files.items():
            path = f"{folder}/{name}".removeprefix(f"{root}/")
            if not name or name.startswith(".") or not fnmatchcase(path, pattern):
                continue
            if told["type"] == "file" or (links and _leads_to_file(filesystem, told)):
                found[path] = _listed(path, told)
        if len(found) > FILES_MAX:
            break
    return found


def _leads_to_file(filesystem: Any, told: Mapping[str, Any]) -> bool:
    return bool(told.get("islink")) and bool(filesystem.isfile(told["name"]))


def _listed(path: str, told: Mapping[str, Any]) -> ListedFile:
    stamp = next((str(told[name]) for name in _STAMPS if told.get(name)), "")
    return ListedFile(path=path, size_bytes=int(told.get("size") or 0), stamp=stamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingState:
    """One state of the folder; replaced as a whole, so that readers in other threads see one.

    Parameters
    ----------
    files : mapping of str to ListedFile
    came_with : mapping of str to int
        The update that brought each file as it is.
    newest : int
        The last update.
    places : Places or None
    """

    files: Files = field(default_factory=dict)
    came_with: Mapping[str, int] = field(default_factory=dict)
    newest: int = 0
    places: Places | None = None


class Listing:
    """The files of a folder by update; safe to read while it is updated.

    Parameters
    ----------
    files : mapping of str to ListedFile
        What is there at the beginning: update 0.
    places : Places or None
        Where they lie, where an index says so; files that it does not place are not served.
    state : ListingState or None
        What to go on from instead, where it was kept.
    """

    def __init__(
        self, files: Files, places: Places | None = None, state: ListingState | None = None
    ) -> None:
        self._state = state or ListingState(
            files=files, came_with=dict.fromkeys(files, 0), places=places
        )

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._state.files)

    @property
    def newest(self) -> int:
        """The number of the last update."""
        return self._state.newest

    def changed(self, files: Files, places: Places | None = None) -> tuple[str, ...]:
        """Return the paths of files that are new or not what they were, sorted.

        One that has a place now and had none counts too: until now it was not served.
        """
        known, before = self._state.files, self._state.places
        changed = {path for path, file in files.items() if known.get(path) != file}
        if places is not None and before is not None:
            changed |= files.keys() & (set(places.paths) - set(before.paths))
        return tuple(sorted(changed))

    def gone(self, files: Files) -> int:
        """Return how many known files are not there any more."""
        return len(self._state.files.keys() - files.keys())

    def after(self, files: Files, changed: Collection[str], places: Places | None) -> ListingState:
        """Return the state that follows: the next update's, or the same one's if nothing changed.

        A file that has gone is no update: there is nothing to deliver of it.
        """
        old = self._state
        number = old.newest + bool(changed)
        came_with = {path: old.came_with.get(path, number) for path in files}
        came_with.update(dict.fromkeys(changed, number))
        return ListingState(files=files, came_with=came_with, newest=number, places=places)

    @property
    def state(self) -> ListingState:
        """What the folder held when it was last taken in."""
        return self._state

    def take_in(self, state: ListingState) -> None:
        """Let a state count from now on."""
        self._state = state

    def select(self, extent: Extent, updates: UpdateSpan) -> tuple[ListedFile, ...]:
        """Return the files of some updates that lie in an extent, or all of them without places."""
        state = self._state
        paths = _in_span(state, updates)
        if state.places is not None:
            inside = state.places.inside(extent)
            paths = [path for path in paths if path in inside]
        return tuple(state.files[path] for path in paths)

    def density(self, extent: Extent, updates: UpdateSpan) -> Density | None:
        """Return where the files of some updates lie in an extent; None without places."""
        state = self._state
        if state.places is None:
            return None
        sizes = {path: state.files[path].size_bytes for path in _in_span(state, updates)}
        return state.places.density(extent, sizes)

    @property
    def has_places(self) -> bool:
        """Whether it is known where the files lie."""
        return self._state.places is not None


def _in_span(state: ListingState, updates: UpdateSpan) -> list[str]:
    after = -1 if updates.after is None else updates.after
    return sorted(
        path for path, number in state.came_with.items() if after < number <= updates.upto
    )
