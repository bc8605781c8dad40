"""One suite for all places, on real servers: whole or not at all, the same however often."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from controller.delivery import deliver
from controller.errors import DeliveryError
from planner.model import Product
from tests.controller.delivery.proxy import Proxy
from tests.controller.delivery.servers import S3Server, Server
from tests.controller.delivery.staged import CONTENT, CRATE, MANIFEST, NAME, PRODUCT, staged

CUTS = 4
"""Places along a delivery's bytes at which its line is cut."""

PATIENCE = {"connect_s": 1.0, "read_s": 1.0}


def test_a_product_arrives_and_a_repeat_changes_nothing(
    tmp_path: Path, server: Server, folder: str
) -> None:
    product = staged(tmp_path / "staging", crate=b"{}")
    for _ in range(2):
        url = deliver(product, server.url(folder), server.allowed())
        assert url == f"{server.url(folder)}/{MANIFEST}"
        found = server.files(folder)
        assert set(found) == {PRODUCT, MANIFEST, CRATE}
        assert found[PRODUCT] == CONTENT
    made_again = staged(tmp_path / "staging", CONTENT + b"later", created="later", crate=b"{}")
    deliver(made_again, server.url(folder), server.allowed())
    assert server.files(folder) == found


@pytest.mark.parametrize("damage", ["product gone", "product torn", "manifest torn", "other"])
def test_what_is_not_whole_is_delivered_again(
    tmp_path: Path, server: Server, folder: str, damage: str
) -> None:
    product = staged(tmp_path / "staging", digest="d2" if damage == "other" else "d1")
    old = staged(tmp_path / "old", b"old" if damage == "other" else CONTENT, crate=b"{}")
    manifest = Path(old.url.removeprefix("file://")).with_name(MANIFEST).read_bytes()
    torn = manifest[:30] if damage == "manifest torn" else manifest
    server.write(folder, MANIFEST, torn)
    if damage != "product gone":
        server.write(folder, PRODUCT, CONTENT[:100] if damage == "product torn" else CONTENT)
    server.write(folder, CRATE, b"old")
    server.write(folder, "a reader's own.txt", b"kept")
    deliver(product, server.url(folder), server.allowed())
    found = server.files(folder)
    assert set(found) == {PRODUCT, MANIFEST, "a reader's own.txt"}
    assert found[PRODUCT] == CONTENT
    assert json.loads(found[MANIFEST])["product"]["digest"] == product.digest


def test_another_format_takes_the_place_of_the_first(
    tmp_path: Path, server: Server, folder: str
) -> None:
    deliver(staged(tmp_path / "staging"), server.url(folder), server.allowed())
    content = b"the same in another format"
    sha256 = hashlib.sha256(content).hexdigest()
    other = tmp_path / "staging" / f"{NAME}.parquet"
    other.write_bytes(content)
    told = {"digest": "d1", "sha256": sha256, "file": other.name}
    other.with_name(MANIFEST).write_text(json.dumps({"product": told}))
    product = Product(
        url=f"file://{other}", rows=1, size_bytes=len(content), sha256=sha256, digest="d1"
    )
    deliver(product, server.url(folder), server.allowed())
    assert set(server.files(folder)) == {other.name, MANIFEST}


def test_a_product_without_a_byte_arrives(tmp_path: Path, server: Server, folder: str) -> None:
    deliver(staged(tmp_path / "staging", b""), server.url(folder), server.allowed())
    assert server.files(folder)[PRODUCT] == b""


def test_an_altered_product_is_not_seen(tmp_path: Path, server: Server, folder: str) -> None:
    product = staged(tmp_path / "staging")
    (tmp_path / "staging" / PRODUCT).write_bytes(CONTENT[:-1])
    with pytest.raises(DeliveryError, match="is not the one that was combined"):
        deliver(product, server.url(folder), server.allowed())
    # A server may still be storing what was cut short when it is told to remove it.
    assert [name for name in server.files(folder) if not name.startswith(".")] == []


def test_leftovers_of_a_crash_go_and_others_stay(
    tmp_path: Path, server: Server, folder: str
) -> None:
    if isinstance(server, S3Server):
        pytest.skip("a store has no temporary files; of its uploads there is another test")
    others = {".other-v1-u2.nc.01234567.part", f".{PRODUCT}"}
    ours = {f".{PRODUCT}.01234567.part", f".{MANIFEST}.89abcdef.part"}
    for name in others | ours:
        server.write(folder, name, b"torn")
    deliver(staged(tmp_path / "staging"), server.url(folder), server.allowed())
    assert set(server.files(folder)) == others | {PRODUCT, MANIFEST}


def whole(files: dict[str, bytes], product: bytes, manifest: bytes) -> bool:
    """Tell whether what others see is whole, and a manifest never stands alone."""
    seen = {name: content for name, content in files.items() if not name.startswith(".")}
    if MANIFEST in seen and PRODUCT not in seen:
        return False
    return all(content == {PRODUCT: product, MANIFEST: manifest}[n] for n, content in seen.items())


def delivered_bytes(product: Product, server: Server, folder: str) -> int:
    """Return how many bytes a client sends for a delivery."""
    with Proxy(server.port) as line:
        deliver(product, server.url(folder, line.port), server.allowed(line.port))
        return line.sent_bytes


def test_a_line_that_is_cut_leaves_nothing_torn(
    tmp_path: Path, server: Server, folder: str
) -> None:
    product = staged(tmp_path / "staging")
    manifest = (tmp_path / "staging" / MANIFEST).read_bytes()
    size = delivered_bytes(product, server, f"{folder}/whole")
    assert size > len(CONTENT)
    states = set()
    for cut in range(1, CUTS + 1):
        at = f"{folder}/{cut}"
        with Proxy(server.port, size * cut // (CUTS + 1)) as line:
            with pytest.raises(DeliveryError) as caught:
                deliver(product, server.url(at, line.port), server.allowed(line.port, **PATIENCE))
            assert line.has_failed.is_set()
        assert caught.value.retry, caught.value
        assert whole(server.files(at), CONTENT, manifest)
        states.add(PRODUCT in server.files(at))
        deliver(product, server.url(at), server.allowed())
        found = server.files(at)
        assert {name for name in found if not name.startswith(".")} == {PRODUCT, MANIFEST}
        assert whole(found, CONTENT, manifest)
    assert False in states  # a cut came in the middle of the product


def test_a_server_that_hangs_is_given_up_in_bounded_time(
    tmp_path: Path, server: Server, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.delivery.s3.RATE_BYTES_PER_S_MIN", 1e9)
    product = staged(tmp_path / "staging", CONTENT * 64)  # more than sockets hold on the way
    for sent_bytes in (0, 200, 2_000_000):
        with Proxy(server.port, sent_bytes, stalls=True) as line:
            if sent_bytes == 0:
                line.has_failed.set()
            with pytest.raises(DeliveryError) as caught:
                deliver(
                    product, server.url(folder, line.port), server.allowed(line.port, **PATIENCE)
                )
        assert "does not answer in time" in str(caught.value) or sent_bytes == 2_000_000
        assert caught.value.retry
    assert whole(server.files(folder), b"", b"")
