"""Hosts and beds that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.control_plane import control_plane, namespace
from tests.fleet.hosts import NewHost, hosts_up
from tests.fleet.openstack import openstack

__all__ = ["control_plane", "namespace"]


@pytest.fixture(scope="module")
def new_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewHost]:
    """Make a host; those of a module go with it."""
    folder: Path = tmp_path_factory.mktemp("hosts")
    with hosts_up("worker", range(200, 215), folder) as new:
        yield new


@pytest.fixture(scope="session")
def openstack_bed() -> Iterator[Path]:
    """Have an OpenStack up; it takes a minute to start, so it stands until the last test."""
    with openstack() as clouds:
        yield clouds
