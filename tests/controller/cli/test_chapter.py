"""`slackwater chapter`: what it prints on the real index, and what it says where there is none."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import pytest

from controller.cli.chapter import profiles_of
from controller.cli.chapter_page import page_of
from controller.cli.chapter_study import Sweep, lines_of, study_of
from controller.cli.chapter_told import claims
from controller.demo.archive import DemoArchive
from sim.chapter.scaling import (
    CASES,
    DYNAMIC,
    NONE,
    PREFIX,
    PREFIX_2,
    STATIC,
    least_vm_h,
)
from sim.chapter.speed_up import Handing
from sim.page import json_text
from tests.controller.conftest import Command

FEW = Sweep(draws=0, thresholds=(5 / 12,), factors=(1 / 10,))
INDEX = Path(__file__).parents[4] / "shared" / "data" / "argo" / "global-index.csv.gz"


def test_without_an_index_it_says_where_one_is_to_be_had(command: Command) -> None:
    ended = command("chapter", "--json")
    assert ended.code == 1
    assert "need the index of an Argo archive. Give --archive" in ended.err
    assert "https://doi.org/10.17882/42182" in ended.err


def test_an_archive_of_other_years_is_refused(command: Command, small_archive: DemoArchive) -> None:
    ended = command("chapter", "--archive", small_archive.folder)
    assert ended.code == 1
    assert re.search(r"lists \d+ profiles of the Mediterranean, 1999 to 2006", ended.err)


def test_an_index_file_may_be_named(small_archive: DemoArchive) -> None:
    index = small_archive.folder / "ar_index_global_prof.txt.gz"
    of_file, of_folder = profiles_of(str(index)), profiles_of(str(small_archive.folder))
    assert len(of_file) == len(of_folder) > 100
    assert of_file.time_s.tolist() == of_folder.time_s.tolist()


def grown_index(folder: Path) -> Path:
    """An index whose floats report ever more from the Mediterranean of 1999 to 2006."""
    rows = ["file,date,latitude,longitude"]
    for number in range(3000):
        day = int(2900 * (number / 3000) ** 0.4)
        date = f"{1999 + day // 365}{1 + day % 365 // 31:02}{1 + day % 28:02}120000"
        wmo, cycle = 1900000 + number % 30, 1 + number // 30
        place = f"{31 + number * 7 % 13}.5,{number * 11 % 36}.25"
        rows.append(f"coriolis/{wmo}/profiles/D{wmo}_{cycle:03}.nc,{date},{place}")
    index = folder / "grown_index.csv"
    index.write_text("\n".join(rows) + "\n")
    return index


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'id="result">\n(.*?)\n</script>', page, re.DOTALL)
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def test_the_page_holds_the_numbers(tmp_path: Path) -> None:
    profiles = profiles_of(str(grown_index(tmp_path)))
    study = study_of(profiles, seed=1, archive="here", sweep=FEW)
    text = page_of(study, profiles)
    result = embedded(text)
    assert result == json.loads(json_text(study.result(), indent=0))
    assert result["profiles"] == 3000
    assert [case["case"] for case in result["scaling"]["cases"]] == [case.name for case in CASES]
    assert all(len(case["starts"]) == 100 for case in result["scaling"]["cases"])
    assert len(result["scaling"]["tasks"]) == 100
    for claim in claims(study):
        assert escape(claim.said) in text
        assert escape(claim.found) in text
    lines = {(each["name"], each["handing"]): each for each in result["speed_up"]["lines"]}
    # Made to grow: the last eighth of the time holds far more than an eighth of the load.
    assert lines["lin1", "longest first"]["speed_up"][-1] < 5.0
    assert lines["balanced4", "longest first"]["efficiency"][-1] > 0.95


@pytest.mark.slow
def test_the_whole_command(command: Command, tmp_path: Path) -> None:
    asked = ("chapter", "--archive", grown_index(tmp_path), "--html", "chapter.html")
    ended = command(*asked, "--json")
    assert ended.code == 0, ended.err
    assert embedded((tmp_path / "chapter.html").read_text()) == ended.result
    shown = command(*asked)
    assert shown.code == 0, shown.err
    assert "without scaling, misses begin after about 22 tasks" in " ".join(shown.out.split())


@pytest.mark.shared_data
@pytest.mark.skipif(not INDEX.exists(), reason="the real index is not beside this checkout")
def test_the_real_index_gives_what_the_chapter_says() -> None:
    study = study_of(profiles_of(str(INDEX)), seed=1, archive="", sweep=FEW)
    globe = study.columns[0].correlations
    coverage, end = globe["time coverage"], globe["end date"]
    assert coverage
    assert end
    assert coverage.value == pytest.approx(0.94, abs=0.015)
    assert end.value == pytest.approx(0.70, abs=0.05)
    assert study.request_profiles == 5475
    lines = lines_of(study.curves, Handing.LONGEST_FIRST)
    on_8 = {name: float(curve.means[-1]) for name, curve in lines.items()}
    assert on_8["lin1"] == pytest.approx(2.5, abs=0.1)
    assert max(("lin1", "lin4", "log1", "log4"), key=on_8.__getitem__) == "log4"
    assert min(on_8["balanced4"], on_8["bisecting4"]) > on_8["log4"]
    assert min(on_8["balanced1"], on_8["bisecting1"]) > 1.9 * on_8["log1"]
    runs = study.hundred
    assert runs.of(NONE).late_starts == list(range(23, 101))
    assert runs.of(STATIC).misses == runs.of(PREFIX).misses == runs.of(PREFIX_2).misses == 0
    assert runs.of(STATIC).outcome.peak_workers == 16
    assert set(runs.of(DYNAMIC).late_starts) <= {100}
    assert runs.of(PREFIX_2).vm_h < 1.1 * least_vm_h(runs.scenario, runs.tasks, 2)
    failing = [claim for claim in claims(study) if not claim.verdict.startswith("holds")]
    # A second worker that costs nothing is not asked for by prefix: told on the page, and here.
    assert [claim.where for claim in failing] == ["prefix"]
    assert "a second worker at no price" in failing[0].found
