"""The picture of a request's cuts: every strategy, every axis, edges of the globe."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from partitioners.catalogue import BUILT_IN
from partitioners.comparison import Times, Trial
from planner.density import Density
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import PartSpec, UnitCosts
from sim.cuts import Load, cuts_page, cuts_svg

COSTS = UnitCosts(base_s=0.1, file_s=1.0, megabyte_s=0.0, value_s=0.0)
PACIFIC = Box(west=170.0, south=-20.0, east=-170.0, north=20.0)


def load_in(box: Box, masses: int = 400) -> Load:
    along = np.linspace(0.0, 1.0, masses, endpoint=False)
    density = Density(
        time_s=1.0e9 + 3.0e8 * along**0.5,
        longitude=(box.west + box.width_deg * (along * 7 % 1) + 180.0) % 360.0 - 180.0,
        latitude=box.south + (box.north - box.south) * (along * 11 % 1),
        files=np.ones(masses),
        size_bytes=np.zeros(masses),
    )
    extent = Extent(box=box, period=Period(start_at=1.0e9, end_at=1.3e9))
    return Load(density=density, cost_s=density.cost_s(COSTS, extent), extent=extent)


def trial_of(name: str, load: Load, n: int = 8) -> Trial:
    parts = tuple(
        PartSpec(extent=piece, features=load.density.features(piece))
        for piece in BUILT_IN[name].cut(load.extent, load.density, COSTS, n)
    )
    times = Times(parts_s=tuple(COSTS.seconds(part.features) for part in parts), wanted=n)
    return Trial(
        strategy=name, version="1", fallback="", parts=parts, predicted=times, measured=times
    )


@pytest.mark.parametrize("box", [GLOBE, PACIFIC])
def test_a_row_for_each_strategy(box: Box) -> None:
    load = load_in(box)
    drawing = cuts_svg(load, [trial_of(name, load) for name in BUILT_IN])
    for name in BUILT_IN:
        assert f">{name}</text>" in drawing
    assert drawing.count("place is not cut") == len(BUILT_IN) - 1
    assert "measured 1.0" in drawing


def test_a_request_at_one_instant_can_be_drawn() -> None:
    load = load_in(GLOBE, masses=1)
    drawing = cuts_svg(load, [trial_of("linear", load, n=1)])
    assert "time is not cut" in drawing


def test_a_page_embeds_its_numbers_and_says_what_fell_back() -> None:
    load = load_in(GLOBE)
    trial = replace(trial_of("linear", load), strategy="<strips>", fallback="it raised & died")
    text = cuts_page(
        load, [trial], 4, ["slackwater", "partition", "--archive", "a b"], {"files": 400}
    )
    assert "400 files" in text
    assert "<h2>&lt;strips&gt;</h2>" in text
    assert "Cut linearly instead: it raised &amp; died" in text
    found = re.search(r'id="result">\n(.*?)\n</script>', text, re.DOTALL)
    assert found
    assert json.loads(found[1]) == {"files": 400}
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", text)
