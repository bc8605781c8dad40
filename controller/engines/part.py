"""A part on its way to a worker, and there: packed by the engine, run and timed by the worker.

The scheduler sees opaque bytes only: it needs none of the application's modules, and Dask does not
search a long order for keys.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import time
from collections.abc import Iterator

from distributed import get_worker

from controller.engines.messages import TOPIC, PartDone, PartRefused, to_wire
from controller.engines.receiving import forget_content, with_content
from controller.errors import EngineError, StorageError
from controller.ports import PartWork
from planner.errors import SlackwaterError
from planner.model import Fragment

NO_LIMIT_S = 365 * 86400.0
"""Stands for no limit [s]; the system's timers do not know infinity."""


def pack(work: PartWork) -> bytes:
    """Return what the worker needs of a work.

    Raises
    ------
    EngineError
        The work cannot be pickled.
    """
    try:
        return pickle.dumps((work.extract, work.order), protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise EngineError(
            f"part {work.part_id} cannot be sent to a worker: {error}",
            fix="Name its function at the top of a module, and give it plain data",
        ) from error


def run_part(part_id: str, attempt: int, packed: bytes, limit_s: float) -> None:
    """Run one part in this worker and tell its end; errors that are not ours, Dask tells."""
    worker = get_worker()
    answer = answer_of(part_id, attempt, packed, limit_s, str(worker.name))
    worker.log_event(TOPIC, to_wire(answer))


def answer_of(
    part_id: str, attempt: int, packed: bytes, limit_s: float, name: str
) -> PartDone | PartRefused:
    """Run one part on the worker of this name; return what is to be told."""
    extract, order = pickle.loads(packed)
    began = time.perf_counter()
    try:
        with limit_part(limit_s):
            fragment = extract(order)
    except SlackwaterError as error:
        return PartRefused(part_id=part_id, attempt=attempt, reason=str(error), retry=error.retry)
    run_s = time.perf_counter() - began
    if not isinstance(fragment, Fragment):
        name = f"{extract.__module__}.{extract.__qualname__}"
        reason = f"{name} returned {type(fragment).__name__}, not a Fragment"
        return PartRefused(part_id=part_id, attempt=attempt, reason=reason, retry=False)
    done = PartDone(part_id=part_id, attempt=attempt, name=name, run_s=run_s, fragment=fragment)
    try:
        return with_content(done)
    except StorageError as error:
        return PartRefused(part_id=part_id, attempt=attempt, reason=str(error), retry=error.retry)
    finally:
        forget_content(fragment)


@contextlib.contextmanager
def limit_part(limit_s: float) -> Iterator[None]:
    """Have this process alarmed when the block takes longer [s]; the worker then ends it.

    A thread cannot be stopped, and a timer of the system's runs even when the part never lets go of
    the interpreter; then the worker's heartbeat stops, and its lease ends it.
    """
    signal.setitimer(signal.ITIMER_REAL, min(limit_s, NO_LIMIT_S))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
