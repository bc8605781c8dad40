"""The plug-in of examples/: built, installed and used as its README says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.demo.archive import DemoArchive, make_archive
from planner.events import TaskCut
from planner.journal import decode_header, read_steps
from tests.controller.runs import PRODUCTS, Order, delivered, slackwater

EXAMPLE = Path(__file__).parent.parent / "examples" / "partitioner-plugin"
INSTALL_S_MAX = 120.0
"""It takes 2 s on an idle machine."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return make_archive(tmp_path_factory.mktemp("archive"), profiles=200, seed=7)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and install the distribution into a folder of its own; return that folder."""
    source = tmp_path_factory.mktemp("source") / EXAMPLE.name
    shutil.copytree(EXAMPLE, source)
    place = tmp_path_factory.mktemp("installed")
    # As in the Makefile: uv where it is on PATH, else the environment's own pip.
    uv = shutil.which("uv")
    install = [uv, "pip", "install", "--python", sys.executable] if uv else None
    install = install or [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    done = subprocess.run(
        [*install, "--no-deps", "--no-build-isolation", "--target", str(place), str(source)],
        capture_output=True,
        text=True,
        timeout=INSTALL_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(autouse=True)
def _found(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands that a test starts, and what these start, find what is installed."""
    monkeypatch.setenv("PYTHONPATH", str(installed))


def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "test_equal_area.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_equal_area.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=INSTALL_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_it_is_listed_with_its_distribution(tmp_path: Path) -> None:
    listed = slackwater("plugins", "--json", cwd=tmp_path).result
    told = {"kind": "partitioner", "name": "equal-area", "from": "slackwater-equal-area 0.1.0"}
    assert told in listed


def test_it_stands_beside_the_built_in_ones(archive: DemoArchive, tmp_path: Path) -> None:
    ended = slackwater(
        *("partition", "--archive", str(archive.folder), "--parts", "5", "--json"),
        *("--strategy", "equal-area", "--strategy", "balanced"),
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.err
    ours, balanced = ended.result["strategies"]
    assert (ours["name"], ours["version"], ours["fallback"]) == ("equal-area", "1", "")
    souths = [part["bbox"][1] for part in ours["parts"]]
    assert souths == sorted(souths)
    assert len({*souths}) > 3
    assert ours["predicted"]["max_to_mean"] > balanced["predicted"]["max_to_mean"]


def test_a_run_is_cut_by_it(archive: DemoArchive, tmp_path: Path) -> None:
    order = Order(
        folder=tmp_path / "place",
        archive=archive.folder,
        settings="planner: {cutting: {partitioner: equal-area, part_s_min: 0}}",
        options=("--journal", "journal.jsonl", "--json"),
    )
    ended = order.run()
    assert ended.code == 0, ended.err
    assert delivered(order.products).keys() == PRODUCTS
    with order.journal.open("rb") as lines:
        decode_header(lines.readline())
        cuts = [step.event for step in read_steps(lines) if isinstance(step.event, TaskCut)]
    assert [(cut.partitioner, cut.version, cut.fallback) for cut in cuts] == [
        ("equal-area", "1", "")
    ] * len(PRODUCTS)
    assert all(len({part.extent.box for part in cut.parts}) > 1 for cut in cuts)


def test_its_readme_names_its_files_and_its_name() -> None:
    readme = (EXAMPLE / "README.md").read_text()
    for path in EXAMPLE.iterdir():
        assert path.name == "README.md" or path.is_dir() or f"`{path.name}`" in readme
    assert "partitioner: equal-area" in readme
