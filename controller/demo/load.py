"""What a demo serves: an archive in its first state, and the change that comes in the middle.

The change is a delayed-mode reprocessing wave, where bursts of real load come from. In an archive
that the demo made, files are rewritten and renamed; of an archive that was given nothing is
touched: its most recently updated profiles are held back at first, and arrive as the wave.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from controller.apps.argo.archive import Archive, open_archive
from controller.apps.argo.catalogue import profile_indexes
from controller.apps.argo.orders import ArchiveAddress
from controller.demo.archive import make_archive, reprocess
from controller.errors import ArchiveError

PROFILES = 1500
"""Profiles of the demo's own archive: made in seconds, enough to keep several nodes busy."""

SEED = 12003

HELD_BACK = 0.15
"""Part of a given archive's profiles that arrive as the wave: those updated last."""


class Load(Protocol):
    """An archive that can be served again and again from its first state."""

    def prepare(self, folder: Path) -> tuple[str, Path | None]:
        """Return the archive's URL, and the older index to begin from, for one more serving."""

    def change(self, url: str) -> None:
        """Let the wave happen in an archive that was prepared."""


class OwnLoad:
    """An archive of the demo's own.

    Parameters
    ----------
    folder : Path
        Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._archive = make_archive(folder, profiles=PROFILES, seed=SEED)

    def prepare(self, folder: Path) -> tuple[str, Path | None]:
        """Return a copy: the wave will change it."""
        shutil.copytree(self._archive.folder, folder / "archive")
        return str(folder / "archive"), None

    def change(self, url: str) -> None:
        """Reprocess some hundred profiles of the copy."""
        reprocess(replace(self._archive, folder=Path(url)))


class GivenLoad:
    """An archive that somebody else owns: it is read and never written.

    Parameters
    ----------
    url : str
        Folder or fsspec URL.
    folder : Path
        Where the older state of its index is kept.

    Raises
    ------
    ArchiveError
        It has no index, or the index does not say when profiles were updated.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._older = folder / "older_index.txt"
        archive = open_archive(ArchiveAddress(url=url))
        self._older.write_bytes(older_index(archive, profile_indexes(archive)[0], HELD_BACK))

    def prepare(self, folder: Path) -> tuple[str, Path | None]:
        """Return the archive itself, and its older index."""
        return self._url, self._older

    def change(self, url: str) -> None:
        """Do nothing: what was held back is there."""


def older_index(archive: Archive, name: str, held_back: float) -> bytes:
    """Return an index as it stood before its latest updates.

    Parameters
    ----------
    archive : Archive
    name : str
        One of its indexes.
    held_back : float
        Part of the rows to leave out, those updated last.

    Raises
    ------
    ArchiveError
        The index has no column ``date_update``.
    """
    with archive.open_index(name) as stream:
        lines = stream.read().splitlines(keepends=True)
    begin = next((i for i, line in enumerate(lines) if not line.startswith(b"#")), 0)
    titles = lines[begin].strip().split(b",") if lines else []
    if b"date_update" not in titles:
        raise ArchiveError(
            f"{name} does not say when profiles were updated", fix="It needs a column date_update"
        )
    place = titles.index(b"date_update")
    updated = [
        (line.strip().split(b",") + [b""] * len(titles))[place] for line in lines[begin + 1 :]
    ]
    cut = sorted(updated)[: max(1, round(len(updated) * (1 - held_back)))][-1] if updated else b""
    kept = [line for line, date in zip(lines[begin + 1 :], updated, strict=True) if date <= cut]
    return b"".join([*lines[: begin + 1], *kept])
