"""What only a store of objects has: uploads in parts, checksums that it vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.delivery import deliver
from controller.delivery.s3 import _Sums
from controller.errors import DeliveryError
from tests.controller.delivery.proxy import Proxy
from tests.controller.delivery.servers import S3Server
from tests.controller.delivery.staged import MANIFEST, NAME, PRODUCT, staged

PART_BYTES = 5 * 2**20
"""S3 takes no smaller part but the last."""

TWO_PARTS = "41ea719187a654279556fc767884a43d"
"""As S3 has it: the MD5 of the MD5s of ``some`` and ``more``."""

LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"a little more"


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.delivery.s3.PART_BYTES", PART_BYTES)


@pytest.mark.usefixtures("_small_parts")
def test_a_large_product_goes_in_parts_and_a_repeat_changes_nothing(
    tmp_path: Path, store: S3Server, folder: str
) -> None:
    product = staged(tmp_path / "staging", LARGE)
    with Proxy(store.port) as line:
        deliver(product, store.url(folder), store.allowed(line.port))
        assert store.files(folder)[PRODUCT] == LARGE
        sent_bytes = line.sent_bytes
        deliver(product, store.url(folder), store.allowed(line.port))
        assert line.sent_bytes - sent_bytes < PART_BYTES
    assert store.uploads(folder) == []


@pytest.mark.usefixtures("_small_parts")
def test_a_line_that_is_cut_between_parts_shows_nothing(
    tmp_path: Path, store: S3Server, folder: str
) -> None:
    product = staged(tmp_path / "staging", LARGE)
    with Proxy(store.port, int(1.5 * PART_BYTES)) as line, pytest.raises(DeliveryError) as caught:
        deliver(product, store.url(folder), store.allowed(line.port))
    assert caught.value.retry
    assert store.files(folder) == {}
    assert store.uploads(folder) == [f"{folder}/{PRODUCT}"]
    deliver(product, store.url(folder), store.allowed())
    assert set(store.files(folder)) == {PRODUCT, MANIFEST}
    assert store.uploads(folder) == []


@pytest.mark.usefixtures("_small_parts")
def test_an_altered_product_leaves_no_upload(tmp_path: Path, store: S3Server, folder: str) -> None:
    product = staged(tmp_path / "staging", LARGE)
    (tmp_path / "staging" / PRODUCT).write_bytes(LARGE + b"!")
    with pytest.raises(DeliveryError, match="is not the one that was combined"):
        deliver(product, store.url(folder), store.allowed())
    assert store.files(folder) == {}
    assert store.uploads(folder) == []


def test_uploads_of_this_product_that_a_crash_left_go_and_others_stay(
    tmp_path: Path, store: S3Server, folder: str
) -> None:
    others = [f"{folder}/{NAME}.txt", f"{folder}/deeper/{PRODUCT}", f"{folder}/other-v1-u2.nc"]
    for name in (PRODUCT, MANIFEST):
        store.begin_upload(folder, name)
    for key in others:
        store.begin_upload(*key.rsplit("/", 1))
    deliver(staged(tmp_path / "staging"), store.url(folder), store.allowed())
    assert sorted(store.uploads(folder)) == sorted(others)


def test_a_whole_bucket_may_be_a_destination(tmp_path: Path, store: S3Server) -> None:
    url = deliver(staged(tmp_path / "staging", name="top-v1-u1"), "s3://ocean", store.allowed())
    assert url == "s3://ocean/top-v1-u1.manifest.json"
    assert "top-v1-u1.nc" in store.files("")


def test_a_store_that_vouches_for_nothing_is_read_back() -> None:
    sums = _Sums()
    sums.of(b"some")
    assert sums.are_told_by({"ETag": '"03d59e663c1af9ac33a9949d1193505a"'}, parts=False)
    assert not sums.are_told_by({"ETag": '"of another making"'}, parts=False)
    assert not sums.are_told_by({"ChecksumSHA256": "", "ETag": ""}, parts=False)
    sums.of(b"more")
    assert sums.are_told_by({"ETag": f'"{TWO_PARTS}-2"'}, parts=True)
    assert not sums.are_told_by({"ETag": f'"{TWO_PARTS}-3"'}, parts=True)
