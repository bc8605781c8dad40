"""What every test counts on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, which a shell has ignored by what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        # Some folders hold sockets, whose paths end at 107 characters.
        config.option.basetemp = str(Path(config.option.basetemp).with_name(worker))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process what shares servers: a file's tests, and all that start hosts."""
    for item in items:
        place = item.path.relative_to(ROOT) if item.path.is_relative_to(ROOT) else item.path
        alike = place.parts[0] if place.parts[0] == "fleet" else str(place)
        item.add_marker(pytest.mark.xdist_group(alike))
