"""`slackwater plan` on a small archive: numbers, exit codes, suggestions that hold, the page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.demo.archive import DemoArchive, make_archive, reprocess
from tests.controller.conftest import Command
from tests.controller.runs import Ended

WISHES = """
subscriptions:
  - id: world
    dataset: argo
    parameters: [TEMP, PSAL]
    deadline: {world}
  - id: mediterranean
    dataset: argo
    bbox: -6,30,36.5,46
    parameters: TEMP
    deadline: {mediterranean}
  - id: whenever
    dataset: argo
    bbox: -6,30,36.5,46
    parameters: TEMP
"""

FAR = """
archive: {{read_latency_s: 0.05}}
nodes: {{vm: {{slots: 2, boot_s: 5, price_per_h: 0.2, power_w: 200, nodes_max: {nodes_max}}}}}
planner: {{scaling: {{nodes_max: {nodes_max}}}, cutting: {{{cutting}}}}}
"""
"""Two hundred files are 11 s of work."""

Plan = Callable[..., Ended]


@pytest.fixture(name="plan")
def planner_of(command: Command, small_archive: DemoArchive, tmp_path: Path) -> Plan:
    """Return what plans the wishes with these deadlines, on nodes that boot in 5 s."""

    def run(
        *options: object,
        world: str = "PT10M",
        mediterranean: str = "PT10M",
        nodes_max: int = 1,
        cutting: str = "",
    ) -> Ended:
        (tmp_path / "wishes.yaml").write_text(
            WISHES.format(world=world, mediterranean=mediterranean)
        )
        (tmp_path / "slackwater.yaml").write_text(FAR.format(nodes_max=nodes_max, cutting=cutting))
        return command(
            "plan",
            *("--archive", small_archive.folder),
            *("--subscriptions", "wishes.yaml"),
            *("--config", "slackwater.yaml"),
            *options,
        )

    return run


def task(ended: Ended, subscription_id: str) -> Any:
    """Return what --json says of a subscription's task."""
    return ended.task(subscription_id)


def test_deadlines_that_are_met_end_in_0(plan: Plan) -> None:
    ended = plan("--json")
    assert ended.code == 0, ended.err
    world = task(ended, "world")
    assert world["state"] == "on time"
    assert world["files"] == pytest.approx(200, abs=20)
    assert world["work_s"] < world["work_90_s"]
    assert world["finish_s"] < world["finish_90_s"]
    assert world["slack_s"] == pytest.approx(600 - world["finish_s"])
    assert world["late_chance"] < 0.1
    assert task(ended, "whenever")["state"] == "best effort"
    assert ended.result["savings"] == []
    assert ended.result["one_worker"].startswith("One worker is enough: ")
    assert ended.result["notes"] == []


def test_the_bill_holds_the_rates_of_the_settings(plan: Plan) -> None:
    usage = plan("--json").result["median"]
    assert usage["cost"] == pytest.approx(0.2 * usage["node_h"])
    assert usage["energy_kwh"] == pytest.approx(0.2 * usage["node_h"])
    assert usage["worker_h"] <= 2 * usage["node_h"]
    assert max(moment["busy"] for moment in usage["moments"]) == usage["workers"]


def test_nothing_is_run_and_nothing_is_written(plan: Plan, tmp_path: Path) -> None:
    plan()
    assert {path.name for path in tmp_path.iterdir()} <= {
        "wishes.yaml",
        "slackwater.yaml",
        "archive",
    }


def test_a_deadline_that_is_missed_ends_in_3_and_the_fleet_that_is_named_meets_it(
    plan: Plan,
) -> None:
    ended = plan("--json", world="PT12S")
    assert ended.code == 3
    assert task(ended, "world")["state"] == "late"
    (saving,) = ended.result["savings"]
    assert saving["subscription_id"] == "world"
    assert saving["nodes"] > 1
    again = plan("--json", world="PT12S", nodes_max=saving["nodes"])
    assert again.code == 0
    assert task(again, "world")["state"] == "on time"


def test_the_deadline_that_is_named_is_met(plan: Plan) -> None:
    ended = plan("--json", world="PT12S")
    (saving,) = ended.result["savings"]
    again = plan("--json", world=f"PT{saving['deadline_s']:g}S")
    assert again.code == 0, again.out


def test_a_cut_that_is_named_meets_it(plan: Plan) -> None:
    late: dict[str, Any] = {"world": "PT11S", "nodes_max": 4}
    ended = plan("--json", cutting="partitioner: linear, parts_per_worker: 1", **late)
    assert ended.code == 3
    (saving,) = ended.result["savings"]
    assert "partitioner balanced" in saving["cuts"]
    for cut in saving["cuts"]:
        partitioner, parts = "linear", "1"
        if cut.startswith("partitioner"):
            partitioner = cut.split()[1]
        else:
            parts = cut.split()[0]
        cutting = f"partitioner: {partitioner}, parts_per_worker: {parts}"
        again = plan("--json", cutting=cutting, **late)
        assert task(again, "world")["state"] == "on time", cut


def test_what_no_fleet_can_meet_is_said(plan: Plan) -> None:
    ended = plan(world="PT4S", nodes_max=8)
    assert ended.code == 3
    # Nine boots in ten take no longer than 1.38 times the 5.5 s of this node type.
    assert "no fleet can: 7.6 s to boot" in ended.out


def test_since_an_older_index_only_what_changed_is_planned(
    command: Command, tmp_path: Path
) -> None:
    archive = make_archive(tmp_path / "archive", profiles=120, seed=9)
    kept = shutil.copy(archive.index, tmp_path / "kept.txt")
    wishes = tmp_path / "wishes.yaml"
    wishes.write_text(WISHES.format(world="PT10M", mediterranean="PT10M"))
    asked = ("plan", "--archive", archive.folder, "--subscriptions", wishes, "--since", kept)
    nothing = command(*asked)
    assert nothing.code == 0
    assert "Nothing to deliver." in nothing.out
    reprocess(archive, profiles=20)
    ended = command(*asked, "--json")
    assert ended.code == 0
    assert task(ended, "world")["product_id"] == "world-v1-u1"
    assert 0 < task(ended, "world")["files"] <= 20


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_narrow_terminal_gets_fewer_columns_and_no_wrapped_rows(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = plan(world="PT12S")
    rows = ended.out.split("\n\n")[0].splitlines()
    assert len(rows) == 2 + 3
    assert all(len(row) <= columns for row in rows)
    assert "Finish" in rows[1]
    assert ("Imp" in rows[1]) == (columns == 120)
    assert "Of 2 deadlines, 1 will be missed." in ended.out
    assert "It would be met with up to " in ended.out
    assert "▁" in ended.out or "█" in ended.out


def test_faults_of_the_files_are_told_before_anything_is_rehearsed(plan: Plan) -> None:
    ended = plan("--json", world="tomorrow")
    assert ended.code == 1
    assert "line 6" in ended.err


class TestPage:
    @pytest.fixture(name="text")
    def page_text(self, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("SLACKWATER_STORE__PASSWORD", "correct-horse")
        ended = plan("--html", "plan.html", world="PT12S")
        assert ended.code == 3
        return (tmp_path / "plan.html").read_text("utf-8")

    def test_it_needs_nothing_from_elsewhere(self, text: str) -> None:
        assert not re.findall(r"(?:src|href)=\"(?!#)", text)
        assert set(re.findall(r"<script type=\"([^\"]*)\"", text)) == {"application/json"}
        assert "@import" not in text
        assert text.count("<svg ") == 2
        assert "prefers-color-scheme: dark" in text

    def test_it_holds_its_inputs_and_its_numbers(self, text: str, tmp_path: Path) -> None:
        held = {
            name: json.loads(data)
            for name, data in re.findall(
                r'<script type="application/json" id="(\w+)">\n(.*?)\n</script>', text, re.DOTALL
            )
        }
        assert held["inputs"]["subscriptions"] == (tmp_path / "wishes.yaml").read_text()
        assert held["inputs"]["config"] == (tmp_path / "slackwater.yaml").read_text()
        assert held["inputs"]["command"][:2] == ["slackwater", "plan"]
        assert held["inputs"]["build"].startswith("slackwater ")
        (dataset,) = held["inputs"]["archive"]["datasets"].values()
        assert dataset["identifier"] == "10.17882/42182"
        assert held["inputs"]["settings"]["planner"]["scaling"]["nodes_max"] == 1
        assert held["inputs"]["settings"]["store"]["password"] == "set"
        assert "correct-horse" not in text
        assert held["plan"]["tasks"][0]["subscription_id"] in text
        assert {task["state"] for task in held["plan"]["tasks"]} == {
            "late",
            "on time",
            "best effort",
        }

    def test_it_says_in_words_what_is_wrong_and_what_would_help(self, text: str) -> None:
        assert "Of 2 deadlines, 1 will be missed." in text
        assert "What would save them" in text
        assert "It would be met with up to " in text


def test_a_page_that_cannot_be_written_is_told(plan: Plan) -> None:
    ended = plan("--html", "nowhere/plan.html")
    assert ended.code == 1
    assert "nowhere/plan.html" in ended.err
