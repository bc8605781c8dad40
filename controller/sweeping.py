"""Removes what tasks that have ended left in the data folder, or it would grow for ever.

What is there is listed first, and then the store is asked which tasks are open: a file whose task
is not open any more belongs to nobody, whoever left it, in this life or an earlier one. An attempt
that was given up may still write behind its task's end; that is seen the next time.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from controller.apps.storage import replacing
from controller.errors import StorageError
from controller.reach import reach
from controller.store.store import Store

SWEEP_S = 300.0
"""Pause between two looks [s]."""

REST_S = 600.0
"""A file that was written since is left alone [s]: its name may be used anew just now."""

TEMPORARY_S = 86_400.0
"""A temporary file of the staging area has no task's name; after so long nobody writes it [s]."""

MARK = "slackwater-fragments.txt"

_FRAGMENT = re.compile(r"(t[\d.]*\d)-\d+\.a\d+\..+")
_PRODUCT = re.compile(r".+-v\d+-.+")

_log = logging.getLogger(__name__)


def sweep(fragments: Path, staging: Path, store: Store, now: float) -> int:
    """Remove what belongs to no open task; return how many files went.

    Parameters
    ----------
    fragments, staging : Path
        Folders of fragments, and of products not delivered yet.
    store : Store
    now : float
        POSIX time [s].

    Raises
    ------
    StorageError
        The store cannot be asked; nothing was removed.
    OSError
        A folder cannot be listed.
    """
    # In this order: what is listed has a task that the store knows of, if it is open.
    left, staged = list(fragments.iterdir()), list(staging.iterdir())
    open_tasks = store.open_tasks()
    tasks, products = {task_id for task_id, _ in open_tasks}, {name for _, name in open_tasks}
    over = [path for path in left if (task_id := task_of(path.name)) and task_id not in tasks]
    over += [path for path in staged if not products.intersection(ids_of(path.name))]
    return sum(_remove(path, now) for path in over)


def sweep_far(url: str, store: Store, now: float) -> int:
    """Remove the fragments of a place elsewhere that belong to no open task; return how many.

    Parameters
    ----------
    url : str
        Of a folder (fsspec); other services may keep theirs beside it, not in it.
    store : Store
    now : float
        POSIX time [s].

    Raises
    ------
    StorageError
        The store cannot be asked; nothing was removed.
    OSError
        The folder cannot be listed.
    """
    files, folder = reach(url)
    files.invalidate_cache()
    left = {path: path.rpartition("/")[2] for path in files.ls(folder, detail=False)}
    tasks = {task_id for task_id, _ in store.open_tasks()}
    over = [path for path, name in left.items() if (of := task_of(name)) and of not in tasks]
    gone = [path for path in over if now - files.modified(path).timestamp() >= REST_S]
    for path in gone:
        files.rm_file(path)
    return len(gone)


def place_for_fragments(url: str) -> None:
    """Leave a mark in a place elsewhere, so that nodes find a folder there that is empty still.

    Raises
    ------
    StorageError
        It cannot be written to.
    """
    with replacing(f"{url.rstrip('/')}/{MARK}") as file:
        file.write(b"Fragments of slackwater lie here.\n")


def task_of(name: str) -> str:
    """Return the task of a fragment, as the dispatcher names it; empty of anything else."""
    found = _FRAGMENT.fullmatch(name)
    return found[1] if found else ""


def ids_of(name: str) -> Iterator[str]:
    """Return all ids that the product of a staged file may have: it, and its companions, follow."""
    return (name[: mark.start()] for mark in re.finditer(r"[.-]", name))


@contextmanager
def sweeping(
    fragments: Path,
    staging: Path,
    store: Store,
    far: str = "",
    clock: Callable[[], float] = time.time,
) -> Iterator[None]:
    """Sweep now and then inside the block, in a thread that the loop never waits for.

    Parameters
    ----------
    fragments, staging : Path
    store : Store
    far : str
        Where fragments lie elsewhere, if they do.
    clock : callable
        Tells the time [POSIX s].

    Raises
    ------
    StorageError
        That place cannot be written to.
    """
    if far:
        place_for_fragments(far)
    stopping = threading.Event()

    def run() -> None:
        while True:
            try:
                sweep(fragments, staging, store, clock())
                if far:
                    sweep_far(far, store, clock())
            except (StorageError, OSError) as fault:
                _log.warning("what ended tasks have left is not removed: %s", fault)
            if stopping.wait(SWEEP_S):
                return

    thread = threading.Thread(target=run, name="sweeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _remove(path: Path, now: float) -> bool:
    rest_s = REST_S if _is_named(path.name) else TEMPORARY_S
    with suppress(OSError):  # It has just gone, or cannot go: there is a next time.
        if now - path.stat().st_mtime < rest_s:
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True
    return False


def _is_named(name: str) -> bool:
    patterns: Iterable[re.Pattern[str]] = (_FRAGMENT, _PRODUCT)
    return any(each.fullmatch(name) for each in patterns)
