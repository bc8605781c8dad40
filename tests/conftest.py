"""What every test counts on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, which a shell has ignored by what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
