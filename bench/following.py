"""A followed archive of the size of Argo: keeping its state, coming back, seeing nothing new.

Wants the real global index beside the project (``../shared/data/argo``); without it there is
nothing to measure. Writing is told beside the plain write and sync of as many bytes, on the same
disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.index import DAILY_PROFILES, INDEX
from controller.apps.argo.archive import open_archive
from controller.apps.argo.changes import changes_between
from controller.apps.argo.orders import ArchiveAddress
from controller.sources.argo import FollowedArgo
from controller.sources.argo_state import ArgoState
from controller.sources.keeping import Memory
from controller.sources.reaching import NO_HURRY

DATASET = "10.17882/42182"
REPEATS = 3


def measure() -> dict[str, float]:
    """Return times and sizes; empty where the real index is absent."""
    if not INDEX.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> dict[str, float]:
    (folder / "archive").mkdir()
    index = Path(shutil.copy(INDEX, folder / "archive" / "ar_index_global_prof.txt.gz"))
    archive = open_archive(ArchiveAddress(url=str(folder / "archive")))
    kept, state = folder / "kept", folder / "kept" / "state-0.npz"

    def opened(known: int | None) -> FollowedArgo:
        return FollowedArgo(
            archive, DATASET, Memory(folder=kept, known=known), since=None, limits=NO_HURRY
        )

    began = time.perf_counter()
    source = opened(None)
    figures = {"following_first_open_s": time.perf_counter() - began}
    keeper = ArgoState(Memory(folder=kept, known=0), DATASET)
    figures["following_state_write_s"] = _best_s(lambda: keeper.begin(source.catalogue))
    figures["following_state_mb"] = state.stat().st_size / 2**20
    content = state.read_bytes()
    figures["following_bare_write_s"] = _best_s(lambda: _bare_write(folder / "bare", content))
    figures["following_restore_s"] = _best_s(lambda: opened(0))
    figures["following_unchanged_look_ms"] = 1e3 * _best_s(lambda: _nothing_new(source))
    # Written again, with the same rows: all of it is read and compared.
    os.utime(index, (1e9, 1e9))
    began = time.perf_counter()
    figures["following_reread_pause_ms"] = 1e3 * _longest_pause_s(lambda: _nothing_new(source))
    figures["following_reread_s"] = time.perf_counter() - began
    return figures | _updated(source, keeper, kept)


def _updated(source: FollowedArgo, keeper: ArgoState, kept: Path) -> dict[str, float]:
    """Let a day's worth of files be renamed in delayed mode, and keep that."""
    old = source.catalogue.current()
    delayed = old.delayed.copy()
    delayed[np.flatnonzero(~delayed)[-DAILY_PROFILES:]] = True
    changes = changes_between(old, replace(old, delayed=delayed))
    took_s = _best_s(lambda: keeper.add(1, changes, ()))
    return {
        "following_update_write_ms": 1e3 * took_s,
        "following_update_kb": (kept / "update-1.npz").stat().st_size / 2**10,
    }


def _nothing_new(source: FollowedArgo) -> None:
    assert source.look() is None


def _longest_pause_s(act: Callable[[], object]) -> float:
    """Return how long another thread was kept from going on at most while this one acts [s]."""
    thread = threading.Thread(target=act)
    thread.start()
    longest_s, last = 0.0, time.perf_counter()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest_s, last = max(longest_s, now - last), now
    return longest_s


def _bare_write(place: Path, content: bytes) -> None:
    with place.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _best_s(act: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return min(times)
