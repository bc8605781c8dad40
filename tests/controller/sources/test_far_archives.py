"""Archives behind HTTP, S3 and WebDAV are followed as local ones are, and cost little to watch."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec.config
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from controller.apps.argo.archive import open_archive
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from controller.demo.archive import DemoArchive, make_archive, reprocess
from controller.errors import ArchiveError
from controller.reach import reach
from controller.sources.argo import FollowedArgo
from controller.sources.folder import FolderSource
from controller.sources.keeping import Memory
from controller.sources.reaching import Limits
from tests.controller.sources.servers import PASSWORD, USER, Manner, dav_server, web_server

CORE = "/ar_index_global_prof.txt.gz"
SYNTHETIC = "/argo_synthetic-profile_index.txt.gz"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    return make_archive(tmp_path_factory.mktemp("made") / "archive", profiles=150, seed=11)


@pytest.fixture
def archive(made: DemoArchive, tmp_path: Path) -> DemoArchive:
    folder = Path(shutil.copytree(made.folder, tmp_path / "archive"))
    return replace(made, folder=folder)


@pytest.fixture
def web(archive: DemoArchive) -> Iterator[tuple[str, Manner]]:
    with web_server(archive.folder) as server:
        yield server


def followed(url: str, folder: Path, known: int | None = None, **limits: object) -> FollowedArgo:
    said = Limits(**{"settle_s": 0.0, **limits})  # type: ignore[arg-type]
    archive = open_archive(ArchiveAddress(url=url))
    return FollowedArgo(archive, ARGO_DOI, Memory(folder=folder, known=known), limits=said)


def number(source: FollowedArgo) -> int | None:
    update = source.look()
    return None if update is None else update.number


class TestHttp:
    def test_an_unchanged_index_costs_one_small_request(
        self, web: tuple[str, Manner], tmp_path: Path
    ) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept")
        for watched in (source, followed(url, tmp_path / "kept", known=0)):
            manner.requests.clear()
            assert watched.look() is None
            assert manner.requests == [(CORE, 304), (SYNTHETIC, 304)]

    def test_a_change_is_fetched_once_and_told_once(
        self, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept")
        reprocess(archive, profiles=20)
        manner.requests.clear()
        assert number(source) == 1
        assert manner.requests.count((CORE, 200)) == 1
        assert source.look() is None

    @pytest.mark.parametrize(("tags", "dates"), [(True, False), (False, True), (False, False)])
    def test_servers_tell_tags_or_dates_or_nothing(
        self, tags: bool, dates: bool, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        url, manner = web
        manner.tags, manner.dates = tags, dates
        source = followed(url, tmp_path / "kept")
        manner.requests.clear()
        assert source.look() is None
        assert all(status == (304 if tags or dates else 200) for _, status in manner.requests[:1])
        reprocess(archive, profiles=20)
        manner.modified_at = 2.0
        assert number(source) == 1
        assert source.look() is None

    def test_an_answer_that_breaks_off_changes_nothing(
        self, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept")
        reprocess(archive, profiles=20)
        manner.cut_bytes = 100
        with pytest.raises(ArchiveError, match="cannot be read") as caught:
            source.look()
        assert caught.value.retry
        manner.cut_bytes = 0
        assert number(source) == 1

    @pytest.mark.parametrize(("status", "retry"), [(503, True), (429, True), (403, False)])
    def test_a_refusal_is_told_with_its_number(
        self, status: int, retry: bool, web: tuple[str, Manner], tmp_path: Path
    ) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept")
        manner.status = status
        with pytest.raises(ArchiveError, match=f"HTTP {status}") as caught:
            source.look()
        assert caught.value.retry == retry
        manner.status = 0
        assert source.look() is None

    def test_what_was_changed_just_now_rests_by_the_servers_own_clock(
        self, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept", settle_s=3600.0)
        reprocess(archive, profiles=20)
        manner.modified_at = time.time()
        assert source.look() is None
        assert source.again_s == 3600.0
        manner.modified_at = time.time() - 7200
        assert number(source) == 1

    def test_it_is_not_led_to_other_hosts(self, web: tuple[str, Manner], tmp_path: Path) -> None:
        url, manner = web
        source = followed(url, tmp_path / "kept")
        manner.redirect = "http://localhost:9"
        with pytest.raises(ArchiveError, match="leads to host localhost"):
            source.look()

    def test_a_redirect_to_an_allowed_host_is_followed(
        self, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        url, manner = web
        with web_server(archive.folder) as (other, _):
            manner.redirect = other
            source = followed(url, tmp_path / "kept")
            assert source.look() is None
            assert {status for _, status in manner.requests} == {302}

    def test_a_server_that_hangs_is_given_up(self, archive: DemoArchive, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(ArchiveError, match="cannot be read: timed out"):
                followed(url, tmp_path / "kept", timeout_s=0.2)

    def test_who_sends_too_slowly_is_given_up(
        self, web: tuple[str, Manner], tmp_path: Path
    ) -> None:
        url, _ = web
        with pytest.raises(ArchiveError, match="was not there after 0 s"):
            followed(url, tmp_path / "kept", fetch_s_max=0.0)

    def test_a_mirror_without_an_index_says_which_it_lacks(
        self, web: tuple[str, Manner], archive: DemoArchive, tmp_path: Path
    ) -> None:
        for path in archive.folder.glob("*index*"):
            path.unlink()
        with pytest.raises(ArchiveError):
            followed(web[0], tmp_path / "kept")


class TestS3:
    @pytest.fixture
    def bucket(
        self, archive: DemoArchive, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[s3fs.S3FileSystem]:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        said = {"endpoint_url": f"http://{host}:{port}", "key": "key", "secret": "secret"}
        monkeypatch.setitem(fsspec.config.conf, "s3", said)
        s3fs.S3FileSystem.clear_instance_cache()
        store = s3fs.S3FileSystem(**said)
        if store.exists("gdac"):  # moto's servers of one process share what they hold
            store.rm("gdac", recursive=True)
        store.mkdir("gdac")
        self.copy(store, archive)
        yield store
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()

    @staticmethod
    def copy(store: s3fs.S3FileSystem, archive: DemoArchive) -> None:
        for path in archive.folder.glob("*index*.gz"):
            store.pipe_file(f"gdac/argo/{path.name}", path.read_bytes())

    def test_changes_are_seen_by_their_tags(
        self, bucket: s3fs.S3FileSystem, archive: DemoArchive, tmp_path: Path
    ) -> None:
        source = followed("s3://gdac/argo", tmp_path / "kept")
        assert source.look() is None
        reprocess(archive, profiles=20)
        self.copy(bucket, archive)
        assert number(source) == 1
        assert followed("s3://gdac/argo", tmp_path / "kept", known=1).look() is None

    def test_profiles_are_read_as_workers_do(
        self, bucket: s3fs.S3FileSystem, archive: DemoArchive
    ) -> None:
        path = next((archive.folder / "dac").rglob("*.nc"))
        name = path.relative_to(archive.folder / "dac").as_posix()
        bucket.pipe_file(f"gdac/argo/dac/{name}", path.read_bytes())
        assert open_archive(ArchiveAddress(url="s3://gdac/argo")).read(name) == path.read_bytes()

    def test_a_bucket_that_is_gone_is_told(self, bucket: s3fs.S3FileSystem, tmp_path: Path) -> None:
        source = followed("s3://gdac/argo", tmp_path / "kept")
        bucket.rm("gdac", recursive=True)
        assert source.look() is None
        with pytest.raises(ArchiveError):
            source.look()


class TestWebdav:
    @pytest.fixture
    def served(self, archive: DemoArchive, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with dav_server(archive.folder) as url:
            monkeypatch.setitem(fsspec.config.conf, url, {"auth": [USER, PASSWORD]})
            yield url

    def test_an_archive_is_followed(
        self, served: str, archive: DemoArchive, tmp_path: Path
    ) -> None:
        source = followed(served, tmp_path / "kept")
        assert source.look() is None
        reprocess(archive, profiles=20)
        assert number(source) == 1
        assert source.look() is None

    def test_profiles_are_read_as_workers_do(self, served: str, archive: DemoArchive) -> None:
        there = open_archive(ArchiveAddress(url=served))
        path = next((archive.folder / "dac").rglob("*.nc"))
        name = path.relative_to(archive.folder / "dac").as_posix()
        assert there.read(name) == path.read_bytes()
        assert name in there.listing(name.rpartition("/")[0])
        assert there.index_names()

    def test_a_folder_is_followed(self, served: str, archive: DemoArchive, tmp_path: Path) -> None:
        folder = archive.folder / "mine"
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a.csv").write_text("1")
        source = FolderSource(
            f"{served}/mine",
            "10.5066/x",
            parameters=(),
            files="*.csv",
            memory=Memory(folder=tmp_path / "kept"),
        )
        assert list(source.listing.state.files) == ["sub/a.csv"]
        assert source.look() is None
        (folder / "b.csv").write_text("2")
        update = source.look()
        assert update is not None
        assert sorted(source.listing.state.files) == ["b.csv", "sub/a.csv"]

    def test_a_wrong_password_is_told_and_never_shown(
        self, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(fsspec.config.conf, served, {"auth": [USER, "another-secret"]})
        with pytest.raises(ArchiveError, match="401") as caught:
            followed(served, tmp_path / "kept")
        assert "another-secret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("webdavs://joe:secret@example.org/x", "holds a user's name"),
            ("webdav://example.org/x", "would travel unencrypted"),
        ],
    )
    def test_passwords_are_kept_safe(
        self, url: str, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(fsspec.config.conf, "webdav", {"auth": ["joe", "secret"]})
        with pytest.raises(ValueError, match=told):
            reach(url)
        with pytest.raises(ArchiveError, match=told) as caught:
            open_archive(ArchiveAddress(url=url))
        assert "secret" not in str(caught.value)
