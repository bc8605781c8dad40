"""Lets a worker that does not see where fragments lie bring its own back with its receipt.

An application writes a fragment to the URL that its order names, wherever it runs. On a node of
another machine that may be a folder of the service's machine: there the file is put into a folder
of the worker's instead, from where the engine takes it. Applications know nothing of it; it is set
up by whatever made the worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Returning:
    """What a worker does not see, and where it puts what goes there.

    Parameters
    ----------
    folder : Path
        The worker's own; holds what one part has written.
    seen : tuple of str
        Folders (fsspec) that it does see, so that it writes to them itself.
    """

    folder: Path
    seen: tuple[str, ...]

    def place(self, url: str) -> Path | None:
        """Return where a file for a URL is put, or None when that can be written to itself."""
        if urlsplit(url).scheme not in ("", "file"):
            return None
        if any(url.startswith(f"{each.rstrip('/')}/") for each in self.seen):
            return None
        return self.folder / url.rpartition("/")[2]


class _Process:
    """What holds for this process."""

    returning: Returning | None = None


def return_unseen(folder: Path, seen: tuple[str, ...]) -> None:
    """Have this process put into a folder what it would write where it does not see."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _Process.returning = Returning(folder=folder, seen=seen)


def put_by(url: str) -> Path | None:
    """Return where a file for a URL is put in this process, if not at that URL."""
    return _Process.returning.place(url) if _Process.returning else None
