"""The example of the documentation, run as its README says: earthquakes selected by a script."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.demo.archive import DemoArchive
from controller.product_files import CRATE_ENDING
from tests.controller.conftest import Command
from tests.controller.runs import Ended, files, slackwater

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "command-earthquakes"
COMMAND = re.compile(r"slackwater run (.+)")

Event = dict[str, str]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return a copy of the example's folder, with its catalogue made."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    subprocess.run([sys.executable, "make_catalogue.py"], cwd=folder, check=True, timeout=60)
    return folder


def run(example: Path, *more: str) -> Ended:
    """Run the command of the README."""
    (line,) = COMMAND.findall((EXAMPLE / "README.md").read_text())
    ended = slackwater("run", *line.split(), "--json", *more, cwd=example)
    assert list((example / "t").iterdir()) == []
    return ended


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def catalogue(example: Path, wanted: Callable[[Event], bool]) -> list[Event]:
    """Return the events that are wanted, in the order of time."""
    found = []
    for path in sorted((example / "catalogue").glob("*/*.csv")):
        with path.open(newline="") as file:
            found += [event for event in csv.DictReader(file) if wanted(event)]
    return found


def product(example: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Return a subscription's product and its manifest, having held one against the other."""
    (manifest,) = files(example / "products" / name, "*.manifest.json")
    told: dict[str, Any] = json.loads(manifest.read_text())
    found = manifest.with_name(told["product"]["file"])
    assert hashlib.sha256(found.read_bytes()).hexdigest() == told["product"]["sha256"]
    return found, told


def rows(path: Path) -> list[Event]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def is_aegean(event: Event) -> bool:
    return 20 <= float(event["longitude"]) < 30 and 34 <= float(event["latitude"]) < 41


def is_strong_tonga(event: Event) -> bool:
    east = float(event["longitude"])
    return (
        (east >= 170 or east < -170)
        and -40 <= float(event["latitude"]) < -10
        and event["time"].startswith("2024")
        and float(event["mag"]) >= 4.5
    )


@pytest.mark.parametrize("parts_per_worker", [None, 1])
def test_the_example_delivers_what_its_catalogue_holds_however_it_is_cut(
    parts_per_worker: int | None, example: Path
) -> None:
    if parts_per_worker is not None:
        cutting = f"planner:\n  cutting: {{parts_per_worker: {parts_per_worker}}}\n"
        replace(example / "slackwater.yaml", "planner:\n", cutting)
    ended = run(example)
    assert ended.code == 0, ended.err
    expected = {
        "aegean": (is_aegean, ("depth", "mag")),
        "tonga-strong": (is_strong_tonga, ("depth", "mag", "place")),
    }
    for name, (wanted, parameters) in expected.items():
        columns = ("time", "latitude", "longitude", "id", *parameters)
        found, told = product(example, name)
        events = [{c: event[c] for c in columns} for event in catalogue(example, wanted)]
        assert rows(found) == events
        assert len(events) > 20
        assert ended.task(name)["rows"] == told["product"]["rows"] == len(events)
        (selection,) = told["selections"]
        assert len(selection["parts"]) > 1
        assert sum(part["rows"] for part in selection["parts"]) == len(events)
        assert len(selection["sources"]) == 24
        assert found.suffix == ".csv"


def test_what_the_tool_says_reaches_the_subscriber(example: Path) -> None:
    replace(example / "subscriptions.yaml", '"4.5"', "strong")
    ended = run(example)
    assert ended.code == 1
    assert "magnitude_min is 'strong': give a number" in ended.task("tonga-strong")["text"]
    assert ended.task("aegean")["manifest_url"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("magnitude_min", "magnitude_max"), "unknown option magnitude_max. Known: magnitude_min"),
        (("[mag, depth]", "[mag, dept]"), "unknown parameter 'dept'. Did you mean depth"),
    ],
)
def test_what_the_operator_has_not_listed_is_refused(
    change: tuple[str, str],
    fault: str,
    example: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace(example / "subscriptions.yaml", *change)
    monkeypatch.chdir(example)
    files = ("--config", "slackwater.yaml", "--subscriptions", "subscriptions.yaml")
    ended = command("run", *files)
    assert ended.code == 1
    assert fault in ended.err


def test_argo_and_earthquakes_come_as_one_product(
    example: Path, small_archive: DemoArchive
) -> None:
    replace(
        example / "slackwater.yaml",
        "datasets:\n",
        "datasets:\n  argo:\n    identifier: 10.17882/42182\n",
    )
    wishes = """
subscriptions:
  - id: sea-and-ground
    dataset: [argo, quakes]
    bbox: -180,-60,180,60
    parameters: [TEMP, mag]
"""
    (example / "subscriptions.yaml").write_text(wishes)
    ended = run(example, "--archive", str(small_archive.folder))
    assert ended.code == 0, ended.err
    found, told = product(example, "sea-and-ground")
    with zipfile.ZipFile(found) as package:
        names = package.namelist()
        assert {Path(name).suffix for name in names} == {".nc", ".csv", ".json"}
        assert [name for name in names if name.endswith(CRATE_ENDING)]
        (quakes,) = (name for name in names if name.endswith(".csv"))
        lines = package.read(quakes).decode().splitlines()
        (argo,) = (name for name in names if name.endswith("-argo.manifest.json"))
        assert json.loads(package.read(argo))["product"]["crate"] in names
    events = catalogue(example, lambda event: -60 <= float(event["latitude"]) < 60)
    assert len(lines) == 1 + len(events)
    members = {member["file"]: member["rows"] for member in told["members"]}
    assert members.keys() == {name for name in names if not name.endswith(".json")}
    assert members[quakes] == len(events)
