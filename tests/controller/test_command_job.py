"""New files of a followed folder become increments by command, and the journal replays."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controller import job as jobs
from controller.config.commands import CommandSettings
from controller.config.iso8601 import parse_interval
from controller.config.settings import DatasetSettings, Settings
from controller.config.subscriptions import read_subscriptions
from controller.destinations import Destinations
from controller.job import open_job, opening
from controller.wiring import working_folders
from planner.events import AnyEvent
from planner.journal import decode_header, read_steps, replay
from planner.model import NoticeKind
from planner.settings import PlannerSettings, ScalingSettings

DATASET = "10.5066/example"

# Hands on the lines of its files that lie in the period; a line is a date and a value.
TOOL = """
import json, sys
part = json.load(sys.stdin)
start, end = part["datetime"].split("/")
start, end = start.replace("..", ""), end.replace("..", "9")
with open(part["fragment"], "w") as out:
    for file in part["files"]:
        for line in open(part["archive"] + "/" + file["path"]):
            if start[:10] <= line[:10] < end[:10]:
                out.write(line)
"""

WISHES = """
subscriptions:
  - id: all
    dataset: lines
    deadline: PT10M
"""


def settings(folder: Path, index: str = "") -> Settings:
    command = CommandSettings(
        run=(sys.executable, "-S", "-c", TOOL),
        join="lines",
        ending=".txt",
        files="*.txt",
        index=index,
        period=parse_interval("2020-01-01/2021-01-01"),
        parameters=("value",),
        part_s=0.2,
    )
    dataset = DatasetSettings(
        identifier=DATASET, application="command", archive=str(folder), command=command
    )
    scaling = ScalingSettings(nodes_max=1, put_off_launches=False)
    return Settings(planner=PlannerSettings(scaling=scaling), datasets={"lines": dataset})


def served(folder: Path, given: Settings, later: dict[str, str]) -> dict[str, str]:
    """Serve `WISHES`, write the later files in the midst of it, and return products by name."""
    destinations = Destinations(roots=(str(folder / "products"),))
    journal = folder / "journal.jsonl"
    (folder / "wishes.yaml").write_text(WISHES)
    with working_folders(folder) as folders:
        job = open_job(given, None, destinations, folders)
        wishes = read_subscriptions(
            folder / "wishes.yaml",
            datasets=job.datasets,
            destinations=destinations,
            now=time.time(),
        )

        def wave() -> Sequence[AnyEvent] | None:
            for name, text in later.items():
                Path(given.datasets["lines"].archive, name).write_text(text)
            update = job.datasets[DATASET].source.look()
            return [update] if update else []

        events = opening(job, wishes.subscriptions)
        results = jobs.run(job, events, waves=(wave,), journal=journal)
    assert {task.outcome for task in results.tasks.values()} <= {NoticeKind.DELIVERED, None}
    with journal.open("rb") as lines:
        _, difference = replay(decode_header(lines.readline()), read_steps(lines))
    assert difference is None
    return {
        path.stem: path.read_text() for path in sorted((folder / "products" / "all").glob("*.txt"))
    }


def test_a_new_file_is_delivered_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "1.txt").write_text("2020-01-01 1\n2020-06-01 2\n")
    products = served(tmp_path, settings(data), {"2.txt": "2020-02-01 3\n2020-07-01 4"})
    assert products == {
        "all-v1-to-u0": "2020-01-01 1\n2020-06-01 2\n",
        "all-v1-u1": "2020-02-01 3\n2020-07-01 4\n",
    }
    manifest = json.loads((tmp_path / "products/all/all-v1-u1.manifest.json").read_text())
    (selection,) = manifest["selections"]
    assert [source["path"] for source in selection["sources"]] == ["2.txt"]
    assert len(selection["parts"]) > 1
    assert selection["updates"] == {"after": 0, "upto": 1}


def test_an_index_shares_the_files_out_among_the_parts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    index = "file,date,latitude,longitude\n"
    for day in range(1, 9):
        (data / f"{day}.txt").write_text(f"2020-01-0{day} {day}\n")
        index += f"{day}.txt,2020-01-0{day},{day},0\n"
    (data / "index.csv").write_text(index)
    products = served(tmp_path, settings(data, "index.csv"), {})
    expected = "".join(f"2020-01-0{day} {day}\n" for day in range(1, 9))
    assert products == {"all-v1-to-u0": expected}
    manifest = json.loads((tmp_path / "products/all/all-v1-to-u0.manifest.json").read_text())
    (selection,) = manifest["selections"]
    assert len(selection["sources"]) == 8
