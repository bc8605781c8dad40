"""Asks plug-in partitioners in a process of their own, which may hang, raise or die without harm.

One child process stands by once a plug-in was asked. A cut that exceeds its time, raises or takes
the process down ends that process and is told as `PartitionerFailed`; the next one starts afresh.
Built-in partitioners are asked in place: they are ours, and sending the load map would take longer
than the cut.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Self

from controller.children import end_with_parent, out_of_reach_of_ctrl_c
from partitioners.catalogue import BUILT_IN
from partitioners.protocol import CutRequest, Partitioner, PartitionerFailed, in_place
from planner.extent import Extent

CUT_S_MAX = 30.0
"""A cut waits at most this long [s]: a good one takes milliseconds, and its task's clock runs."""
START_S_MAX = 60.0
"""The process has this long to start [s], on a machine that is busy with parts."""
FAILURES_MAX = 3
"""A plug-in that failed so often in a row is not asked again: a hanging cut holds up all tasks."""
TOLD_CHARACTERS_MAX = 200
"""Of a plug-in's own error message: it travels in an event."""

_CONTEXT = multiprocessing.get_context("spawn")


class CuttingProcess:
    """Runs partitioners for `partitioners.cutter.cut_task`; safe to call from any thread.

    Parameters
    ----------
    cut_s_max : float
        Time limit of one cut [s].
    start_s_max : float
        Time limit of the process's start [s].
    """

    def __init__(self, *, cut_s_max: float = CUT_S_MAX, start_s_max: float = START_S_MAX) -> None:
        self._cut_s_max = cut_s_max
        self._start_s_max = start_s_max
        self._lock = Lock()
        self._closing = False
        self._child: _Child | None = None
        self._failures: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        """Return itself; the process starts when a plug-in is first asked."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def __call__(self, partitioner: Partitioner, request: CutRequest) -> tuple[Extent, ...]:
        """Return the pieces of a cut.

        Raises
        ------
        PartitionerFailed
            The plug-in gave no answer, and why.
        """
        if BUILT_IN.get(partitioner.name) is partitioner:
            return in_place(partitioner, request)
        asked = (partitioner.name, partitioner.version)
        with self._lock:
            if self._failures[asked] >= FAILURES_MAX:
                raise PartitionerFailed(
                    f"failed {FAILURES_MAX} times in a row and is no longer asked",
                    fix="Repair the plug-in, then restart the service",
                )
            self._failures[asked] += 1
            pieces = self._ask(partitioner, request)
            self._failures[asked] = 0
            return pieces

    def close(self) -> None:
        """End the process, if there is one, and with it the cut that it may be at."""
        self._closing = True
        if child := self._child:
            child.kill()
        with self._lock:
            self._end()

    def _ask(self, partitioner: Partitioner, request: CutRequest) -> tuple[Extent, ...]:
        if self._child is None or not self._child.stands():
            self._end()
            self._child = _Child()
        try:
            if self._closing:
                raise PartitionerFailed("it is no longer asked: the service ends")
            self._child.await_start(self._start_s_max)
            return self._child.ask(partitioner, request, self._cut_s_max)
        except PartitionerFailed:
            self._end()
            raise

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """The process, seen from ours."""

    def __init__(self) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_serve, args=(theirs,), name="slackwater-cutting", daemon=True
        )
        with out_of_reach_of_ctrl_c():
            self._process.start()
        # Our copy must go, or their end of the pipe never closes and a death would not be seen.
        theirs.close()
        self._started = False

    def stands(self) -> bool:
        return self._process.is_alive()

    def await_start(self, start_s_max: float) -> None:
        """Wait until the process reads requests: one that does not would block who writes them."""
        if not self._started:
            self._answer(start_s_max, "its process did not start within")
            self._started = True

    def ask(
        self, partitioner: Partitioner, request: CutRequest, cut_s_max: float
    ) -> tuple[Extent, ...]:
        try:
            self._pipe.send((partitioner, request))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise PartitionerFailed(f"cannot be sent to its process: {error}") from error
        except ConnectionError as error:
            raise self._died() from error
        pieces = self._answer(cut_s_max, "took longer than")
        assert isinstance(pieces, tuple)
        return pieces

    def kill(self) -> None:
        with suppress(ValueError):  # Another thread has ended it already.
            self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    def _answer(self, limit_s: float, too_late: str) -> object:
        if not self._pipe.poll(limit_s):
            raise PartitionerFailed(f"{too_late} {limit_s:g} s")
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._died() from error
        if isinstance(answer, str):
            raise PartitionerFailed(answer)
        return answer

    def _died(self) -> PartitionerFailed:
        self._process.join()
        return PartitionerFailed(f"its process died (exit code {self._process.exitcode})")


def _serve(pipe: Connection) -> None:
    """Answer requests until our end of the pipe closes: pieces, or in words what was raised."""
    # What a plug-in prints must not mix with the results that a command writes to stdout.
    sys.stdout = sys.stderr
    end_with_parent()
    pipe.send(())
    while (question := _received(pipe)) is not None:
        try:
            partitioner, request = pickle.loads(question)
            pipe.send(_extents(in_place(partitioner, request)))
        except BaseException as error:
            # Told and raised on: the traceback goes to the log, and the process ends.
            pipe.send(_told(error))
            raise


def _received(pipe: Connection) -> bytes | None:
    try:
        return pipe.recv_bytes()
    except EOFError:
        return None


def _extents(answer: object) -> tuple[Extent, ...]:
    """Return the answer if it is one: nothing else may reach the service's process."""
    if isinstance(answer, tuple) and all(type(piece) is Extent for piece in answer):
        return answer
    raise TypeError(f"the answer is no tuple of extents but {type(answer).__name__}")


def _told(error: BaseException) -> str:
    return f"raised {type(error).__name__}: {error}"[:TOLD_CHARACTERS_MAX]
