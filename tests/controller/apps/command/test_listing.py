"""What a folder holds, where its files lie, and with which update each came."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.apps.command import listing as listings
from controller.apps.command.listing import Listing, list_folder
from controller.apps.command.orders import ListedFile
from controller.apps.command.places import parse_places, read_places
from controller.errors import ArchiveError
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import UpdateSpan

ALL = Extent()
FIRST = UpdateSpan(after=None, upto=0)


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def listed(*names: str, stamp: str = "1") -> dict[str, ListedFile]:
    return {name: ListedFile(path=name, size_bytes=len(name), stamp=stamp) for name in names}


def test_files_below_a_folder_are_listed_by_pattern_and_hidden_ones_are_not(tmp_path: Path) -> None:
    write(tmp_path, "2020/01.csv", "2020/.02.csv", ".git/03.csv", "04.csv", "05.nc", "a/b/c/06.csv")
    found = list_folder(str(tmp_path), "*.csv")
    assert sorted(found) == ["04.csv", "2020/01.csv", "a/b/c/06.csv"]
    assert found["04.csv"].size_bytes == 6
    assert float(found["04.csv"].stamp) == (tmp_path / "04.csv").stat().st_mtime
    assert sorted(list_folder(f"file://{tmp_path}/", "2020/*")) == ["2020/01.csv"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    write(tmp_path, "a/01.csv")
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    assert "a/01.csv" in list_folder(str(tmp_path), "*.csv")


def test_a_folder_that_is_away_or_too_full_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArchiveError, match="is not there"):
        list_folder(str(tmp_path / "none"), "*")
    with pytest.raises(ArchiveError, match="cannot be opened"):
        list_folder("nonesuch://x", "*")
    monkeypatch.setattr(listings, "FILES_MAX", 2)
    write(tmp_path, "1", "2")
    assert len(list_folder(str(tmp_path), "*")) == 2
    with pytest.raises(ArchiveError, match="more than 2 files"):
        list_folder(str(write(tmp_path, "3")), "*")


def test_each_file_belongs_to_the_update_that_it_came_with() -> None:
    listing = Listing(listed("a", "b", "c"))
    new = listed("a", "b", "d") | listed("b", stamp="2")
    assert listing.changed(new) == ("b", "d")
    assert listing.gone(new) == 1
    listing.take_in(listing.after(new, ("b", "d"), None))
    assert listing.newest == 1

    def named(after: int | None, upto: int) -> list[str]:
        found = listing.select(ALL, UpdateSpan(after=after, upto=upto))
        return [file.path for file in found]

    assert named(None, 0) == ["a"]
    assert named(0, 1) == ["b", "d"]
    assert named(None, 1) == ["a", "b", "d"]
    assert named(1, 5) == []
    listing.take_in(listing.after(listed("a"), (), None))
    assert named(None, 1) == ["a"]
    assert listing.newest == 1
    assert listing.density(ALL, FIRST) is None


INDEX = """size,latitude,longitude,date,file
1,10,200,2020-01-02T12:00:00Z,late.nc
1,-90,-180,2020-01-01,early.nc
1,91,0,2020-01-01,north.nc
1,0,0,yesterday,when.nc
1,0,nan,2020-01-01,where.nc
1,0,0,2020-01-01,elsewhere.nc
1,0
"""


def test_an_index_places_the_files_that_are_there() -> None:
    there = listed("late.nc", "early.nc", "north.nc", "when.nc", "where.nc", "new.nc")
    places = parse_places(INDEX.splitlines(keepends=True), "index.csv", there)
    assert places.paths.tolist() == ["early.nc", "late.nc"]
    assert places.longitude.tolist() == [-180.0, -160.0]
    assert places.faults == (
        "index index.csv: 4 rows could not be read and are not used",
        "index index.csv: 4 files of the folder have no row and are not served",
    )
    listing = Listing(there, places)
    east = Extent(box=Box(west=-170.0, south=0.0, east=0.0, north=20.0))
    assert [file.path for file in listing.select(east, FIRST)] == ["late.nc"]
    assert [file.path for file in listing.select(ALL, FIRST)] == ["early.nc", "late.nc"]
    density = listing.density(ALL, FIRST)
    assert density is not None
    assert density.is_exact
    assert density.size_bytes.tolist() == [8.0, 7.0]
    assert days(density.time_s.tolist()) == ["2020-01-01 00", "2020-01-02 12"]
    day = Extent(box=GLOBE, period=Period(start_at=density.time_s[1], end_at=None))
    assert len(listing.density(day, FIRST) or ()) == 1
    seen = places.observations({"late.nc"}, ("sst",))
    assert (seen.longitude, seen.latitude, seen.parameter_sets) == ((-160.0,), (10.0,), (("sst",),))


def days(instants: list[float]) -> list[str]:
    return [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H") for at in instants]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"file,date,latitude\n", "lacks the column longitude"),
        (b"", "lacks the column file"),
        (b'file,date,latitude,longitude\n"' + b"x" * 200_000, "is no CSV file"),
        (b"\xff\xfe\x00", "lacks the column file"),
    ],
)
def test_an_index_that_is_none_is_refused(content: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(ArchiveError, match=fault):
        read_places(str(tmp_path), "index.csv", ())


def test_an_index_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"index index\.csv of .* cannot be read: No such file"):
        read_places(str(tmp_path), "index.csv", ())


def test_an_empty_index_places_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("\ufefffile,date,latitude,longitude\n", encoding="utf-8")
    places = read_places(str(tmp_path), "index.csv", ())
    assert len(places.density(ALL, {})) == 0
    assert places.inside(ALL) == frozenset()
