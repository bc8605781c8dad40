"""A folder as a source of updates: each change is told once, and a folder that is away is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.config.commands import CommandSettings
from controller.errors import ArchiveError
from controller.sources.folder import GONE_MAX, FolderSource, open_command
from planner.extent import Extent
from planner.model import UpdateSpan

DATASET = "10.5066/example"
COLUMNS = "file,date,latitude,longitude\n"


def write(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (folder / name).write_text(text)


def source(folder: Path, index: str | None = None) -> FolderSource:
    return FolderSource(str(folder), DATASET, parameters=("sst",), files="*.nc", index=index)


def files(told: FolderSource, after: int | None, upto: int) -> list[str]:
    found = told.listing.select(Extent(), UpdateSpan(after=after, upto=upto))
    return [file.path for file in found]


def test_what_stands_at_the_beginning_is_update_0(tmp_path: Path) -> None:
    write(tmp_path, "a.nc", "b.txt")
    told = source(tmp_path)
    base = told.base()
    assert (base.dataset, base.number) == (DATASET, 0)
    assert base.observations is not None
    assert len(base.observations) == 0
    assert told.look() is None
    assert files(told, None, 0) == ["a.nc"]


def test_new_and_changed_files_are_updates_that_may_concern_everybody(tmp_path: Path) -> None:
    write(tmp_path, "a.nc", "b.nc")
    told = source(tmp_path)
    write(tmp_path, "c.nc")
    first = told.look()
    assert first is not None
    assert (first.number, first.observations) == (1, None)
    assert told.look() is None
    write(tmp_path, "a.nc", text="longer")
    os.utime(tmp_path / "b.nc", (1.0, 1.0))
    second = told.look()
    assert second is not None
    assert second.number == 2
    assert files(told, 0, 1) == ["c.nc"]
    assert files(told, 1, 2) == ["a.nc", "b.nc"]


def test_a_file_that_has_gone_is_no_update(tmp_path: Path) -> None:
    write(tmp_path, "a.nc", "b.nc")
    told = source(tmp_path)
    (tmp_path / "a.nc").unlink()
    assert told.look() is None
    assert files(told, None, 0) == ["b.nc"]
    write(tmp_path, "a.nc")
    again = told.look()
    assert again is not None
    assert files(told, 0, 1) == ["a.nc"]


@pytest.mark.parametrize(("there", "left"), [(3, 0), (50, 50 - GONE_MAX - 1)])
def test_a_folder_that_lost_very_much_is_taken_for_one_that_is_away(
    there: int, left: int, tmp_path: Path
) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    names = [f"{number:02}.nc" for number in range(there)]
    write(folder, *names)
    told = source(folder)
    for name in names[left:]:
        (folder / name).rename(away / name)
    with pytest.raises(ArchiveError, match=f"lost {there - left} of {there} files at once"):
        told.look()
    for name in names[left:]:
        (away / name).rename(folder / name)
    assert told.look() is None
    assert files(told, None, 0) == names


def test_an_index_says_where_the_changes_lie(tmp_path: Path) -> None:
    write(tmp_path, "a.nc", "b.nc")
    write(tmp_path, "index.csv", text=COLUMNS + "a.nc,2020-01-01,10,20\n")
    told = source(tmp_path, "index.csv")
    assert told.faults() == (
        "index index.csv: 1 files of the folder have no row and are not served",
    )
    write(tmp_path, "c.nc")
    write(
        tmp_path,
        "index.csv",
        text=f"{COLUMNS}a.nc,2020-01-01,10,20\nb.nc,2020-01-02,0,0\nc.nc,2020-01-03,-5,190\n",
    )
    update = told.look()
    assert update is not None
    assert update.observations is not None
    assert update.observations.longitude == (0.0, -170.0)
    assert update.observations.latitude == (0.0, -5.0)
    assert update.observations.parameter_sets == (("sst",),)
    assert told.faults() == ()


def test_a_file_whose_row_comes_later_is_told_when_it_comes(tmp_path: Path) -> None:
    row = COLUMNS + "a.nc,2020-01-01,10,20\n"
    write(tmp_path, "a.nc")
    write(tmp_path, "index.csv", text=row)
    told = source(tmp_path, "index.csv")
    write(tmp_path, "b.nc")
    unplaced = told.look()
    assert unplaced is not None
    assert unplaced.observations is not None
    assert len(unplaced.observations) == 0
    write(tmp_path, "index.csv", text=row + "b.nc,2020-01-02,30,40\n")
    update = told.look()
    assert update is not None
    assert update.observations is not None
    assert (update.observations.longitude, update.observations.latitude) == ((40.0,), (30.0,))
    assert files(told, 1, 2) == ["b.nc"]
    assert told.look() is None


def test_a_torn_index_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.nc")
    write(tmp_path, "index.csv", text=COLUMNS + "a.nc,2020-01-01,10,20\n")
    told = source(tmp_path, "index.csv")
    write(tmp_path, "b.nc")
    write(tmp_path, "index.csv", text="file,da")
    with pytest.raises(ArchiveError, match="lacks the column date"):
        told.look()
    assert files(told, None, 0) == ["a.nc"]
    assert told.listing.newest == 0


def test_a_dataset_without_files_is_not_listed_and_never_changes(tmp_path: Path) -> None:
    dataset = open_command(
        alias="sst",
        identifier=DATASET,
        archive="https://example.org/erddap",
        settings=CommandSettings(
            run=("true",), ending=".nc", parameters=("sst", "ice"), part_s=7.0
        ),
        fragments_url="fragments",
        staging_url="staging",
    )
    assert dataset.archive == "https://example.org/erddap"
    assert dataset.source.base().number == 0
    assert dataset.source.look() is None
    assert dataset.source.faults() == ()
    assert dataset.application.parameters() == ("ice", "sst")
    assert dataset.costs.base_s == 7.0


def test_a_relative_folder_is_the_services_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    dataset = open_command(
        alias="sst",
        identifier=DATASET,
        archive="data",
        settings=CommandSettings(run=("true",), ending=".nc", files="*"),
        fragments_url="fragments",
        staging_url="staging",
    )
    assert dataset.archive == str(tmp_path / "data")


def test_a_link_to_a_file_is_followed_and_what_is_no_file_is_not_seen(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(tmp_path, "elsewhere.nc")
    (folder / "a.nc").symlink_to(tmp_path / "elsewhere.nc")
    (folder / "b.nc").symlink_to(tmp_path)
    (folder / "c.nc").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "d.nc")
    assert files(source(folder), None, 0) == ["a.nc"]
