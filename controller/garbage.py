"""Keeps Python's search for garbage from holding up the loop.

A full search looks at every object that stands: seconds with a million subscriptions. What has
stood for a while is set aside; what is set aside and no longer referred to is freed all the same,
and only a ring of objects that refer to each other would stay.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def set_aside() -> None:
    """Let further searches leave out what stands now; what is young is searched once more."""
    gc.collect(1)
    gc.freeze()


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
