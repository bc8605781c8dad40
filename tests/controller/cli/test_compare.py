"""`slackwater simulate` and `compare`: rows, exit codes, files, pages; faults all at once."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from controller.cli.scenarios import FOLDER, built_in, chosen_scenario
from sim.rows import COLUMNS
from tests.controller.conftest import Command

TINY = """
about: A handful of tasks.
load: {kind: bursts, tasks: [5, 5], deadline_s: [600, 600], work_s: [200, 300], parts: 4}
fleet: [{name: vm, boot_s: 60}]
settings: {scaling: {nodes_max: 4}}
"""


@pytest.fixture(name="tiny")
def tiny_scenario(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def test_simulate_prints_one_whole_row(command: Command, tiny: str) -> None:
    ended = command("simulate", tiny, "--json", "--fail-late")
    assert ended.code == 0, ended.err
    row = ended.result
    assert set(row) == set(COLUMNS)
    assert (row["scenario"], row["policy"], row["cap"], row["seed"]) == ("tiny", "prefix", 4, 1)
    assert (row["tasks"], row["due"], row["on_time"]) == (5, 5, 5)
    assert row["regret"] == pytest.approx(row["cost"] / row["bound_cost"])


def test_a_missed_deadline_ends_in_3_only_if_that_is_asked_for(command: Command, tiny: str) -> None:
    asked = ("simulate", tiny, "--policy", "none", "--seed", 2)
    assert command(*asked).code == 0
    ended = command(*asked, "--fail-late")
    assert ended.code == 3
    assert "Deadlines met" in ended.out


def test_compare_takes_the_policy_of_the_scenario_if_only_cuts_differ(
    command: Command, tiny: str
) -> None:
    cuts = "balanced,linear"
    ended = command("compare", tiny, "--partitioners", cuts, "--seeds", 1, "--jobs", 1, "--json")
    assert ended.code == 0, ended.err
    found = [(row["policy"], row["partitioner"]) for row in ended.result["rows"]]
    assert found == [("prefix", "balanced"), ("prefix", "linear")]


def test_compare_wants_to_know_what_differs(command: Command, tiny: str) -> None:
    ended = command("compare", tiny)
    assert ended.code == 2
    assert "name what to compare" in ended.err


def test_compare_writes_its_table_in_every_format(command: Command, tiny: str) -> None:
    asked = ("compare", tiny, "--policies", "prefix,none", "--seeds", 1, "--jobs", 1, "--json")
    found: list[list[dict[str, Any]]] = []
    for name in ("t.csv", "t.json", "t.parquet"):
        ended = command(*asked, "--out", name, "--fail-late")
        assert ended.code == 3, ended.err
        found.append(ended.result["rows"])
        assert [row["policy"] for row in found[-1]] == ["prefix", "none"]
        assert set(found[-1][0]) == set(COLUMNS)
    with Path("t.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert [float(row["cost"]) for row in table] == [row["cost"] for row in found[0]]
    assert json.loads(Path("t.json").read_text()) == found[1]
    assert parquet.read_table("t.parquet").to_pylist() == found[2]


def test_compare_tells_who_did_best_at_80_columns(
    command: Command, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = command("compare", tiny, "--policies", "none,prefix", "--seeds", 2, "--jobs", 1)
    lines = ended.out.splitlines()
    assert all(len(line) <= 80 for line in lines[:-1])
    heads, first, second = (line for line in lines[:-1] if line)
    assert heads.split()[:3] == ["Policy", "Hits", "Regret"]
    assert (first.split()[0], second.split()[0]) == ("prefix", "none")
    assert lines[-1].startswith("prefix met all 10 deadlines of 2 runs, at ")


def test_all_faults_of_a_command_line_are_told_at_once(command: Command, tiny: str) -> None:
    ended = command(
        *("compare", tiny, "--policies", "prefx,none", "--orders", "deadlin"),
        *("--partitioners", "linaer", "--out", "t.xlsx", "--archive", "here"),
    )
    assert ended.code == 2
    for told in (
        "Did you mean prefix?",
        "deadline",
        "Did you mean linear?",
        ".parquet",
        "--archive",
    ):
        assert told in ended.err
    assert command("simulate", "brust").err.strip().endswith("Did you mean burst?")
    assert command("simulate", "brust").code == 2
    assert command("simulate", "argo-2023").code == 2, "it needs an archive"
    assert command("compare", tiny, "--policies", ",").code == 2


def test_all_faults_of_a_file_are_told_at_once_with_their_lines(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(
        "load:\n  kind: bursts\n  taks: [1, 2]\n  tasks: [5, 5]\n  deadline_s: [-1, 2]\n"
        "  work_s: [1, 2]\nfleet:\n  - {slots: two}\n"
        "settings:\n  scaling: {nodes_max: 0}\n  dispatch: {order: foremost}\n"
    )
    ended = command("simulate", "bad.yaml")
    assert ended.code == 1
    faults = re.findall(r"line (\d+): (.*)", ended.err)
    assert [int(line) for line, _ in faults] == [3, 5, 8, 10, 11]
    assert "Did you mean tasks?" in faults[0][1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("load: {kind: burst, tasks: [1, 1]}", "Did you mean bursts?"),
        ("load: {tasks: [1, 1], deadline_s: [1, 2], work_s: [3, 2]}", "line 1: load.work_s"),
        (TINY + "name: x\nabout: twice", "a second time"),
        (TINY.replace("vm, boot_s: 60}", "vm}, {name: vm}"), "'vm' stands on line"),
        (TINY.replace("{scaling: {nodes_max", "{scaling: {policy: prefx, nodes_max"), "prefix?"),
    ],
)
def test_what_a_scenario_cannot_be_is_refused(
    command: Command, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    ended = command("simulate", "bad.yaml")
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


def test_the_scenarios_that_come_along_can_be_read() -> None:
    assert "burst" in built_in()
    for name in built_in():
        chosen = chosen_scenario(name, archive="somewhere")
        assert chosen.scenario.name == name
        assert chosen.scenario.about
        assert chosen.text == (FOLDER / f"{name}.yaml").read_text("utf-8")


def embedded(text: str, name: str) -> Any:
    found = re.search(rf'id="{name}">\n(.*?)\n</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_pages_need_nothing_else_and_hold_their_numbers(command: Command, tiny: str) -> None:
    asked = ("compare", tiny, "--policies", "prefix,none", "--seeds", 2, "--jobs", 1)
    compared = command(*asked, "--json", "--html", "c.html").result
    simulated = command("simulate", tiny, "--json", "--html", "s.html").result
    pages = {name: Path(f"{name}.html").read_text("utf-8") for name in "cs"}
    for text in pages.values():
        assert not re.findall(r"(?:src|href)=\"(?!#)", text)
        assert "url(" not in text.replace("url(#", "")
        for word in ("Hit rate", "Regret", "Bound", "Idle", "Boot", "A handful of tasks."):
            assert word in text
        inputs = embedded(text, "inputs")
        assert inputs["scenario"]["load"]["parts"] == 4
        assert inputs["command"][0] == "slackwater"
        assert set(inputs["versions"]) == {"python", "numpy", "scipy", "simpy"}
    assert embedded(pages["c"], "comparison")["rows"] == compared["rows"]
    assert embedded(pages["c"], "inputs")["seeds"] == [1, 2]
    assert pages["c"].count("<svg") == 4
    assert embedded(pages["s"], "row") == simulated
    assert len(embedded(pages["s"], "tasks")) == 5
    assert any(one["what"] == "launch" for one in embedded(pages["s"], "decisions"))
    assert pages["s"].count("<svg") == 2
