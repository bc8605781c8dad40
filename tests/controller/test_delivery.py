"""Delivery: whole or not at all, the same however often, and every fault says what to do."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from controller.delivery import deliver, fault_of_folder
from controller.destinations import Destinations, without_user
from controller.errors import DeliveryError
from controller.product_files import manifest_url
from planner.model import Product

NAME = "med-v1-u2"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def allowed(out: Path) -> Destinations:
    return Destinations(roots=(str(out),))


def staged(
    folder: Path, content: bytes = CONTENT, *, digest: str = "d1", notes: str = ""
) -> Product:
    """Leave a product and its manifest as combining does."""
    folder.mkdir(exist_ok=True)
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{NAME}.nc").write_bytes(content)
    told = {"digest": digest, "sha256": sha256, "file": f"{NAME}.nc"}
    manifest = {"product": told, "notes": notes}
    (folder / f"{NAME}.manifest.json").write_text(json.dumps(manifest))
    return Product(
        url=f"file://{folder}/{NAME}.nc",
        rows=1,
        size_bytes=len(content),
        sha256=sha256,
        digest=digest,
    )


def fault_of(product: Product, destination: object, allowed: Destinations) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(product, str(destination), allowed)
    return caught.value


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


WHOLE = {f"{NAME}.nc", f"{NAME}.manifest.json"}


def test_product_and_manifest_arrive(tmp_path: Path, out: Path, allowed: Destinations) -> None:
    url = deliver(staged(tmp_path / "staging"), str(out / "med"), allowed)
    assert url == f"file://{out}/med/{NAME}.manifest.json"
    assert names(out / "med") == WHOLE
    assert (out / "med" / f"{NAME}.nc").read_bytes() == CONTENT
    assert json.loads((out / "med" / f"{NAME}.manifest.json").read_text())["notes"] == ""


def test_any_file_system_of_fsspec_will_do(tmp_path: Path) -> None:
    allowed = Destinations(roots=("memory://delivered",), schemes=("file", "memory"))
    url = deliver(staged(tmp_path / "staging"), "memory://delivered/med", allowed)
    assert url == f"memory://delivered/med/{NAME}.manifest.json"
    memory = fsspec.filesystem("memory")
    assert memory.cat_file(f"/delivered/med/{NAME}.nc") == CONTENT
    assert {path.rsplit("/", 1)[-1] for path in memory.ls("/delivered/med", detail=False)} == WHOLE
    assert deliver(staged(tmp_path / "staging"), "memory://delivered/med", allowed) == url


def test_the_same_content_is_left_as_it_is(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    deliver(staged(tmp_path / "staging"), str(out), allowed)
    before = written(out)
    made_again = staged(tmp_path / "staging", CONTENT + b"later", notes="made again")
    assert deliver(made_again, str(out), allowed) == f"file://{out}/{NAME}.manifest.json"
    assert written(out) == before


def written(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return which files there are and when each was written; reading them is no matter."""
    found = {path: path.stat() for path in folder.iterdir()}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.mark.parametrize(
    "damage", ["product gone", "product torn", "manifest torn", "other content"]
)
def test_what_is_not_whole_is_delivered_again(
    tmp_path: Path, out: Path, allowed: Destinations, damage: str
) -> None:
    product = staged(tmp_path / "staging")
    deliver(product, str(out), allowed)
    if damage == "product gone":
        (out / f"{NAME}.nc").unlink()
    elif damage == "product torn":
        (out / f"{NAME}.nc").write_bytes(CONTENT[:1000])
    elif damage == "manifest torn":
        (out / f"{NAME}.manifest.json").write_text('{"product": {"dig')
    else:
        product = staged(tmp_path / "staging", b"other", digest="d2")
    deliver(product, str(out), allowed)
    assert (out / f"{NAME}.nc").read_bytes() == (tmp_path / "staging" / f"{NAME}.nc").read_bytes()
    assert json.loads((out / f"{NAME}.manifest.json").read_text())["product"]["digest"] == (
        product.digest
    )


def in_format(product: Product, folder: Path, ending: str) -> Product:
    """Stage a product of the same content in another format."""
    content, manifest = b"in another format", folder / f"{NAME}.manifest.json"
    (folder / f"{NAME}{ending}").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    told = {"digest": product.digest, "sha256": sha256, "file": f"{NAME}{ending}"}
    manifest.write_text(json.dumps({"product": told}))
    return replace(product, url=f"file://{folder}/{NAME}{ending}", sha256=sha256)


@pytest.mark.parametrize("ending", [".parquet", ".zarr.zip", ".csv.gz", ".zip", ".dat"])
def test_the_same_content_in_another_format_takes_its_place(
    tmp_path: Path, out: Path, allowed: Destinations, ending: str
) -> None:
    staging = tmp_path / "staging"
    netcdf = staged(staging)
    deliver(netcdf, str(out), allowed)
    (out / f"{NAME}.txt").write_text("the reader's own")
    other = in_format(netcdf, staging, ending)
    for _ in range(2):
        deliver(other, str(out), allowed)
        assert names(out) == {f"{NAME}{ending}", f"{NAME}.manifest.json", f"{NAME}.txt"}
    deliver(staged(staging), str(out), allowed)
    assert names(out) == WHOLE | {f"{NAME}.txt"}


@pytest.mark.parametrize("told", ["../escaped.nc", "other-v1-u2.nc", f"{NAME}.txt", 7, None])
def test_only_a_file_of_this_product_is_replaced(
    tmp_path: Path, out: Path, allowed: Destinations, told: object
) -> None:
    out.mkdir()
    others = [tmp_path / "escaped.nc", out / "other-v1-u2.nc", out / f"{NAME}.txt"]
    for other in others:
        other.write_text("not ours")
    stale = {"product": {"digest": "d0", "sha256": "", "file": told}}
    (out / f"{NAME}.manifest.json").write_text(json.dumps(stale))
    deliver(staged(tmp_path / "staging"), str(out), allowed)
    assert all(other.read_text() == "not ours" for other in others)


def test_a_crate_arrives_before_the_manifest_and_is_missed_when_it_is_gone(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    product, crate = staged(tmp_path / "staging"), f"{NAME}-ro-crate-metadata.json"
    (tmp_path / "staging" / crate).write_text("{}")
    deliver(product, str(out), allowed)
    assert names(out) == WHOLE | {crate}
    assert (out / crate).stat().st_mtime_ns <= (out / f"{NAME}.manifest.json").stat().st_mtime_ns
    (out / crate).unlink()
    deliver(product, str(out), allowed)
    assert names(out) == WHOLE | {crate}


def test_the_crate_of_other_content_does_not_stay_beside_a_product_without_one(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    product, crate = staged(tmp_path / "staging"), f"{NAME}-ro-crate-metadata.json"
    (tmp_path / "staging" / crate).write_text("{}")
    deliver(product, str(out), allowed)
    (tmp_path / "staging" / crate).unlink()
    deliver(staged(tmp_path / "staging", b"other", digest="d2"), str(out), allowed)
    assert names(out) == WHOLE


def test_leftovers_of_this_product_go_and_others_stay(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    out.mkdir()
    others = {f".{NAME}.nc.nc.01234567.part", ".other-v1-u2.nc.01234567.part", f".{NAME}.nc"}
    ours = {f".{NAME}.nc.01234567.part", f".{NAME}.manifest.json.89abcdef.part"}
    ours |= {f".{NAME}.csv.gz.01234567.part", f".{NAME}-ro-crate-metadata.json.01234567.part"}
    for name in others | ours:
        (out / name).write_text("torn")
    deliver(staged(tmp_path / "staging"), str(out), allowed)
    assert names(out) == WHOLE | others


def test_two_deliveries_of_one_product_at_once_tear_nothing(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    product = staged(tmp_path / "staging")

    def attempt(_: int) -> bool:
        try:
            deliver(product, str(out), allowed)
        except DeliveryError as error:
            return error.retry
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(attempt, range(16)))
    deliver(product, str(out), allowed)
    assert names(out) == WHOLE
    assert (out / f"{NAME}.nc").read_bytes() == CONTENT


GATED_CHILD = """
import sys
from pathlib import Path
import fsspec
from controller.delivery import deliver
from controller.destinations import Destinations
from planner.model import Product

url, sha256, out, ending = sys.argv[1:]

class Gate:
    # Gives half of a file, says so, and the rest never.
    def __init__(self, path):
        content = path.read_bytes()
        self.parts = [content[: len(content) // 2] if path.name.endswith(ending) else content]
        self.waits = path.name.endswith(ending)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def read(self, size):
        if self.parts:
            return self.parts.pop()
        if self.waits:
            print("half", flush=True)
            sys.stdin.read()
        return b""

class Gated(fsspec.AbstractFileSystem):
    protocol = "gated"
    def open(self, path, mode="rb"):
        return Gate(Path(path))
    def size(self, path):
        return Path(path).stat().st_size

fsspec.register_implementation("gated", Gated)
product = Product(url=url, rows=1, size_bytes=0, sha256=sha256, digest="d1")
deliver(product, out, Destinations(roots=(out,)))
"""


@pytest.mark.parametrize(("ending", "seen"), [(".nc", set()), (".manifest.json", {f"{NAME}.nc"})])
def test_a_kill_in_the_middle_leaves_nothing_torn(
    tmp_path: Path, out: Path, allowed: Destinations, ending: str, seen: set[str]
) -> None:
    product = staged(tmp_path / "staging")
    gated = product.url.replace("file://", "gated://")
    command = [sys.executable, "-c", GATED_CHILD, gated, product.sha256, str(out), ending]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait(timeout=30) == -signal.SIGKILL
    hidden = {name for name in names(out) if name.startswith(".")}
    assert len(hidden) == 1  # the kill really came in the middle
    assert names(out) - hidden == seen
    deliver(product, str(out), allowed)
    assert names(out) == WHOLE
    assert (out / f"{NAME}.nc").read_bytes() == CONTENT


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    allowed = Destinations(roots=(str(small_disk),))
    fault = fault_of(staged(tmp_path / "staging", CONTENT * 2), small_disk / "med", allowed)
    assert f"product {NAME} not delivered" in str(fault)
    assert "is full. Free space there" in str(fault)
    assert fault.retry
    assert names(small_disk / "med") == set()
    deliver(staged(tmp_path / "staging", CONTENT[:100_000]), str(small_disk / "med"), allowed)
    assert names(small_disk / "med") == WHOLE


def test_a_disk_that_is_full_before_the_manifest(tmp_path: Path, small_disk: Path) -> None:
    allowed = Destinations(roots=(str(small_disk),))
    product = staged(tmp_path / "staging", CONTENT[:300_000], notes="n" * 800_000)
    assert fault_of(product, small_disk, allowed).retry
    assert names(small_disk) == {f"{NAME}.nc"}


def test_a_read_only_disk(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    allowed = Destinations(roots=(str(small_disk),))
    for destination in (small_disk, small_disk / "med"):
        fault = fault_of(staged(tmp_path / "staging"), destination, allowed)
        assert "is read-only. Make it writable" in str(fault)
        assert not fault.retry


@contextmanager
def nobody() -> Iterator[None]:
    """Act without root's rights, which no folder's mode would stop."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_to() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        product, out = staged(Path(folder) / "staging"), Path(folder) / "out"
        out.mkdir(mode=0o555)
        with nobody():
            fault = fault_of(product, out, Destinations(roots=(str(out),)))
        assert "may not be written to. Give this user the right" in str(fault)
        assert not fault.retry
        assert names(out) == set()


def test_a_file_in_the_place_of_a_folder(tmp_path: Path, out: Path, allowed: Destinations) -> None:
    out.mkdir()
    (out / "med").write_text("a file")
    for destination in (out / "med", out / "med" / "deeper"):
        fault = fault_of(staged(tmp_path / "staging"), destination, allowed)
        assert "is not a folder. Name a folder" in str(fault)
        assert not fault.retry


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_folder_in_the_place_of_a_file(
    tmp_path: Path, out: Path, allowed: Destinations, name: str
) -> None:
    (out / name).mkdir(parents=True)
    fault = fault_of(staged(tmp_path / "staging"), out, allowed)
    assert "has a folder where the product should be" in str(fault)
    assert not fault.retry
    assert not any(found.startswith(".") for found in names(out))


def test_a_staged_product_that_is_gone_or_altered(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    product = staged(tmp_path / "staging")
    path = tmp_path / "staging" / f"{NAME}.nc"
    path.write_bytes(CONTENT[:-1])
    altered = fault_of(product, out, allowed)
    path.unlink()
    gone = fault_of(product, out, allowed)
    assert "is not the one that was combined" in str(altered)
    assert f"product {NAME} in the staging area is gone" in str(gone)
    assert not altered.retry
    assert not gone.retry
    assert names(out) == set()


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_delivery_that_is_given_up_leaves_nothing_torn(
    tmp_path: Path,
    out: Path,
    allowed: Destinations,
    blocks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controller.delivery.staging.BLOCK_BYTES", len(CONTENT) // 4)
    product = staged(tmp_path / "staging")
    answers = iter([False] * blocks + [True])
    with pytest.raises(DeliveryError, match=f"delivery of product {NAME} was given up") as caught:
        deliver(product, str(out), allowed, lambda: next(answers))
    assert caught.value.retry
    assert names(out) == set()
    deliver(product, str(out), allowed)
    assert names(out) == WHOLE


def test_a_folder_is_judged_before_anything_is_brought(
    tmp_path: Path, small_disk: Path, out: Path
) -> None:
    (tmp_path / "file").touch()
    assert fault_of_folder(f"file://{out}/not/made/yet") == ""
    assert fault_of_folder("memory://anywhere") == ""
    assert not out.exists()
    for url in (f"file://{tmp_path}/file", f"file://{tmp_path}/file/deeper"):
        assert fault_of_folder(url) == f"destination {url} is not a folder. Name a folder"
    assert "cannot be opened: " in fault_of_folder("gopher://somewhere/")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    assert "is read-only. Make it writable" in fault_of_folder(f"file://{small_disk}/deeper")


def test_the_manifest_lies_beside_the_product() -> None:
    assert manifest_url("s3://bucket/a.nc/b-v1-u2.nc") == "s3://bucket/a.nc/b-v1-u2.manifest.json"


@pytest.mark.parametrize(
    ("destination", "what"),
    [
        ("/etc", "outside the folders"),
        ("{out}/../elsewhere", "has '..' in it"),
        ("{out}/a/../b", "has '..' in it"),
        ("{out}-elsewhere", "outside the folders"),
        ("{out}/link", "outside the folders"),
        ("{out}/link/deeper", "outside the folders"),
        ("{out}/loop/a", "outside the folders|leads nowhere"),
        ("~nobody-of-that-name/a", "leads nowhere"),
        ("file://host/a", "names another machine"),
        ("s3://bucket/a", "scheme s3, which is not allowed"),
        ("simplecache::file://{out}", "not allowed"),
        ("", "empty"),
        ("{out}/a\nb", "unprintable"),
        ("ftp://joe:secret@host/a", "scheme ftp, which is not allowed"),
        ("sftp://joe:secret@host/a", "has a user's name in it"),
        ("sftp://joe:sec/ret@host/a", "names no host"),
        ("sftp://host/a/../b", "has '..' in it"),
        ("sftp://host/%2e%2e/b", "has one of % "),
        ("sftp://host/a?b", "has one of % "),
        ("sftp:///a", "names no host"),
        ("sftp://ho st/a", "names no host"),
        ("sftp://elsewhere/a", "outside the folders"),
    ],
)
def test_what_no_destination_may_be(out: Path, destination: str, what: str) -> None:
    out.mkdir()
    (out / "link").symlink_to("/usr")
    (out / "loop").symlink_to(out / "loop")
    allowed = Destinations(roots=(str(out),), schemes=("file", "sftp"))
    with pytest.raises(DeliveryError, match=what) as caught:
        allowed.resolve(destination.format(out=out))
    assert not caught.value.retry
    for secret in ("joe", "secret", "ret@"):
        assert secret not in str(caught.value)


def test_what_a_destination_may_be(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(out))
    (tmp_path / "link").symlink_to(out)
    allowed = Destinations(roots=("out", "s3://bucket/products"), schemes=("file", "s3"))
    for written in ("out/med", f"{out}/med/", f"file://{out}/med", "~/med", "link/med"):
        assert allowed.resolve(written) == f"file://{out}/med"
    assert allowed.resolve("out") == f"file://{out}"
    assert allowed.resolve("s3://bucket/products/a@b/") == "s3://bucket/products/a@b"
    assert allowed.resolve("s3://bucket//products/./a") == "s3://bucket/products/a"
    assert allowed.default_for("med") == f"file://{out}/med"
    assert Destinations(roots=("/",)).resolve("/a") == "file:///a"


def test_a_host_that_is_allowed_takes_products_in_every_folder() -> None:
    schemes = ("file", "sftp", "webdav", "webdavs")
    allowed = Destinations(roots=(), schemes=schemes, hosts=("Drop.example.org", "near:2222"))
    assert allowed.resolve("webdavs://drop.EXAMPLE.org:443/a/") == "webdavs://drop.example.org/a"
    assert allowed.resolve("sftp://near:2222/a") == "sftp://near:2222/a"
    for other in ("sftp://near/a", "webdav://drop.example.org:443/a", "webdavs://near.org:2222/a"):
        with pytest.raises(DeliveryError, match=r"Allowed: any on Drop\.example\.org, any on near"):
            allowed.resolve(other)
    with pytest.raises(DeliveryError, match="outside the folders"):
        allowed.resolve("/drop.example.org")


def test_what_a_host_says_comes_before_what_its_scheme_says() -> None:
    options: dict[str, dict[str, object]] = {
        "sftp": {"username": "all", "read_s": 1},
        "sftp://near": {"username": "one"},
    }
    allowed = Destinations(roots=(), options=options)
    assert allowed.options_for("sftp://near/a") == {"username": "one", "read_s": 1}
    assert allowed.options_for("sftp://far/a") == {"username": "all", "read_s": 1}
    assert allowed.options_for("s3://near/a") == {}
    assert "one" not in repr(allowed)


def test_destinations_that_stall_together_share_a_lane() -> None:
    lane = Destinations(roots=("/mnt/far", "/mnt/far/deep", "/home")).lane_of
    assert lane("webdavs://host:443/a") == lane("webdavs://HOST/b") != lane("webdavs://other/a")
    assert lane("s3://ocean/a") == lane("s3://ocean/b") != lane("s3://air/a")
    assert lane("/mnt/far/deep/a") == "/mnt/far/deep"
    assert lane("/mnt/far/other") == "/mnt/far"
    assert lane("relative") == lane("~/a") == "file"


def test_without_roots_nothing_is_allowed() -> None:
    with pytest.raises(DeliveryError, match="Allowed: none"):
        Destinations(roots=()).resolve("/a")
    with pytest.raises(DeliveryError, match=r"set delivery\.roots"):
        Destinations(roots=()).default_for("med")


def test_user_names_are_not_shown() -> None:
    assert without_user("s3://key:se/cret@bucket/a") == "s3://bucket/a"
    assert without_user("/home/a@b") == "/home/a@b"


def test_a_service_that_was_replaced_leaves_what_stands_there(
    tmp_path: Path, out: Path, allowed: Destinations
) -> None:
    deliver(staged(tmp_path / "staging", b"new", digest="d2"), str(out), allowed)
    before = (out / f"{NAME}.manifest.json").read_bytes()
    late = staged(tmp_path / "late")
    with pytest.raises(DeliveryError, match="another service has taken over"):
        deliver(late, str(out), allowed, is_ours=lambda: False)
    assert names(out) == WHOLE
    assert (out / f"{NAME}.manifest.json").read_bytes() == before
