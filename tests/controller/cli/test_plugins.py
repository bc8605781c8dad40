"""`slackwater plugins`, and a run with a plug-in of somebody else."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from controller.demo.archive import DemoArchive
from tests.controller.conftest import Command
from tests.controller.runs import PRODUCTS, Order, delivered

ENTRY_POINTS = """
[slackwater.partitioners]
tides = tidal_plugin:tides
[slackwater.policies]
ebb = tidal_plugin:ebb
[slackwater.derived]
WARMTH = tidal_plugin:warmth
COLD = tidal_plugin:missing
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

class Warmth:
    """Kelvin, unless it was told to fail."""

    name, version, needs, software, per_profile = "WARMTH", "2", ("TEMP",), (), False
    attributes = {"long_name": "Temperature above absolute zero", "units": "K"}

    def compute(self, columns, latitude, longitude):
        if "TIDES_FAIL" in os.environ:
            raise ValueError("no sun today")
        return columns["TEMP"] + 273.15

tides = Tides()
ebb = BUILT_IN["none"]
warmth = Warmth()
'''

WISH = """
subscriptions:
  - id: warm
    dataset: argo
    parameters: [{name}]
"""


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
        "lookahead",
        "none",
        "prefix",
        "static",
    }
    assert {("partitioner", "balanced"), ("application", "argo")} <= listed.keys()
    assert {name for kind, name in listed if kind == "derived"} == {"CT", "MLD", "SA", "SIGMA0"}


@pytest.mark.usefixtures("plugin")
def test_what_is_installed_is_listed_with_its_distribution(command: Command) -> None:
    ended = command("plugins")
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["partitioner", "tides", "tidal", "3.1"] in rows
    assert ["policy", "ebb", "tidal", "3.1"] in rows
    assert ["policy", "prefix", "slackwater"] in rows
    assert ["derived", "WARMTH", "tidal", "3.1"] in rows
    assert ["derived", "MLD", "slackwater"] in rows


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


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_derives_by_a_plugin(
    fails: bool, small_archive: DemoArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fails:
        monkeypatch.setenv("TIDES_FAIL", "1")
    order = Order(
        folder=tmp_path / "place", archive=small_archive.folder, wishes=WISH.format(name="WARMTH")
    )
    ended = order.run()
    assert ended.code == 0, ended.err
    (product,) = order.products.rglob("*.nc")
    manifest = json.loads(product.with_suffix(".manifest.json").read_text())
    assert manifest["selections"][0]["parameters"] == ["TEMP", "WARMTH"]
    (derived,) = manifest["derived"]
    assert (derived["name"], derived["version"], derived["plugin"]) == ("WARMTH", "2", "tidal 3.1")
    with netCDF4.Dataset(product) as dataset:
        measured = np.isfinite(dataset["TEMP"][:].filled(np.nan))
        assert measured.any()
        if fails:
            assert dataset["WARMTH"][:].mask.all()
            (failure,) = derived["failures"]
            assert failure["reason"] == "it raised ValueError: no sun today"
        else:
            assert derived["failures"] == []
            np.testing.assert_allclose(
                dataset["WARMTH"][measured], dataset["TEMP"][measured] + 273.15
            )


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("WARMHT", "line 5: subscription warm: unknown parameter 'WARMHT'. Did you mean WARMTH?"),
        ("COLD", "line 5: subscription warm: the plug-in 'COLD' of slackwater.derived"),
    ],
)
def test_a_plugin_that_is_not_there_or_broken_is_refused_with_its_line(
    command: Command, small_archive: DemoArchive, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "wishes.yaml").write_text(WISH.format(name=name))
    ended = command("run", "--archive", small_archive.folder, "--subscriptions", "wishes.yaml")
    assert ended.code == 1
    assert says in ended.err
