"""The laws that every partitioner obeys, and what this one is for."""

from __future__ import annotations

import pytest
from equal_area import equal_area

from partitioners.testing import check_partitioner
from planner.extent import GLOBE, Box, Extent
from planner.model import UnitCosts

COSTS = UnitCosts(base_s=0.1, file_s=0.002, megabyte_s=0.0, value_s=0.0)


def test_it_obeys_the_laws() -> None:
    check_partitioner(equal_area)


@pytest.mark.parametrize("box", [GLOBE, Box(west=170.0, south=20.0, east=-170.0, north=90.0)])
def test_bands_have_equal_area(box: Box) -> None:
    pieces = equal_area.cut(Extent(box=box), None, COSTS, 7)
    areas_km2 = [piece.box.area_km2 for piece in pieces]
    assert areas_km2 == pytest.approx([box.area_km2 / 7] * 7)
