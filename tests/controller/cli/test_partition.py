"""`slackwater partition`: every strategy's cuts of one request, predicted and measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from controller.demo.archive import DemoArchive
from partitioners.catalogue import BUILT_IN
from tests.controller.conftest import Command


def test_every_strategy_cuts_the_same_files(command: Command, small_archive: DemoArchive) -> None:
    asked = ("partition", "--archive", small_archive.folder, "--parts", 6, "--workers", 3)
    ended = command(*asked, "--json")
    assert ended.code == 0, ended.err
    result = ended.result
    assert [strategy["name"] for strategy in result["strategies"]] == sorted(BUILT_IN)
    assert (result["parts_wanted"], result["workers"]) == (6, 3)
    for strategy in result["strategies"]:
        assert sum(part["files"] for part in strategy["parts"]) == result["files"] > 100
        predicted = [part["predicted_s"] for part in strategy["parts"]]
        told = strategy["predicted"]
        assert told["total_s"] == pytest.approx(sum(predicted))
        assert told["max_to_mean"] == pytest.approx(max(predicted) * 6 / sum(predicted))
        assert told["ideal_s"] <= told["makespan_s"] <= told["ideal_s"] + max(predicted)
        assert strategy["measured"] is None
        assert strategy["parts"][0]["measured_s"] is None
    by_name = {each["name"]: each["predicted"]["max_to_mean"] for each in result["strategies"]}
    assert by_name["balanced"] <= 1.1
    assert by_name["bisecting"] <= 1.1
    assert by_name["calibrated"] <= by_name["linear"]


def test_with_run_every_part_is_read_and_measured(
    command: Command, small_archive: DemoArchive, tmp_path: Path
) -> None:
    ended = command(
        *("partition", "--archive", small_archive.folder, "--parts", 4, "--run", "--json"),
        *("--strategy", "bisecting", "--strategy", "linear", "--html", "cuts.html"),
    )
    assert ended.code == 0, ended.err
    assert [strategy["name"] for strategy in ended.result["strategies"]] == ["bisecting", "linear"]
    for strategy in ended.result["strategies"]:
        measured = [part["measured_s"] for part in strategy["parts"]]
        assert all(part_s > 0 for part_s in measured)
        assert all(part["elapsed_s"] > 0 for part in strategy["parts"])
        assert strategy["measured"]["total_s"] == pytest.approx(sum(measured))
    text = (tmp_path / "cuts.html").read_text()
    found = re.search(r'id="result">\n(.*?)\n</script>', text, re.DOTALL)
    assert found
    assert json.loads(found[1]) == ended.result
    assert {path.name for path in tmp_path.iterdir()} == {"cuts.html"}


def test_a_view_is_told_as_a_subscription_tells_it(
    command: Command, small_archive: DemoArchive, tmp_path: Path
) -> None:
    ended = command(
        *("partition", "--archive", small_archive.folder, "--bbox", "-180,-60,180,60"),
        *("--time", "2001-01-01/..", "--parameters", "TEMP", "--options", "mode=research"),
        *("--parts", 3, "--svg", "cuts.svg", "--json"),
    )
    assert ended.code == 0, ended.err
    request = ended.result["request"]
    assert request["bbox"] == [-180.0, -60.0, 180.0, 60.0]
    assert request["datetime"] == "2001-01-01T00:00:00Z/.."
    assert (request["parameters"], request["options"]) == (["TEMP"], {"mode": "research"})
    first = ended.result["strategies"][0]["parts"][0]
    assert first["datetime"].startswith("2001-01-01T00:00:00Z/")
    assert (tmp_path / "cuts.svg").read_text().startswith("<svg ")


@pytest.mark.parametrize("run", [(), ("--run",)])
def test_the_table_fits_a_narrow_terminal(
    run: tuple[str, ...],
    command: Command,
    small_archive: DemoArchive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = command("partition", "--archive", small_archive.folder, "--parts", 4, *run)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {line.split()[0] for line in lines} > set(BUILT_IN)
    assert any("max/mean" in line for line in lines)


def test_no_heading_is_broken_within_a_word(
    command: Command, small_archive: DemoArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ended = command("partition", "--archive", small_archive.folder, "--parts", 32)
    assert ended.code == 0
    assert "Predicted" in ended.out
    assert " ms" in ended.out, "what is short is told in milliseconds"


def test_an_unknown_option_alone_is_a_mistake_of_usage(
    command: Command, small_archive: DemoArchive
) -> None:
    ended = command("partition", "--archive", small_archive.folder, "--options", "qq=1")
    assert ended.code == 2
    assert "--options: option 'qq' is unknown" in ended.err


def test_all_that_is_wrong_is_told_at_once(command: Command, small_archive: DemoArchive) -> None:
    ended = command(
        *("partition", "--archive", small_archive.folder, "--bbox", "0,0,1", "--time", "2020"),
        *("--parameters", "TMP", "--options", "mode", "--options", "qc=11", "--strategy", "linea"),
    )
    assert ended.code == 2
    assert ended.out == ""
    for said in (
        "--bbox: bbox 0,0,1 is not four numbers",
        "--time: '2020' is no interval",
        "--parameters: unknown 'TMP'. Did you mean TEMP",
        "--options: 'mode' has no value",
        "--options: option qc",
        "--strategy: unknown 'linea'. Did you mean linear",
    ):
        assert said in ended.err


def test_it_predicts_by_what_a_calibration_kept(
    command: Command, small_archive: DemoArchive
) -> None:
    asked = ("partition", "--archive", small_archive.folder, "--parts", 3, "--json")
    before = command(*asked)
    calibrated = command("calibrate", "--archive", small_archive.folder, "--samples", 20, "--json")
    assert calibrated.code == 0, calibrated.err
    after = command(*asked)
    assert after.result["costs"] == calibrated.result["calibration"]["costs"]
    assert after.result["costs"] != before.result["costs"]
    assert "run times are predicted by the calibration" in after.err


def test_an_option_that_no_view_understands_is_told_with_the_rest(
    command: Command, small_archive: DemoArchive
) -> None:
    ended = command(
        *("partition", "--archive", small_archive.folder, "--bbox", "0,0,1"),
        *("--parameters", "TEMP", "--options", "qc_PSAL=1", "--options", "qd=1"),
    )
    assert ended.code == 2
    assert "option 'qd' is unknown" in ended.err
    assert "--bbox: bbox 0,0,1 is not four numbers" in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bbox", "0,89,0.001,90"), "the request matches no profile"),
        (("--html", "no/such/folder.html"), "its folder is missing"),
        (("--svg", "."), "it is a folder"),
    ],
)
def test_what_cannot_be_done_is_told(
    options: tuple[str, ...], said: str, command: Command, small_archive: DemoArchive
) -> None:
    ended = command("partition", "--archive", small_archive.folder, *options)
    assert ended.code == 1
    assert said in ended.err
