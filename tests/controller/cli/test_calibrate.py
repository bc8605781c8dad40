"""`slackwater calibrate`, and `run` with what it kept."""

from __future__ import annotations

import json
import re
import shutil
import signal
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from controller.calibration.record import place_of, read
from controller.calibration.study import SAMPLES
from controller.calibration.table import CHAPTER, TRAITS
from controller.cli import Exit, app
from controller.config.settings import read_settings
from controller.demo.archive import DemoArchive
from planner.events import ApplicationCalibrated
from planner.journal import read_steps
from tests.controller.conftest import Command
from tests.controller.runs import Order, Running

FEW = ("--samples", "24")


def numbers_of(text: str, label: str) -> list[float]:
    """Return the numbers on the first line that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(label))
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", line)]


def test_it_measures_tells_and_keeps(
    small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    ended = command("calibrate", "--archive", small_archive.folder, *FEW)
    assert ended.code == Exit.OK, ended.err
    assert ended.err == ""
    chapter, pearson, low, high = numbers_of(ended.out, "time coverage")[:4]
    assert chapter == CHAPTER["time coverage"]
    assert low <= pearson <= high
    for trait in TRAITS:
        assert len(re.findall(rf"^{trait}\b", ended.out, re.MULTILINE)) >= 2, trait
    # By the tables' shape, whatever a busy machine makes of the figures.
    assert "6 windows of one area, core files" in ended.out
    assert "of the ideal time, where as many parts cut otherwise take" in ended.out
    pasted = tmp_path / "slackwater.yaml"
    pasted.write_text(re.search(r"# slackwater\.yaml\n(?:.+\n)+", ended.out)[0])  # type: ignore[index]
    settings = read_settings(pasted)
    kept = place_of(str(small_archive.folder), "argo")
    assert f"Kept in {kept}" in ended.out
    assert read(kept).accuracy.requests == 24
    assert f"Advice: {settings.planner.cutting.partitioner}" in ended.out


def test_the_result_as_json_and_as_a_page(
    small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    out, html = tmp_path / "new" / "c.json", tmp_path / "c.html"
    wanted = ("--json", "--out", out, "--html", html, "--seed", 3)
    ended = command("calibrate", "--archive", small_archive.folder, *FEW, *wanted)
    assert ended.code == Exit.OK, ended.err
    result = ended.result
    assert result["file"] == str(out)
    assert result["calibration"] == json.loads(out.read_text())
    assert not place_of(str(small_archive.folder), "argo").exists()
    assert len(result["samples"]) == 24
    assert all(len(sample["wall_s"]) == len(sample["cpu_s"]) == 2 for sample in result["samples"])
    assert all(sample["size_bytes"] > 0 for sample in result["samples"] if sample["rows"])
    page = html.read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page), "it needs nothing from elsewhere"
    assert embedded(page, "result")["samples"] == result["samples"]
    assert embedded(page, "settings")["planner"]["scaling"]["nodes_max"] == 8
    assert embedded(page, "command")[:2] == ["slackwater", "calibrate"]


def embedded(page: str, name: str) -> Any:
    document = re.search(
        rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL
    )
    assert document is not None
    return json.loads(document[1])


def test_the_same_seed_asks_the_same(small_archive: DemoArchive, command: Command) -> None:
    def asked(seed: int) -> list[tuple[str, ...]]:
        options = ("--json", "--out", f"{seed}.json", "--seed", seed)
        ended = command("calibrate", "--archive", small_archive.folder, *FEW, *options)
        return [(s["datetime"], *s["parameters"]) for s in ended.result["samples"]]

    assert asked(1) == asked(1) != asked(2)


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_place_that_takes_no_file_is_told_before_anything_is_read(
    option: str, small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "c", tmp_path):
        ended = command("calibrate", "--archive", small_archive.folder, option, place)
        assert ended.code == Exit.FAILED
        assert str(place) in ended.err
        assert ended.out == ""


def test_no_archive_and_an_empty_one(command: Command, tmp_path: Path) -> None:
    ended = command("calibrate", "--archive", tmp_path / "nowhere")
    assert (ended.code, ended.out) == (Exit.FAILED, "")
    assert "nowhere" in ended.err
    index = tmp_path / "a" / "ar_index_global_prof.txt"
    index.parent.mkdir()
    index.write_text("file,date,latitude,longitude\n")
    ended = command("calibrate", "--archive", index.parent)
    assert ended.code == Exit.FAILED
    assert "no profile with a time and a place" in ended.err
    rows = "".join(f"aoml/1/profiles/R1_00{n}.nc,20200101000000,1,{n}\n" for n in range(2))
    index.write_text(f"file,date,latitude,longitude\n{rows}")
    ended = command("calibrate", "--archive", index.parent, "--samples", "20", "--json")
    assert ended.code == Exit.FAILED
    assert "requests to measure, fewer than the 20 that tell anything" in ended.err


def test_too_few_samples_are_a_fault_of_usage(small_archive: DemoArchive, command: Command) -> None:
    ended = command("calibrate", "--archive", small_archive.folder, "--samples", "5")
    assert ended.code == Exit.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrating(Order):
    """A calibration to be started."""

    def command(self) -> list[str]:
        self.scratch.mkdir(parents=True, exist_ok=True)
        out = ("--out", str(self.folder / "kept" / "c.json"))
        return ["calibrate", "--archive", str(self.archive), "--samples", "2000", *out]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_interrupted_it_leaves_nothing(
    number: signal.Signals, small_archive: DemoArchive, tmp_path: Path
) -> None:
    order = Calibrating(folder=tmp_path / "place", archive=small_archive.folder)
    with Running(order) as running:
        running.until("it writes", lambda: any(order.scratch.glob("slackwater-*/*")))
        running.send(number)
        ended = running.wait()
    assert ended.code == Exit.INTERRUPTED
    assert (ended.out, list(order.scratch.iterdir())) == ("", [])
    assert list((order.folder / "kept").iterdir()) == []


def test_a_run_predicts_by_what_was_kept_and_says_so(
    small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    order = Order(
        folder=tmp_path / "place",
        archive=small_archive.folder,
        settings="archive: {read_latency_s: 0.001}",
        options=("--journal", "journal.jsonl", "--calibration", str(tmp_path / "c.json")),
    )
    out = ("--out", tmp_path / "c.json")
    assert command("calibrate", "--archive", small_archive.folder, *FEW, *out).code == Exit.OK
    kept = read(tmp_path / "c.json")
    ended = order.run()
    assert ended.code == Exit.OK, ended.err
    assert f"predicted by the calibration of {kept.made_at[:10]}: 24 requests" in ended.err
    with order.journal.open("rb") as lines:
        next(lines)
        events = [step.event for step in read_steps(lines)]
    (told,) = [event for event in events if isinstance(event, ApplicationCalibrated)]
    assert told.costs.file_s == pytest.approx(kept.costs.file_s + 0.001)
    assert told.costs.base_s == kept.costs.base_s
    assert (told.scatter, told.common_error) == (kept.scatter, kept.common_error)


def test_a_run_refuses_the_calibration_of_another_archive(
    small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "c.json")
    assert command("calibrate", "--archive", small_archive.folder, *FEW, *out).code == Exit.OK
    (tmp_path / "wishes.yaml").write_text("subscriptions: [{id: a, dataset: argo}]")
    shutil.copytree(small_archive.folder, tmp_path / "elsewhere")
    given = ("--subscriptions", tmp_path / "wishes.yaml", "--calibration", tmp_path / "c.json")
    ended = command("run", "--archive", tmp_path / "elsewhere", *given)
    assert ended.code == Exit.FAILED
    assert f"is of {small_archive.folder.as_uri()}" in ended.err
    assert "slackwater calibrate --archive" in ended.err


def test_the_command_line_asks_for_as_many_as_a_calibration_does() -> None:
    assert signature(app.calibrate).parameters["samples"].default == SAMPLES
