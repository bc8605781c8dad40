"""What nobody refers to any more is freed, however long it stood: rings of objects, too."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from controller import garbage
from controller.garbage import search, set_aside


class Ring:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    """Search only where the test does, and set nothing aside for longer."""
    gc.disable()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def grown_old() -> weakref.ref[Ring]:
    """Return a ring that has outlived the searches for what is young, and is lost then."""
    ring = Ring()
    gc.collect(0)
    gc.collect(1)
    return weakref.ref(ring)


@pytest.mark.parametrize("clear", [search, set_aside])
def test_an_old_ring_is_freed_and_never_set_aside(clear: Callable[[], None]) -> None:
    ring = grown_old()
    assert ring() is not None
    clear()
    assert ring() is None


def test_searches_that_are_short_set_nothing_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "SEARCH_S_MAX", 3600.0)
    set_aside()
    standing = [Ring() for _ in range(100)]
    search()
    assert any(each is standing[0] for each in gc.get_objects())
    monkeypatch.setattr(garbage, "SEARCH_S_MAX", 0.0)
    search()
    assert not any(each is standing[0] for each in gc.get_objects())
