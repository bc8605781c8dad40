"""What every test counts on."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, which a shell has ignored by what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        # One of several processes, whose folders would have longer names: some hold sockets, whose
        # paths end at 107 characters.
        place = Path(tempfile.mkdtemp(prefix="sw"))
        config.option.basetemp = str(place / "t")
        config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))


class ByServers(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps in one process what shares servers: a file's tests, and all that start hosts."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/fleet" if nodeid.startswith("tests/fleet/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServers:
    """Share tests out so, where there are several processes."""
    return ByServers(config, log)
