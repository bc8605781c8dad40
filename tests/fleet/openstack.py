"""The bed that is an OpenStack: keystone, nova, neutron and glance, whose servers are ssh hosts.

It is brought up once for all tests that want it, and taken down if they brought it up.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.beds import script, state

KEYSTONE = ("127.0.0.1", 25000)
START_S_MAX, BUILD_S_MAX = 400.0, 900.0


@contextmanager
def openstack() -> Iterator[Path]:
    """Have the bed up, and yield its clouds.yaml; skip, loudly, where it cannot be."""
    up, down, install = (script(f"openstack/{each}.sh") for each in ("up", "down", "install"))
    clouds = state() / "openstack/run/clouds.yaml"
    if _answers():
        yield clouds
        return
    if not (state() / "openstack/venv/.complete").exists():
        if "CI" not in os.environ:
            pytest.skip(f"the test bed of OpenStack is not built: run {install}")
        _run(install, BUILD_S_MAX)
    _run(up, START_S_MAX)
    try:
        yield clouds
    finally:
        subprocess.run([down], check=False, timeout=60)


def _run(program: Path, limit_s: float) -> None:
    try:
        done = subprocess.run(
            [program],
            check=False,
            timeout=limit_s,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{program} was not done in {limit_s:.0f} s")
    if done.returncode:
        pytest.skip(f"{program} failed: {done.stdout[-1000:]}")


def _answers() -> bool:
    try:
        socket.create_connection(KEYSTONE, timeout=1.0).close()
    except OSError:
        return False
    return True
