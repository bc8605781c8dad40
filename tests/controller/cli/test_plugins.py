"""`slackwater plugins`, and a run with a plug-in of somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.demo.archive import DemoArchive
from tests.controller.conftest import Command
from tests.controller.runs import PRODUCTS, Order, delivered

ENTRY_POINTS = """
[slackwater.partitioners]
tides = tidal_plugin:tides
[slackwater.policies]
ebb = tidal_plugin:ebb
"""

MODULE = '''
import os
from partitioners.linear import Linear
from planner.scaling.policy import BUILT_IN

class Tides:
    """Cuts evenly, unless it was told to fail."""

    name, version = "tides", "3.1"

    def cut(self, extent, density, costs, n):
        if "TIDES_FAIL" in os.environ:
            raise RuntimeError("no moon tonight")
        return Linear().cut(extent, density, costs, n)

tides = Tides()
ebb = BUILT_IN["none"]
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay a distribution with two plug-ins where this process and those it starts find it."""
    place = tmp_path / "installed"
    information = place / "tidal-3.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Name: tidal\nVersion: 3.1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (place / "tidal_plugin.py").write_text(MODULE)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", str(place))
    return place


def test_what_is_built_in_is_listed(command: Command) -> None:
    ended = command("plugins", "--json")
    assert ended.code == 0
    listed = {(entry["kind"], entry["name"]): entry["from"] for entry in ended.result}
    assert set(listed.values()) == {"slackwater"}
    assert {name for kind, name in listed if kind == "policy"} == {
        "dynamic",
        "none",
        "prefix",
        "static",
    }
    assert {("partitioner", "balanced"), ("application", "argo")} <= listed.keys()


@pytest.mark.usefixtures("plugin")
def test_what_is_installed_is_listed_with_its_distribution(command: Command) -> None:
    ended = command("plugins")
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["partitioner", "tides", "tidal", "3.1"] in rows
    assert ["policy", "ebb", "tidal", "3.1"] in rows
    assert ["policy", "prefix", "slackwater"] in rows


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_with_plugins(
    fails: bool, small_archive: DemoArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fails:
        monkeypatch.setenv("TIDES_FAIL", "1")
    order = Order(
        folder=tmp_path / "place",
        archive=small_archive.folder,
        settings="planner: {cutting: {partitioner: tides, part_s_min: 0}}",
        options=("--policy", "ebb"),
    )
    ended = order.run()
    assert ended.code == 0, ended.err
    assert delivered(order.products).keys() == PRODUCTS
    told = "cut linearly: partitioner 'tides': raised RuntimeError: no moon tonight"
    assert (told in ended.err) == fails
