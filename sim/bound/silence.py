"""Keeps what a solver prints off standard output, which belongs to results."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_OUTPUT = 1


@contextmanager
def silenced() -> Iterator[None]:
    """Let nothing be printed by C code inside the block; HiGHS does so whatever it is told.

    Notes
    -----
    C keeps a buffer of its own, which must be emptied before and after.
    """
    c_library = ctypes.CDLL(None)
    c_library.fflush(None)
    kept = os.dup(STANDARD_OUTPUT)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STANDARD_OUTPUT)
        yield
        c_library.fflush(None)
    finally:
        os.dup2(kept, STANDARD_OUTPUT)
        os.close(kept)
        os.close(nowhere)
