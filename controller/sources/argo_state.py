"""How the catalogue of an archive outlives the service: a whole state, and each update after it.

An update costs what it brings. When very many have come the state is written anew. Every row keeps
the updates between which it stood, so a state answers for each update before it, too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.changes import Changes
from controller.apps.argo.histories import NEVER, History, Kept, read_kept, write_kept
from controller.apps.argo.index import RowFault
from controller.errors import StorageError
from controller.sources.keeping import Memory

STATE, UPDATE, SEEN = "state-{}.npz", "update-{}.npz", "seen.json"

UPDATES_MAX = 256
"""Updates kept apart before the state is written anew: some days of an archive's."""

UPDATES_BYTES_MAX = 64 * 2**20
"""Their size [bytes] before it is: half of what the state of all of Argo takes."""


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """By what each index was known when the source stood at an update."""

    number: int
    stamps: dict[str, str]


class ArgoState:
    """Keeps one catalogue.

    Parameters
    ----------
    memory : Memory
    dataset : str
        Identifier, for messages.
    """

    def __init__(self, memory: Memory, dataset: str) -> None:
        self._memory = memory
        self._dataset = dataset
        memory.sweep()

    def begin(self, catalogue: Catalogue) -> None:
        """Keep a catalogue as the state at its newest update, and nothing else.

        Raises
        ------
        StorageError
        """
        kept = Kept(histories=catalogue.histories(), faults=catalogue.faults)
        self._memory.write(STATE.format(catalogue.newest), lambda file: write_kept(file, kept))
        self._forget(STATE, [n for n in self._numbers(STATE) if n != catalogue.newest])
        self._forget(UPDATE, self._numbers(UPDATE))

    def restore(self) -> tuple[Catalogue, str] | None:
        """Return the catalogue at the update that the journal knows; None where nothing is kept.

        Returns
        -------
        catalogue : Catalogue
        warning : str
            What is not as it was left, in words; mostly empty.

        Raises
        ------
        StorageError
            What is kept cannot be read.
        """
        known, states = self._memory.known, self._numbers(STATE)
        assert known is not None
        if not states:
            return None
        start = max((n for n in states if n <= known), default=states[0])
        catalogue = self._at(start, known)
        reached, begun = catalogue.newest, start > known
        while reached < known and reached + 1 in self._numbers(UPDATE):
            reached += 1
            self._add(catalogue, reached)
        self._forget(UPDATE, [n for n in self._numbers(UPDATE) if n > reached])
        if not begun:
            self._forget(STATE, [n for n in states if n > known])
        if reached < known:
            catalogue = Catalogue.from_histories(catalogue.histories(), known, catalogue.faults)
        if reached < known or begun:
            self.begin(catalogue)
        return catalogue, self._warning(reached, known)

    def add(self, number: int, changes: Changes, faults: tuple[RowFault, ...]) -> None:
        """Keep what an update changed; to be called before anybody is told of it.

        Raises
        ------
        StorageError
        """
        arrived = changes.arrived
        since = np.full(len(arrived), number, np.int32)
        history = History(rows=arrived, since=since, until=np.full(len(arrived), NEVER, np.int32))
        kept = Kept(histories=(history,), outdated=changes.outdated, faults=faults)
        self._memory.write(UPDATE.format(number), lambda file: write_kept(file, kept))

    def tidy(self, catalogue: Catalogue) -> None:
        """Write the state anew where very many updates are kept apart.

        Raises
        ------
        StorageError
        """
        updates = [self._place(UPDATE, number) for number in self._numbers(UPDATE)]
        if len(updates) < UPDATES_MAX and _bytes(updates) < UPDATES_BYTES_MAX:
            return
        self.begin(catalogue)
        catalogue.condense()

    def saw(self, number: int, stamps: dict[str, str]) -> None:
        """Keep by what the indexes were known when the source stood at an update.

        Raises
        ------
        StorageError
        """
        content = msgspec.json.encode(_Seen(number=number, stamps=stamps))
        self._memory.write(SEEN, lambda file: file.write(content))

    def seen(self, number: int) -> dict[str, str]:
        """Return that of an update; nothing where it was not kept, or not for this one."""
        try:
            found = msgspec.json.decode(self._memory.read(SEEN) or b"", type=_Seen)
        except msgspec.MsgspecError:
            return {}
        return found.stamps if found.number == number else {}

    def _at(self, start: int, known: int) -> Catalogue:
        kept = self._read(STATE, start)
        return Catalogue.from_histories(kept.histories, min(start, known), kept.faults)

    def _add(self, catalogue: Catalogue, number: int) -> None:
        kept = self._read(UPDATE, number)
        (arrived,) = kept.histories
        catalogue.take_in(number, arrived.rows, kept.outdated)
        catalogue.faults = kept.faults

    def _read(self, name: str, number: int) -> Kept:
        place = self._place(name, number)
        try:
            with place.open("rb") as file:
                return read_kept(file, str(place))
        except OSError as error:
            raise StorageError(f"{place} cannot be read: {error.strerror}") from error

    def _warning(self, reached: int, known: int) -> str:
        if reached == known:
            return ""
        return (
            f"of {self._dataset} the state at update {known} is lost: what changed after update"
            f" {reached} is told again"
        )

    def _numbers(self, name: str) -> list[int]:
        return self._memory.numbers(name)

    def _place(self, name: str, number: int) -> Path:
        return self._memory.folder / name.format(number)

    def _forget(self, name: str, numbers: list[int]) -> None:
        for number in numbers:
            self._memory.remove(name.format(number))


def _bytes(places: list[Path]) -> int:
    return sum(place.stat().st_size for place in places)
