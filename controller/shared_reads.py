"""Lets the workers of one node share what they read, so that a file is read from its source once.

A read is kept, pickled, as a file in a folder that only the node's workers may write to. Who comes
first makes it, and who wants the same meanwhile waits for it: a lock of the kernel's says whose
turn it is, so a worker that is killed holds nobody up. What is being written has a name of its own
and is renamed when it is whole.

Reads are kept by *batch*, as those of one update of one archive. When room is short, batches that
were superseded go. One that is too large by itself keeps what fits, and the rest is read each time:
tasks read the same files in turn, and whatever was dropped for the newest would be the next wanted.

Nothing depends on the folder. A worker that cannot use it says so once, and reads by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

FOLDER_VARIABLE = "SLACKWATER_SHARED_READS"
SIZE_VARIABLE = "SLACKWATER_SHARED_READS_MB"
"""How a worker's process, and what it starts, learn of the folder: whatever made the node can set
variables of the environment."""

ENTRY_FRACTION_MAX = 1 / 8
"""A read larger than this fraction of the room is not kept: it would displace too many others."""

TURN_S_MAX = 5.0
"""Who waits longer for another worker's read does it himself [s]: that one may be stuck, and one
task must not hold up another."""

POLL_S_MIN, POLL_S_MAX = 0.001, 0.02
"""Pauses between two looks whether another worker's read has come [s]; each is twice the last."""

IDLE_S_MIN = 60.0
"""A batch of another source gives way when nothing was added to it for so long [s]."""

BLOCK_BYTES = 4096
"""A file takes whole blocks of a disc."""

LEDGER = "ledger"
"""The file that says in its first bytes how much is held. Locks are taken on its bytes: on the
first ones for the sum, on one far behind them for each read, so that there is nothing to clear."""

SUM_BYTES = 20

Read = TypeVar("Read")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadName:
    """What is read, the same for all who want the same.

    Parameters
    ----------
    source : str
        Where it is read from, as the URL of an archive.
    number : int
        Of the source's state, as its newest update: what was read before it is superseded.
    shelf : str
        What is kept of it. Who makes a read may ask for one of another shelf meanwhile, always in
        the same order of shelves.
    key : tuple of str
        Which of the source's things it is, and all else that the content depends on.
    """

    source: str
    number: int
    shelf: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Where a read is kept.

    Parameters
    ----------
    place : Path
    number : int
        Of its batch.
    turn : int
        The byte of the ledger that is locked by who makes it.
    """

    place: Path
    number: int
    turn: int


class SharedReads:
    """What the workers of one node have read.

    Parameters
    ----------
    folder : Path
        Of this node alone. Made if need be.
    size_bytes_max : int
        Room for all reads together [bytes].

    Notes
    -----
    Its locks are the process's: a process has one of it (`shared_reads`), and reads in one thread.
    """

    def __init__(self, folder: Path, size_bytes_max: int) -> None:
        self._folder = folder
        self._size_bytes_max = size_bytes_max
        self._made: set[Path] = set()
        self._full: set[Path] = set()
        self._ledger = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._ledger = os.open(folder / LEDGER, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            self._tell(error)
        self._is_usable = self._ledger >= 0

    def get(self, name: ReadName, read: Callable[[], Read]) -> Read:
        """Return what was read by this name, or read it now.

        Parameters
        ----------
        name : ReadName
        read : callable
            Reads it from its source; what it returns can be pickled, what it raises is raised and
            nothing kept.
        """
        entry = self._entry(name)
        content = _content(entry.place)
        if content is None and self._takes(entry):
            with self._turn(entry) as is_ours:
                content = _content(entry.place)  # It may have come while we waited.
                if content is None and is_ours:
                    found = read()
                    self._keep(entry, pickle.dumps(found, pickle.HIGHEST_PROTOCOL))
                    return found
        if content is None:
            return read()
        kept: Read = pickle.loads(content)
        return kept

    def forget(self, name: ReadName) -> None:
        """Keep a read no longer, as one that turned out to be of no use."""
        with contextlib.suppress(OSError):
            self._entry(name).place.unlink()

    def close(self) -> None:
        """Let go of the folder; what this process reads from now on is its own."""
        if self._ledger >= 0:
            os.close(self._ledger)
        self._ledger, self._is_usable = -1, False

    def _entry(self, name: ReadName) -> _Entry:
        batch = f"{_digest(name.source)}-{name.number}"
        digest = _digest(name.shelf, *name.key)
        return _Entry(
            place=self._folder / batch / f"{name.shelf}-{digest}",
            number=name.number,
            turn=SUM_BYTES + int(digest[:15], 16),
        )

    def _takes(self, entry: _Entry) -> bool:
        return self._is_usable and entry.place.parent not in self._full

    @contextmanager
    def _turn(self, entry: _Entry) -> Iterator[bool]:
        is_ours = self._await_turn(entry)
        try:
            yield is_ours
        finally:
            if is_ours:
                fcntl.lockf(self._ledger, fcntl.LOCK_UN, 1, entry.turn)

    def _await_turn(self, entry: _Entry) -> bool:
        """Wait for our turn to make a read; False when it has come, or will not in time."""
        give_up_at, pause_s = time.monotonic() + TURN_S_MAX, POLL_S_MIN
        while time.monotonic() < give_up_at:
            try:
                fcntl.lockf(self._ledger, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, entry.turn)
            except BlockingIOError:
                if entry.place.exists():
                    return False
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, POLL_S_MAX)
            except OSError as error:
                self._give_up(error)
                return False
            else:
                return True
        return False

    def _keep(self, entry: _Entry, content: bytes) -> None:
        batch = entry.place.parent
        if len(content) > self._size_bytes_max * ENTRY_FRACTION_MAX:
            return
        draft = entry.place.with_suffix(f".{os.getpid()}")
        try:
            if not self._book(entry, _blocks(len(content))):
                self._full.add(batch)
                return
            if batch not in self._made:
                batch.mkdir(mode=0o700, exist_ok=True)
                self._made.add(batch)
            draft.write_bytes(content)
            draft.rename(entry.place)
        except FileNotFoundError:
            self._made.discard(batch)  # It was cleared just now, or the whole node was.
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            self._give_up(error)

    def _book(self, entry: _Entry, size_bytes: int) -> bool:
        """Book room for a read; False when there is none, even without what may go.

        What a worker had booked that was killed before it wrote is missing until the next clearing,
        which counts anew.
        """
        with self._sum_locked():
            booked = os.pread(self._ledger, SUM_BYTES, 0)
            held = int(booked) if booked else self._size_bytes_max  # Nobody counted: do it now.
            if held + size_bytes > self._size_bytes_max:
                held = self._clear(entry, size_bytes)
            fits = held + size_bytes <= self._size_bytes_max
            held += size_bytes if fits else 0
            os.pwrite(self._ledger, f"{held:0{SUM_BYTES}}".encode(), 0)
        return fits

    @contextmanager
    def _sum_locked(self) -> Iterator[None]:
        fcntl.lockf(self._ledger, fcntl.LOCK_EX, SUM_BYTES)
        try:
            yield
        finally:
            fcntl.lockf(self._ledger, fcntl.LOCK_UN, SUM_BYTES)

    def _clear(self, entry: _Entry, size_bytes: int) -> int:
        """Remove batches, oldest first, until a read fits; return what is still held [bytes]."""
        batches = [path for path in self._folder.iterdir() if path.is_dir()]
        held = {batch: _held_bytes(batch) for batch in batches}
        for batch in sorted(batches, key=lambda batch: batch.stat().st_mtime):
            if sum(held.values()) + size_bytes <= self._size_bytes_max:
                break
            if _gives_way(batch, entry):
                shutil.rmtree(batch, ignore_errors=True)
                held[batch] = _held_bytes(batch)
        return sum(held.values())

    def _give_up(self, error: OSError) -> None:
        """Stop sharing what is read from now on."""
        self._is_usable = False
        self._tell(error)

    def _tell(self, error: OSError) -> None:
        _log.warning("this worker keeps no more of what it reads in %s: %s", self._folder, error)


def share(folder: Path, size_mb: float) -> None:
    """Have this process, and those that it starts, share what they read; size 0 shares nothing.

    Parameters
    ----------
    folder : Path
        Of one node alone.
    size_mb : float
        Room for all reads together [MB].
    """
    os.environ[FOLDER_VARIABLE] = str(folder)
    os.environ[SIZE_VARIABLE] = f"{size_mb:g}"


def shared_reads() -> SharedReads | None:
    """Return what this process shares its reads by, or None when it reads for itself alone."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    size_bytes_max = int(float(os.environ.get(SIZE_VARIABLE, "0")) * 1e6)
    return _opened(folder, size_bytes_max) if folder and size_bytes_max > 0 else None


@cache
def _opened(folder: str, size_bytes_max: int) -> SharedReads:
    return SharedReads(Path(folder), size_bytes_max)


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None


def _gives_way(batch: Path, entry: _Entry) -> bool:
    """Tell whether a batch may go so that another one has room."""
    ours = entry.place.parent.name.rpartition("-")[0]
    source, _, number = batch.name.rpartition("-")
    if source == ours:
        return int(number) < entry.number
    return time.time() - batch.stat().st_mtime > IDLE_S_MIN


def _held_bytes(batch: Path) -> int:
    held = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(batch) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # A draft has become an entry meanwhile.
                held += _blocks(file.stat().st_size)
    return held


def _blocks(size_bytes: int) -> int:
    """Return what a file takes on the disc [bytes]."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _digest(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).hexdigest()
