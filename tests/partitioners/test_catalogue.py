"""Partitioners are found by name, built in or installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from partitioners.balanced import Balanced
from partitioners.catalogue import BUILT_IN, GROUP, Partitioners
from planner.errors import BrokenPlugin, UnknownPlugin

MODULE = """
class Whole:
    name = "whole"
    version = "2"
    def cut(self, extent, density, costs, n):
        return (extent,)
whole = Whole()
"""


@pytest.fixture
def _whole_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "whole_cuts-2.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text("Name: whole_cuts\nVersion: 2\n")
    information.joinpath("entry_points.txt").write_text(
        f"[{GROUP}]\nwhole = whole_cuts:whole\nclass = whole_cuts:Whole\nother = whole_cuts:whole\n"
    )
    tmp_path.joinpath("whole_cuts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_built_in_ones_bear_their_names() -> None:
    assert {*BUILT_IN} == {"balanced", "bisecting", "calibrated", "linear", "logarithmic"}
    assert all(partitioner.name == name for name, partitioner in BUILT_IN.items())
    assert Partitioners()["balanced"] == Balanced()


@pytest.mark.usefixtures("_whole_installed")
def test_an_installed_one_stands_among_them() -> None:
    partitioners = Partitioners()
    assert partitioners["whole"].version == "2"
    assert "whole" in list(partitioners)
    assert len(partitioners) == len(BUILT_IN) + 3


@pytest.mark.usefixtures("_whole_installed")
@pytest.mark.parametrize("name", ["class", "other"])
def test_one_that_is_no_partitioner_of_that_name_is_refused(name: str) -> None:
    with pytest.raises(BrokenPlugin, match="must name an instance"):
        Partitioners()[name]


def test_an_unknown_one_is_told_with_near_names() -> None:
    with pytest.raises(UnknownPlugin, match="Did you mean 'balanced'"):
        Partitioners()["ballanced"]
