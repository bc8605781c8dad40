"""`slackwater calibrate --dataset`, and what `plan` and `run` make of what it kept."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.calibration.record import place_of, read
from controller.cli import Exit
from controller.demo.archive import DemoArchive
from planner.events import PartFinished, TaskCut
from planner.journal import read_steps
from tests.controller.conftest import Command
from tests.controller.runs import files, slackwater

TOOL = """
import json, sys, time
from pathlib import Path

part = json.load(sys.stdin)
west, south, east, north = part["bbox"]
start, end = part["datetime"].split("/")
kept = []
for line in Path(part["archive"], "events.csv").read_text().splitlines():
    at, longitude, latitude = line.split(",")
    after, before = start == ".." or at >= start, end == ".." or at < end
    inside = west <= float(longitude) < east and south <= float(latitude) < north
    if after and before and inside:
        kept.append(line)
time.sleep(0.04 * len(kept))  # What it finds is far away.
Path(part["fragment"]).write_text("".join(f"{line}\\n" for line in kept))
"""

SETTINGS = """
datasets:
  sky:
    identifier: sky
    application: command
    archive: data
    command:
      run: [python3, -S, -E, "{here}/tool.py"]
      files: "*.csv"
      join: lines
      ending: .csv
      period: 2023-01-01/2024-01-01
      part_s: 0.3
planner:
  cutting: {part_s_min: 0.05}
  scaling: {nodes_max: 2}
"""

WISHES = "subscriptions: [{id: all, dataset: sky, deadline: PT10M}]"
EVENTS, LATE = 300, 270


@pytest.fixture
def sky(tmp_path: Path) -> Path:
    """Return a folder with a dataset of a year that is crowded in its last eighth."""
    folder, chance = tmp_path / "sky", random.Random(11)
    (folder / "data").mkdir(parents=True)
    days = [chance.uniform(0, 319) for _ in range(EVENTS - LATE)]
    days += [chance.uniform(320, 365) for _ in range(LATE)]
    lines = [
        f"{instant(day)},{chance.uniform(-180, 180):.3f},{chance.uniform(-60, 60):.3f}\n"
        for day in sorted(days)
    ]
    (folder / "data" / "events.csv").write_text("".join(lines))
    (folder / "tool.py").write_text(TOOL)
    (folder / "slackwater.yaml").write_text(SETTINGS)
    (folder / "wishes.yaml").write_text(WISHES)
    return folder


def instant(day: float) -> str:
    return f"{datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"


def imbalance(sky: Path) -> float:
    """Return the events of the largest part over the mean, of the one product there is."""
    (manifest,) = files(sky / "products" / "all", "*.manifest.json")
    (selection,) = json.loads(manifest.read_text())["selections"]
    rows = [part["rows"] for part in selection["parts"]]
    assert sum(rows) == EVENTS
    assert len(rows) == 16
    return float(max(rows) * len(rows) / EVENTS)


def test_the_first_run_is_cut_in_balance_and_the_plan_knows_what_it_takes(sky: Path) -> None:
    given = ("--config", "slackwater.yaml", "--subscriptions", "wishes.yaml", "--json")
    last = instant(365 * 15 / 16)
    late = [line for line in (sky / "data" / "events.csv").read_text().split() if line >= last]
    assert len(late) * 16 / EVENTS > 6, "the last of 16 equal spans, which it is cut into blindly"

    asked = ("--config", "slackwater.yaml", "--dataset", "sky", "--samples", "20", "--json")
    ended = slackwater("calibrate", *asked, cwd=sky)
    assert ended.code == Exit.OK, ended.err
    kept = read(Path(ended.result["file"]))
    assert (kept.dataset, kept.application, len(kept.history)) == ("sky", "command", 20)
    assert list((sky / "t").iterdir()) == []

    planned = slackwater("plan", *given, cwd=sky)
    told = f"sky is cut and predicted by the calibration of {kept.made_at[:10]}: 20 strata"
    assert told in planned.err
    run = slackwater("run", *given, "--journal", "journal.jsonl", cwd=sky)
    assert run.code == Exit.OK, run.err
    assert told in run.err
    assert imbalance(sky) < 3.5
    with (sky / "journal.jsonl").open("rb") as lines:
        next(lines)
        events = [step.event for step in read_steps(lines)]
    (cut,) = (event for event in events if isinstance(event, TaskCut))
    taken_s = sum(event.run_s for event in events if isinstance(event, PartFinished))
    (task,) = planned.result["tasks"]
    assert task["parts"] == len(cut.parts) == 16
    assert taken_s / 2 < task["work_s"] < taken_s * 2


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), Exit.USAGE, "give --archive, or --dataset"),
        (("--dataset", "argo", "--bbox", "0,0,1,1"), Exit.USAGE, "--bbox and --time are for"),
        (("--archive", "a", "--time", "2020/2021"), Exit.USAGE, "--bbox and --time are for"),
        (("--dataset", "sky", "--html", "h.html"), Exit.USAGE, "--html is for Argo"),
        (("--dataset", "sk"), Exit.FAILED, "no dataset 'sk'. Did you mean sky?"),
        (("--dataset", "argo"), Exit.FAILED, "Give --archive too"),
        (("--dataset", "endless"), Exit.FAILED, "datasets.endless.command.period"),
        (("--dataset", "sky", "--bbox", "0,0,1"), Exit.FAILED, "--bbox"),
        (("--dataset", "sky", "--time", "2030/2031", "--bbox", "1,1,1,1"), Exit.FAILED, "--bbox"),
        (("--dataset", "sky", "--time", "2025-01-01/.."), Exit.FAILED, "holds nothing of --time"),
        (("--dataset", "sky", "--samples", "5000"), Exit.FAILED, "4,096 --samples at most"),
        (("--dataset", "placed"), Exit.FAILED, "dataset placed has an index"),
    ],
)
def test_what_cannot_be_calibrated_is_told(
    options: tuple[str, ...], code: Exit, told: str, sky: Path, command: Command
) -> None:
    (sky / "data" / "index.csv").write_text("file,date,latitude,longitude\n")
    placed = SETTINGS.partition("datasets:\n")[2].partition("planner:")[0]
    more = placed.replace("sky", "placed").replace('"*.csv"', '"*.csv"\n      index: index.csv')
    more += placed.replace("sky", "endless").replace("      period: 2023-01-01/2024-01-01\n", "")
    more += "  argo: 10.17882/42182\n"
    text = SETTINGS.replace("planner:", f"{more}planner:").replace(
        "archive: data", f"archive: {sky / 'data'}"
    )
    (sky / "slackwater.yaml").write_text(text)
    ended = command("calibrate", "--config", sky / "slackwater.yaml", *options)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err


def test_a_tool_that_fails_leaves_nothing(sky: Path, command: Command) -> None:
    (sky / "tool.py").write_text("raise SystemExit('no disc')")
    text = SETTINGS.replace("archive: data", f"archive: {sky / 'data'}")
    (sky / "slackwater.yaml").write_text(text)
    ended = command("calibrate", "--config", sky / "slackwater.yaml", "--dataset", "sky")
    assert (ended.code, ended.out) == (Exit.FAILED, "")
    assert "no disc" in ended.err
    assert not place_of(str(sky / "data"), "command", "sky").exists()


def test_argo_by_its_alias_is_calibrated_as_its_archive_is(
    small_archive: DemoArchive, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "slackwater.yaml").write_text(
        f"datasets: {{floats: {{identifier: x, archive: {small_archive.folder}}}}}"
    )
    given = ("--config", "slackwater.yaml", "--dataset", "floats", "--samples", "24", "--json")
    ended = command("calibrate", *given)
    assert ended.code == Exit.OK, ended.err
    assert ended.result["order"]["dataset"] == "x"
    kept = read(place_of(str(small_archive.folder), "argo", "x"))
    assert (kept.dataset, kept.history) == ("x", ())
