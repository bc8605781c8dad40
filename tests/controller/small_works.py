"""A small application whose loads, orders and products do as their names say."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import ArchiveError, StorageError
from planner.density import Density
from planner.extent import Box, Extent, Period
from planner.model import Fragment, Product, Selection, UpdateSpan, View

HELD_UP_S_MAX = 30.0
"""A test that holds an archive up for longer [s] is stuck."""


def extract(order: Any) -> Fragment:
    raise AssertionError("no part is run here")


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order to combine: `fate` is what becomes of it."""

    product_url: str
    fate: str = "well"


def combine(order: Order) -> Product:
    """Make a product, or end as the order has it."""
    match order.fate:
        case "full":
            raise StorageError("the staging area is full", fix="Free space there")
        case "gone":
            raise StorageError("a fragment is gone", retry=False)
        case "bug":
            raise ValueError("not expected")
        case "dies":
            os._exit(9)
        case "hangs":
            time.sleep(600)
    content = b"a product"
    path = Path(order.product_url)
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    told = {"product": {"digest": "d1", "sha256": sha256}}
    path.with_suffix(".manifest.json").write_text(json.dumps(told))
    return Product(
        url=f"file://{path}", rows=1, size_bytes=len(content), sha256=sha256, digest="d1"
    )


class SmallApplication:
    """Serves views of any dataset; those of ``away`` cannot be read.

    Parameters
    ----------
    staging : Path
    fate : str
        Of what is combined.
    """

    name, version = "small", "1"

    def __init__(self, staging: Path, fate: str = "well") -> None:
        self.extract: Callable[[Any], Fragment] = extract
        self.combine: Callable[[Any], Product] = combine
        self._staging = staging
        self.fate = fate
        self._held_up = ""
        self._goes_on = threading.Event()

    def parameters(self) -> tuple[str, ...]:
        return ("TEMP",)

    def takes(self, option: str) -> bool:
        return False

    def check_options(self, options: tuple[tuple[str, str], ...]) -> None:
        assert not options

    def view(
        self,
        box: Box,
        period: Period,
        parameters: tuple[str, ...],
        options: tuple[tuple[str, str], ...],
    ) -> View:
        extent = Extent(box=box, period=period, parameters=parameters)
        return View(dataset="near", application=self.name, extent=extent, options=options)

    def period(self) -> Period | None:
        return None

    def joined(self, orders: Sequence[Any]) -> object:
        return orders[0]

    def density(self, view: View, updates: UpdateSpan) -> Density | None:
        self._refuse(view)
        return None

    def part_order(
        self, view: View, extent: Extent, updates: UpdateSpan, fragment_stem: str
    ) -> object:
        self._refuse(view)
        return fragment_stem

    def product_order(
        self,
        selection: Selection,
        fragments: tuple[Fragment, ...],
        product_id: str,
        subscription_id: str,
    ) -> object:
        self._refuse(selection.view)
        return Order(product_url=str(self._staging / f"{product_id}.nc"), fate=self.fate)

    @contextmanager
    def holding_up(self, dataset: str) -> Iterator[None]:
        """Answer nothing about a dataset meanwhile, as an archive that is slow."""
        self._held_up = dataset
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def _refuse(self, view: View) -> None:
        if view.dataset == self._held_up:
            assert self._goes_on.wait(HELD_UP_S_MAX)
        if view.dataset == "away":
            raise ArchiveError("the archive is away", fix="Wait for it")
