"""A file that changes while it is fetched is not taken for either of its states."""

from __future__ import annotations

import io
from pathlib import Path

import fsspec
import pytest

from controller.apps.argo.archive import MissingFile
from controller.errors import ArchiveError
from controller.sources.fetching import FolderPlace
from controller.sources.reaching import Limits, Unsettled


class Meddler(io.BytesIO):
    """Lets somebody write to the file after the first bytes of it were taken."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def write(self, block: object) -> int:
        if not self.tell():
            with self._path.open("a") as file:
                file.write("more")
        return super().write(block)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    (tmp_path / "i.txt").write_text("rows")
    return FolderPlace(
        filesystem=fsspec.filesystem("file"),
        root=str(tmp_path),
        shown="there",
        limits=Limits(settle_s=0.0),
    )


def test_a_file_that_changes_meanwhile_is_looked_at_again(
    place: FolderPlace, tmp_path: Path
) -> None:
    with pytest.raises(Unsettled, match=r"i\.txt of there changed while it was read"):
        place.fetch("i.txt", None, Meddler(tmp_path / "i.txt"))
    taken = io.BytesIO()
    stamp = place.fetch("i.txt", None, taken)
    assert taken.getvalue() == b"rowsmore"
    assert place.fetch("i.txt", stamp, io.BytesIO()) is None


def test_what_is_no_file_is_named(place: FolderPlace, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(ArchiveError, match="f of there is no regular file"):
        place.fetch("f", None, io.BytesIO())
    with pytest.raises(MissingFile, match="there has no g"):
        place.fetch("g", None, io.BytesIO())
