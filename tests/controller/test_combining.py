"""One product that takes its process down must not take the others with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from controller.combining import CombiningPool
from tests.controller.small_works import Order, combine

WAIT_S_MAX = 60.0


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[CombiningPool]:
    pool = CombiningPool(tmp_path, workers_max=2)
    yield pool
    pool.close()


def test_those_that_wait_are_combined_after_a_process_died(
    pool: CombiningPool, tmp_path: Path
) -> None:
    fates = ["dies", "well", "dies", "well", "well", "dies", "well"]
    orders = [
        Order(product_url=str(tmp_path / f"p{number}.nc"), fate=fate)
        for number, fate in enumerate(fates)
    ]
    futures = [pool.submit(combine, order) for order in orders]
    for fate, future in zip(fates, futures, strict=True):
        if fate == "dies":
            assert isinstance(future.exception(WAIT_S_MAX), BrokenProcessPool)
        else:
            assert future.result(WAIT_S_MAX).rows == 1


def test_what_hangs_is_ended_with_the_pool(tmp_path: Path) -> None:
    pool = CombiningPool(tmp_path)
    hanging = pool.submit(combine, Order(product_url="", fate="hangs"))
    waiting = pool.submit(combine, Order(product_url="", fate="well"))
    pool.close()
    assert hanging.done()
    assert waiting.cancelled()
