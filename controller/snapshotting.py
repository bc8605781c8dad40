"""Keeps the tail of the journal short, in a process of its own: the loop never waits for it.

A snapshot is not copied out of the running planner: the process replays the journal from the last
snapshot on, which gives the same state, and on the way proves that it does. Then the lines behind
it are archived as a file, and dropped from the store.
"""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from controller.build import BUILD
from controller.clock import now
from controller.recording import keep_state, replayed
from controller.store.database import Database
from controller.store.opening import Address, opened
from controller.store.store import Store, Write
from planner.errors import BrokenJournal, SlackwaterError
from planner.scaling.catalogue import Policies

ARCHIVE = "journal"
"""Where archived lines lie, in the data folder."""

END_S_MAX = 10.0
"""A process that was told to end is killed after this time [s]; what it was at is begun anew."""

DROPPED_AT_ONCE = 1_000
"""Archived lines are dropped so many at a time, between which the loop may write."""

NICENESS = 10
"""The process yields to those that deliver."""

_log = logging.getLogger(__name__)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told, on standard input.

    Parameters
    ----------
    address : Address
        Of the store.
    holder : str
    epoch : int
        Of the service that gives the order: once another has taken over, nothing is written.
    upto : int
        The step after which the snapshot is.
    archive : str
        Folder for the lines that are dropped.
    at : float
        When it was given [POSIX s].
    """

    address: Address
    holder: str
    epoch: int
    upto: int
    archive: str
    at: float


class Snapshots:
    """Has a snapshot taken whenever the tail of the journal has grown long.

    Parameters
    ----------
    address : Address
    store : Store
        Whose epoch stands in the orders.
    archive : Path
        Folder for the lines that are dropped.
    steps : int
        A tail of so many steps is long.
    done : callable
        Is told the step of each new snapshot.

    Attributes
    ----------
    fault : str
        Why the last snapshot was not taken; empty when it was.
    """

    def __init__(
        self,
        address: Address,
        store: Store,
        archive: Path,
        *,
        steps: int,
        done: Callable[[int], None],
    ) -> None:
        self.fault = ""
        self._address, self._store, self._archive = address, store, archive
        self._steps, self._done = steps, done
        self._process: subprocess.Popen[bytes] | None = None
        self._upto = 0

    def look(self, seq: int, snapshot_seq: int) -> None:
        """See to it that the tail between the last snapshot and the last step is short."""
        if self._process is not None:
            self._hear(self._process)
        elif seq - max(snapshot_seq, self._upto) >= self._steps:
            self._begin(seq)

    def close(self) -> None:
        """End the process, if one is at it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._put_away(self._process)

    def _begin(self, seq: int) -> None:
        self._upto = seq
        order = Order(
            address=self._address,
            holder=self._store.holder,
            epoch=self._store.epoch,
            upto=seq,
            archive=str(self._archive),
            at=now(),
        )
        try:
            self._process = self._started(order)
        except OSError as error:
            self.fault = str(error.strerror)
            _log.error("no snapshot was taken: %s", self.fault)

    def _started(self, order: Order) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # It has ended already, and tells why.
            process.stdin.write(msgspec.json.encode(order))
            process.stdin.close()
        return process

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            return
        assert process.stderr is not None
        told = process.stderr.read().decode(errors="replace").strip()
        self.fault = told.splitlines()[-1] if process.returncode and told else ""
        if process.returncode == 0:
            self._done(self._upto)
        else:
            _log.error("no snapshot was taken: %s", self.fault or f"exit {process.returncode}")
        self._put_away(process)

    def _put_away(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        process.stderr.close()
        self._process = None


def take(database: Database, order: Order) -> None:
    """Take a snapshot as ordered, and archive the lines that it makes dispensable."""
    store = Store(database, order.holder)
    store.epoch = order.epoch
    kept = store.snapshot()
    assert kept is not None, "a service that gives orders has begun"
    planner, seq = replayed(store, kept, BUILD, Policies(), order.upto)
    archive_lines(store, Path(order.archive), seq)
    keep_state(store, planner.snapshot(), seq, BUILD, order.at)
    drop_lines(store, seq)


def archive_lines(store: Store, folder: Path, upto: int) -> Path | None:
    """Write the journal's lines up to a step into a file of their own; None where there are none.

    It is named by the first step and the last. After a kill two files may hold the same steps.
    """
    lines = store.lines(0, upto)
    first = next(lines, None)
    if first is None:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{first[0]:012d}-{upto:012d}.jsonl.gz"
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        with gzip.GzipFile(
            filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0
        ) as packed:
            packed.write(first[1])
            for _, line in lines:
                packed.write(line)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def archived_lines(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and line of all archived steps, each once and in order.

    Raises
    ------
    BrokenJournal
        Some steps are missing.
    """
    last = 0
    for path in sorted(folder.glob("*.jsonl.gz")):
        first = int(path.name[:12])
        if first > last + 1:
            raise BrokenJournal(f"{folder} lacks the steps {last + 1} to {first - 1}")
        with gzip.open(path) as lines:
            for number, line in enumerate(lines, start=first):
                if number == last + 1:
                    yield number, line
                    last = number


def drop_lines(store: Store, upto: int) -> None:
    """Drop the journal's lines up to a step from the store, a few at a time."""
    first = next(store.lines(0, upto), None)
    after = upto if first is None else first[0] - 1
    while after < upto:
        end = min(upto, after + DROPPED_AT_ONCE)
        store.commit([Write(query="drop_lines", rows=({"after": after, "upto": end},))])
        after = end


def main() -> int:
    """Take one snapshot as standard input orders it."""
    os.nice(NICENESS)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        with opened(order.address) as database:
            take(database, order)
    except SlackwaterError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
