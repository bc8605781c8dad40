"""Reading files of an archive: confined, with a declared latency, faults named."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.counting import counting_server
from controller.apps.argo import archive as archive_module
from controller.apps.argo.archive import (
    Archive,
    MissingFile,
    ProfileBytes,
    confined,
    delayed_sibling,
    open_archive,
)
from controller.apps.argo.orders import ArchiveAddress
from controller.errors import ArchiveError

FOLDER = "aoml/13857/profiles"
REAL_TIME, DELAYED = f"{FOLDER}/R13857_001.nc", f"{FOLDER}/D13857_001.nc"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the folder of an archive with one file, and a secret beside it."""
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "gdac"
    (root / "dac" / FOLDER).mkdir(parents=True)
    (root / "dac" / REAL_TIME).write_bytes(b"profile")
    (root / "secret").write_bytes(b"secret")
    return root


@pytest.fixture
def archive(place: Path) -> Archive:
    return open_archive(ArchiveAddress(url=str(place)))


class TestReading:
    def test_a_file_is_read_and_found(self, archive: Archive) -> None:
        assert archive.read(REAL_TIME) == b"profile"
        assert archive.exists(REAL_TIME)
        assert not archive.exists(DELAYED)
        assert not archive.exists(FOLDER)
        assert archive.listing(FOLDER) == (REAL_TIME,)

    @pytest.mark.parametrize("prefix", ["file://", "local://", ""])
    def test_any_address_of_the_same_place(self, place: Path, prefix: str) -> None:
        address = ArchiveAddress(url=f"{prefix}{place}/")
        assert open_archive(address).read(REAL_TIME) == b"profile"

    def test_an_archive_in_another_file_system(self) -> None:
        filesystem = fsspec.filesystem("memory")
        filesystem.pipe(f"/gdac-test/dac/{REAL_TIME}", b"profile")
        filesystem.pipe("/gdac-test/ar_index_global_prof.txt", b"file")
        archive = open_archive(ArchiveAddress(url="memory://gdac-test"))
        assert archive.read(REAL_TIME) == b"profile"
        assert archive.index_names() == ("ar_index_global_prof.txt",)
        with pytest.raises(MissingFile, match=DELAYED):
            archive.read(DELAYED)

    def test_the_declared_latency_is_added_to_every_read(self, place: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(place), read_latency_s=0.02))
        began = time.perf_counter()
        for _ in range(3):
            archive.read(REAL_TIME)
        assert time.perf_counter() - began >= 0.06

    @pytest.mark.parametrize("url", ["nosuch://somewhere", "s3x://bucket"])
    def test_an_unknown_protocol(self, url: str) -> None:
        with pytest.raises(ArchiveError, match=url):
            open_archive(ArchiveAddress(url=url))


class TestRenamedFiles:
    def test_the_file_itself_comes_first(self, archive: Archive) -> None:
        found = archive.read_profile(REAL_TIME)
        assert found == ProfileBytes(path=REAL_TIME, content=b"profile")

    def test_a_file_that_was_renamed_since_is_read_under_its_new_name(
        self, archive: Archive, place: Path
    ) -> None:
        (place / "dac" / REAL_TIME).rename(place / "dac" / DELAYED)
        assert archive.read_profile(REAL_TIME).path == DELAYED

    def test_both_names_are_told_where_neither_is_there(
        self, archive: Archive, place: Path
    ) -> None:
        (place / "dac" / REAL_TIME).unlink()
        with pytest.raises(MissingFile, match=r"neither .*R13857_001.nc .*D13857_001.nc"):
            archive.read_profile(REAL_TIME)
        with pytest.raises(MissingFile, match=rf"no {DELAYED}"):
            archive.read_profile(DELAYED)

    @pytest.mark.parametrize(
        ("name", "sibling"),
        [("R1_001.nc", "D1_001.nc"), ("BR1_001D.nc", "BD1_001D.nc"), ("SR1_001.nc", "SD1_001.nc"),
         ("D1_001.nc", None), ("BD1_001.nc", None), ("README", None), ("R", None), ("", None)],
    )  # fmt: skip
    def test_only_real_time_files_have_a_sibling(self, name: str, sibling: str | None) -> None:
        assert delayed_sibling(name) == sibling
        assert delayed_sibling(f"a/b/{name}") == (sibling and f"a/b/{sibling}")


class TestHostilePaths:
    @pytest.mark.parametrize(
        "path",
        ["../secret", "../../secret", "/etc/passwd", f"{FOLDER}/../../../../secret", "", ".", "..",
         "aoml//13857", f"{FOLDER}/", "file:///etc/passwd", "http://host/x", "a::b", "C:\\x",
         "~/secret", "~root/x", "a\0b", "a\nb", f"{FOLDER}/*.nc", "a?b", "[a]", "x" * 500],
    )  # fmt: skip
    def test_they_are_refused_before_a_file_system_sees_them(
        self, archive: Archive, path: str
    ) -> None:
        for look in (archive.read, archive.read_profile, archive.exists, archive.listing):
            with pytest.raises(ArchiveError, match="no path in an Argo archive"):
                look(path)
        with pytest.raises(ArchiveError), archive.open_index(path):
            pass

    def test_an_index_is_a_plain_name(self, archive: Archive) -> None:
        with pytest.raises(ArchiveError, match="no name of an index"), archive.open_index("dac/x"):
            pass

    @given(st.text(max_size=50))
    def test_a_confined_path_stays_below_its_folder(self, path: str) -> None:
        try:
            accepted = confined(path)
        except ArchiveError:
            return
        assert os.path.normpath(f"/archive/dac/{accepted}") == f"/archive/dac/{path}"


class TestUnreadableFiles:
    def test_a_folder_in_place_of_a_file(self, archive: Archive, place: Path) -> None:
        (place / "dac" / DELAYED).mkdir()
        with pytest.raises(ArchiveError, match=f"{DELAYED}.*no regular file"):
            archive.read(DELAYED)

    def test_a_pipe_in_place_of_a_file_does_not_hang(self, archive: Archive, place: Path) -> None:
        os.mkfifo(place / "dac" / DELAYED)
        with pytest.raises(ArchiveError, match="no regular file"):
            archive.read(DELAYED)

    def test_a_file_in_place_of_a_folder(self, archive: Archive) -> None:
        with pytest.raises(ArchiveError, match="cannot be read"):
            archive.read(f"{REAL_TIME}/x.nc")

    def test_a_file_larger_than_any_profile(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive_module, "FILE_BYTES_MAX", 3)
        with pytest.raises(ArchiveError, match="has 7 bytes, more than the 3"):
            archive.read(REAL_TIME)

    def test_no_password_is_told(self) -> None:
        # What is told of a file that is left out is delivered, in the manifest.
        archive = open_archive(ArchiveAddress(url="memory://key:secret@gdac-test/nowhere"))
        for act in (archive.index_names, lambda: archive.read_profile(REAL_TIME)):
            with pytest.raises(ArchiveError, match="memory://gdac-test/nowhere") as caught:
                act()
            assert "secret" not in str(caught.value)

    def test_an_archive_that_is_not_there(self, tmp_path: Path) -> None:
        archive = open_archive(ArchiveAddress(url=str(tmp_path / "nowhere")))
        with pytest.raises(ArchiveError, match="nowhere is not there"):
            archive.index_names()


class TestIndexFiles:
    @pytest.mark.parametrize("name", ["ar_index.txt", "ar_index.txt.gz"])
    def test_an_index_is_read_over_http(self, place: Path, name: str) -> None:
        content = gzip.compress(b"file\nx.nc\n") if name.endswith(".gz") else b"file\nx.nc\n"
        (place / name).write_bytes(content)
        with counting_server(place) as server:
            archive = open_archive(ArchiveAddress(url=server.url))
            assert archive.index_names() == (name,)
            with archive.open_index(name) as stream:
                assert [stream.readline(100), stream.readline(3), stream.read()] == [
                    b"file\n",
                    b"x.n",
                    b"c\n",
                ]

    def test_names_that_look_like_an_index(self, archive: Archive, place: Path) -> None:
        for name in ("ar_index_global_prof.txt", "x_index.csv.gz", "index.nc", "ar_greylist.txt"):
            (place / name).touch()
        (place / "index.txt").mkdir()
        assert archive.index_names() == ("ar_index_global_prof.txt", "x_index.csv.gz")

    def test_packed_ones_are_unpacked(self, archive: Archive, place: Path) -> None:
        (place / "i.txt").write_bytes(b"rows")
        (place / "i.txt.gz").write_bytes(gzip.compress(b"rows"))
        for name in ("i.txt", "i.txt.gz"):
            with archive.open_index(name) as stream:
                assert stream.read() == b"rows"

    @pytest.mark.parametrize("damage", [slice(0, 15), slice(5, None), slice(0, -6)])
    def test_a_torn_one_is_named(self, archive: Archive, place: Path, damage: slice) -> None:
        (place / "i.txt.gz").write_bytes(gzip.compress(b"rows" * 100)[damage])
        with (
            pytest.raises(ArchiveError, match=r"i\.txt\.gz"),
            archive.open_index("i.txt.gz") as found,
        ):
            found.read()

    def test_a_missing_one_is_named(self, archive: Archive) -> None:
        with pytest.raises(MissingFile, match=r"i\.txt"), archive.open_index("i.txt"):
            pass
