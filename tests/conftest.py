"""What every test counts on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


def pytest_configure() -> None:
    """Hear Ctrl-C, which a shell has ignored by what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process what shares servers: a file's tests, and all that start hosts or clouds."""
    for item in items:
        place = item.path.relative_to(ROOT) if item.path.is_relative_to(ROOT) else item.path
        alike = place.parts[0] if place.parts[0] == "fleet" else str(place)
        item.add_marker(pytest.mark.xdist_group(alike))
