"""Where the beds are: scripts that bring real clouds up on this machine, found or skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> Path:
    """Return a bed's script; skip the test, loudly, where the beds are not."""
    folder = Path(os.environ.get("SLACKWATER_TESTBED_SCRIPTS", ROOT.parent / "shared/testbeds"))
    path = folder / name
    if not path.exists():
        pytest.skip(f"no test bed {name}: set SLACKWATER_TESTBED_SCRIPTS to where the beds are")
    return path


def state() -> Path:
    """Return where the beds keep what they built, as their scripts do."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("SLACKWATER_TESTBEDS", cache / "slackwater-testbeds"))
