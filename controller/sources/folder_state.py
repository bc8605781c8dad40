"""How the listing of a folder outlives the service: whole at each update, and two are kept."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from controller.apps.command.listing import ListingState
from controller.apps.command.orders import ListedFile
from controller.apps.command.places import Places
from controller.errors import StorageError
from controller.sources.keeping import Memory

STATE = "state-{}.json"

GENERATIONS = 2
"""The state that the journal knows and the one that it may not know yet."""

FORMAT = 1
"""Grows when a reader of older files would misunderstand a new one."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A state as it is written: files as path, size, stamp and update; places as path and place."""

    format: int = FORMAT
    newest: int
    files: list[tuple[str, int, str, int]]
    places: list[tuple[str, float, float, float]] | None
    faults: tuple[str, ...]


class FolderState:
    """Keeps one listing.

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

    def keep(self, state: ListingState) -> None:
        """Keep a state; to be called before anybody is told of its update.

        Raises
        ------
        StorageError
        """
        content = msgspec.json.encode(_kept(state))
        self._memory.write(STATE.format(state.newest), lambda file: file.write(content))
        self._forget([n for n in self._memory.numbers(STATE) if n <= state.newest - GENERATIONS])

    def begin(self, state: ListingState) -> None:
        """Keep a state and nothing else.

        Raises
        ------
        StorageError
        """
        self.keep(state)
        self._forget([n for n in self._memory.numbers(STATE) if n != state.newest])

    def restore(self) -> tuple[ListingState, str] | None:
        """Return the listing at the update that the journal knows; None where nothing is kept.

        Of a later one its files are forgotten, so that they are told again. An earlier one stands
        for it, and what came since is told again.

        Returns
        -------
        state : ListingState
        warning : str
            What is not as it was left, in words; mostly empty.

        Raises
        ------
        StorageError
            What is kept cannot be read.
        """
        known, numbers = self._memory.known, self._memory.numbers(STATE)
        assert known is not None
        if not numbers:
            return None
        start = max((n for n in numbers if n <= known), default=numbers[0])
        state = _as_of(self._read(start), known)
        self.begin(state)
        if start >= known:
            return state, ""
        return state, (
            f"of {self._dataset} the state at update {known} is lost: what changed after update"
            f" {start} is told again"
        )

    def _read(self, number: int) -> ListingState:
        name = STATE.format(number)
        try:
            kept = msgspec.json.decode(self._memory.read(name) or b"", type=_Kept)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"{self._memory.folder / name} is damaged: {error}",
                fix="Restore the folder of the source from a backup",
                retry=False,
            ) from error
        if kept.format > FORMAT:
            raise StorageError(
                f"{self._memory.folder / name} has format {kept.format}, newer than this version"
                " knows",
                fix="Use the version that wrote it",
                retry=False,
            )
        return _state(kept)

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self._memory.remove(STATE.format(number))


def _as_of(state: ListingState, known: int) -> ListingState:
    came_with = {path: number for path, number in state.came_with.items() if number <= known}
    return ListingState(
        files={path: state.files[path] for path in came_with},
        came_with=came_with,
        newest=known,
        places=state.places,
    )


def _kept(state: ListingState) -> _Kept:
    places = state.places
    return _Kept(
        newest=state.newest,
        files=[
            (path, file.size_bytes, file.stamp, state.came_with[path])
            for path, file in state.files.items()
        ],
        places=None if places is None else _listed(places),
        faults=() if places is None else places.faults,
    )


def _listed(places: Places) -> list[tuple[str, float, float, float]]:
    columns = (places.paths, places.time_s, places.longitude, places.latitude)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _state(kept: _Kept) -> ListingState:
    files: Mapping[str, ListedFile] = {
        path: ListedFile(path=path, size_bytes=size, stamp=stamp)
        for path, size, stamp, _ in kept.files
    }
    return ListingState(
        files=files,
        came_with={path: number for path, _, _, number in kept.files},
        newest=kept.newest,
        places=None if kept.places is None else _places(kept.places, kept.faults),
    )


def _places(rows: list[tuple[str, float, float, float]], faults: tuple[str, ...]) -> Places:
    table = np.array([row[1:] for row in rows], np.float64).reshape(-1, 3)
    return Places(
        paths=np.array([row[0] for row in rows], object),
        time_s=table[:, 0],
        longitude=table[:, 1],
        latitude=table[:, 2],
        faults=faults,
    )
