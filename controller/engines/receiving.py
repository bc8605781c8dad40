"""Fragments that come back with their receipts, from workers that do not see where they lie.

The worker sends the file's bytes, and the scheduler, which runs beside the service, writes them
before it tells anybody that the part is done. So a receipt means what it always does, a service
that is away misses nothing, and no bytes wait in the memory of any of the three.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from msgspec.structs import replace

from controller.engines.messages import PartDone, PartRefused
from controller.errors import StorageError
from controller.ports import fragment_stem
from controller.returning import put_by
from planner.model import Fragment

CONTENT_BYTES_MAX = 8_000_000
"""A larger fragment does not travel with its receipt: it would hold up the heartbeats on the same
connection and, for moments, the whole scheduler."""

PARTIAL = ".partial"
"""Ends the name of a file that is being written."""


def with_content(done: PartDone) -> PartDone:
    """Return a receipt with the fragment itself, where this worker could not put it in its place.

    Raises
    ------
    StorageError
        It is too large for that, or not what the part says.
    """
    path = put_by(done.fragment.url)
    if path is None:
        return done
    if not path.exists():
        raise StorageError(f"part {done.part_id} left no fragment {path.name}", retry=False)
    size_bytes = path.stat().st_size
    if size_bytes > CONTENT_BYTES_MAX:
        raise StorageError(
            f"the fragment of part {done.part_id} has {size_bytes:,} bytes, and up to "
            f"{CONTENT_BYTES_MAX:,} travel with their receipt",
            fix="Set service.fragments_url to a place that the nodes reach, or have more parts cut",
            retry=False,
        )
    return replace(done, content=path.read_bytes())


def forget_content(fragment: Fragment) -> None:
    """Remove what was put by for a fragment."""
    if path := put_by(fragment.url):
        path.unlink(missing_ok=True)


def taken_in(done: PartDone, folder: str) -> PartDone | PartRefused:
    """Write the fragment that came with a receipt; return the receipt alone, or why not.

    Parameters
    ----------
    done : PartDone
    folder : str
        Where fragments lie; nothing is written anywhere else, whatever a worker says.
    """
    if done.content is None:
        return done
    assert isinstance(done.content, bytes)
    fault = _fault(done.fragment, done.content, folder, fragment_stem(done.part_id, done.attempt))
    if not fault:
        fault = _written(Path(done.fragment.url), done.content)
        if not fault:
            return replace(done, content=None)
    reason = f"the fragment of part {done.part_id} is not taken from {done.name}: {fault}"
    return PartRefused(part_id=done.part_id, attempt=done.attempt, reason=reason, retry=True)


def _fault(fragment: Fragment, content: bytes, folder: str, stem: str) -> str:
    """Return what is wrong with a fragment that came, empty when nothing is."""
    name = fragment.url.rpartition("/")[2]
    if not folder or fragment.url != f"{folder}/{name}" or not is_plain(name, stem):
        return f"{fragment.url} is not where its fragments lie"
    if len(content) != fragment.size_bytes:
        return f"{len(content):,} bytes came of {fragment.size_bytes:,}"
    if hashlib.sha256(content).hexdigest() != fragment.sha256:
        return "its checksum is another"
    return ""


def is_plain(name: str, stem: str) -> bool:
    """Tell whether a name is a stem and an ending, of which no file system makes anything else."""
    return name.startswith(f"{stem}.") and name.isprintable() and not name.endswith(PARTIAL)


def _written(path: Path, content: bytes) -> str:
    """Write a file whole; return in words why not."""
    draft = path.with_name(path.name + PARTIAL)
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # What keeps it from being written may keep it there.
            draft.unlink(missing_ok=True)
        return os.strerror(error.errno or 0)
    return ""
