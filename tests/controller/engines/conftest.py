"""One engine for most tests; each has nodes of its own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controller.engines.carrier import Carrier

ALERT_S = 2.0
"""A lease so short that a test can wait for its end [s]."""


@pytest.fixture(scope="package")
def one_engine() -> Iterator[Carrier]:
    carrier = Carrier(end_s_max=1.0)
    yield carrier
    carrier.close()


@pytest.fixture
def carrier(one_engine: Carrier) -> Iterator[Carrier]:
    """An engine without nodes; those of the test are deleted after it."""
    yield one_engine
    one_engine.delete_nodes()


@pytest.fixture
def alert() -> Iterator[Carrier]:
    """An engine of the test's own that soon notices what does not answer."""
    carrier = Carrier(lease_s=ALERT_S)
    yield carrier
    carrier.close()
