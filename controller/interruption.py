"""Ctrl-C and SIGTERM: a run that is asked to stop is taken down in its order, not torn.

A signal may come between any two steps. Where nothing stands yet, the first one ends the program
at once. Where processes are being started and ended (`deferred`) it is only noted, and looked for
where stopping is safe. Further ones change nothing: the end is under way already.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_Handler = Callable[[int, FrameType | None], None]


class Interrupted(BaseException):
    """Somebody asked the program to end. No fault, so no handler of faults may swallow it."""


class Asked:
    """Whether somebody asked to stop, and by which signal."""

    signal_number: int | None = None

    def __bool__(self) -> bool:
        """Return whether somebody did."""
        return self.signal_number is not None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise `Interrupted`; all that is left to do is to end.

    Later ones are ignored, even after the block, so that they cannot tear the end.
    """
    asked = Asked()

    def stop(number: int, frame: FrameType | None) -> None:
        asked.signal_number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    with _handled_by(stop):
        yield
        # Python prints and drops what is raised while it collects an object, so the signal's too.
        if asked:
            raise Interrupted


@contextmanager
def deferred() -> Iterator[Asked]:
    """Only note SIGINT and SIGTERM inside the block, and act on the first of them at its end.

    Yields
    ------
    Asked
        True as soon as somebody asked to stop.
    """
    asked = Asked()

    def note(number: int, frame: FrameType | None) -> None:
        asked.signal_number = asked.signal_number or number

    try:
        with _handled_by(note):
            yield asked
    finally:
        if asked.signal_number is not None:
            signal.raise_signal(asked.signal_number)


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Handle the signals so inside the block; only a program's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handler) for each in SIGNALS}
    try:
        yield
    finally:
        for each in SIGNALS:
            if signal.getsignal(each) is handler:
                signal.signal(each, before[each])
