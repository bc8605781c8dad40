"""Keeps Python's search for garbage from holding up the loop.

A full search looks at every object that stands: seconds with a million subscriptions. What has
stood for a while is set aside. What is set aside and no longer referred to is freed all the same,
but a ring of objects that refer to each other stays for ever: so whatever stands is searched first,
and only what makes searches long is set aside. A service whose work comes and goes sets nothing
aside once it runs.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

SEARCH_S_MAX = 0.02
"""A search may hold the loop up for so long [s of processor time]; some 200,000 objects."""


def search() -> None:
    """Free the rings of objects that nobody refers to; set aside what makes that take too long."""
    began = time.thread_time()
    gc.collect()
    if time.thread_time() - began > SEARCH_S_MAX:
        gc.freeze()


def set_aside() -> None:
    """Let further searches leave out what stands now, once it is searched itself."""
    gc.collect()
    gc.freeze()
    # Python searches all by itself when a quarter has come to what its last full search left.
    gc.collect()


@contextmanager
def no_search() -> Iterator[None]:
    """Search for nothing inside the block: millions of objects come, and none of them goes.

    They are set aside unsearched, or the first search afterwards would look at each of them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
