"""`slackwater trace`: made by playing, by converting, from an archive; and played again."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from controller.cli.loads import archive_columns
from controller.demo.archive import DemoArchive
from tests.controller.apps.argo.index_files import (
    Line,
    archive_of,
    bgc_index,
    core_index,
    instant,
    unpacked_subset,
)
from tests.controller.conftest import Command
from tests.controller.runs import PRODUCTS, Order

JOBS = """id,at,deadline_s,parts,work_s
morning,2024-03-01T06:00:00Z,1800,4,400
noon,2024-03-01T12:00:00Z,900,2,60 180
"""

LOG = """; UnixStartTime: 1000
1 0 -1 60 4 -1 -1 4 90 -1 1 7 1 1 1 1 -1 -1
2 10 -1 30
"""


def test_an_index_becomes_columns(tmp_path: Path) -> None:
    name = "aoml/13857/profiles/{}13857_00{}.nc"
    core = core_index(
        Line(file=name.format("D", 1), date_update="20181011180520"),
        Line(file=name.format("R", 2), date="", date_update=""),
        Line(file=name.format("R", 3), date="19970829200300", date_update=""),
    )
    synthetic = bgc_index(
        Line(file=name.format("SR", 3), date="19970829200300", parameters="PRES DOXY TEMP"),
        Line(file=name.format("SD", 4), date="19970830200300", parameters="PRES CHLA"),
    )
    archive = archive_columns(str(archive_of(tmp_path, core=core, synthetic=synthetic)))
    first = instant(1997, 7, 29) + 20 * 3600 + 3 * 60
    assert archive.time_s.tolist() == [first, first + 31 * 86400]
    updated = instant(2018, 10, 11) + 18 * 3600 + 5 * 60 + 20
    assert np.array_equal(archive.updated_s, [updated, np.nan], equal_nan=True)
    held = [archive.parameter_sets[code] for code in archive.parameter_set]
    assert held == [("PRES", "PSAL", "TEMP"), ("DOXY", "PRES", "TEMP")]
    assert len(set(archive.float_key.tolist())) == 1
    assert archive.latitude.tolist() == pytest.approx([0.267, 0.267])


def test_a_table_is_recorded_replayed_exactly_and_played_again(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "jobs.csv").write_text(JOBS)
    made = command("trace", "record", "jobs.csv", "--out", "run.jsonl.gz", "--json")
    assert made.code == 0
    assert (made.result["tasks"], made.result["on_time"]) == (2, 2)
    again = command("replay", "run.jsonl.gz", "--exact", "--json").result
    assert (again["identical"], again["steps"]) == (True, made.result["steps"])
    played = command("simulate", "run.jsonl.gz", "--policy", "static", "--json").result
    assert (played["policy"], played["tasks"]) == ("static", 2)
    assert command("trace", "convert", "run.jsonl.gz", "back.csv").code == 0
    assert [line.split(",")[0] for line in (tmp_path / "back.csv").read_text().splitlines()] == [
        "id",
        "morning",
        "noon",
    ]


def test_a_log_is_converted_and_its_broken_lines_are_told(tmp_path: Path, command: Command) -> None:
    (tmp_path / "log.swf").write_text(LOG)
    ended = command("trace", "convert", "log.swf", "log.jsonl.gz", "--factor", "5")
    assert ended.code == 0
    assert "1 line left out: not 18 fields (line 3)" in ended.err
    text = gzip.decompress((tmp_path / "log.jsonl.gz").read_bytes()).decode()
    assert '"deadline_s":1050.0' in text
    (tmp_path / "log.jsonl").write_text(text)
    refused = command("replay", "log.jsonl", "--exact")
    assert refused.code == 1
    assert "no record of a run but a trace" in refused.err


def test_names_that_fit_no_trace_are_told_together(command: Command) -> None:
    ended = command("trace", "convert", "log.swff", "log.swf")
    assert ended.code == 2
    assert "log.swff: its name does not end like a trace's. Did you mean .swf" in ended.err
    assert "log.swf: it cannot be written as swf" in ended.err
    lost = command("trace", "record", "burts", "--out", "run.jsonl", "--policy", "x")
    assert lost.code == 2
    assert "Did you mean burst" in lost.err


def test_a_live_run_is_replayed_exactly_and_played_under_another_policy(
    tmp_path: Path, small_archive: DemoArchive, command: Command
) -> None:
    live = Order(
        folder=tmp_path / "run",
        archive=small_archive.folder,
        settings="planner: {scaling: {nodes_max: 1}}",
        options=("--journal", "journal.jsonl"),
    )
    assert live.run().code == 0
    written = live.journal
    exact = command("replay", written, "--exact", "--json").result
    assert exact["identical"]
    played = command("simulate", written, "--policy", "static", "--json").result
    assert (played["tasks"], played["on_time"]) == (2, played["due"])
    assert command("trace", "convert", written, "run.csv").code == 0
    rows = [line.split(",") for line in (tmp_path / "run.csv").read_text().splitlines()]
    assert {row[0] for row in rows[1:]} == PRODUCTS
    predicted, true = rows[0].index("work_s"), rows[0].index("true_work_s")
    for row in rows[1:]:
        assert 0 < len(row[predicted].split()) == len(row[true].split())


@pytest.mark.shared_data
def test_a_real_archive_is_generated_from_and_played(tmp_path: Path, command: Command) -> None:
    archive = unpacked_subset(tmp_path / "gdac")
    made = ("trace", "generate", "--archive", archive, "--year", "2021", "--subscriptions", "40")
    told = command(*made, "--out", "year.jsonl", "--json").result
    assert told["updates"] > 30
    assert told["profiles"] > 150
    first = (tmp_path / "year.jsonl").read_bytes()
    command(*made, "--out", "year.jsonl")
    assert (tmp_path / "year.jsonl").read_bytes() == first
    played = command("simulate", "year.jsonl", "--json").result
    assert played["tasks"] == played["due"] > 20
