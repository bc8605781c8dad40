"""`slackwater chapter`: what it prints on the real index, and what it says where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from controller.cli.chapter import profiles_of
from controller.cli.chapter_study import lines_of, study_of
from controller.cli.chapter_told import claims
from controller.demo.archive import DemoArchive
from sim.chapter.speed_up import Handing
from tests.controller.conftest import Command

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


def test_the_page_holds_the_numbers(command: Command, tmp_path: Path) -> None:
    index = grown_index(tmp_path)
    ended = command("chapter", "--archive", index, "--html", "chapter.html", "--json")
    assert ended.code == 0, ended.err
    text = (tmp_path / "chapter.html").read_text()
    found = re.search(r'id="result">\n(.*?)\n</script>', text, re.DOTALL)
    assert found
    assert json.loads(found[1]) == ended.result
    assert ended.result["profiles"] == 3000
    lines = {(each["name"], each["handing"]): each for each in ended.result["speed_up"]["lines"]}
    # Made to grow: the last eighth of the time holds far more than an eighth of the load.
    assert lines["lin1", "longest first"]["speed_up"][-1] < 5.0
    assert lines["balanced4", "longest first"]["efficiency"][-1] > 0.95


@pytest.mark.shared_data
@pytest.mark.skipif(not INDEX.exists(), reason="the real index is not beside this checkout")
def test_the_real_index_gives_what_the_chapter_says() -> None:
    study = study_of(profiles_of(str(INDEX)), seed=1, archive="", tell=print)
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
    assert all(claim.verdict.startswith("holds") for claim in claims(study))
