"""Every fault of a destination says what happened, what helps, and whether a retry does."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import moto.settings
import pytest

from controller.delivery import deliver, fault_of_folder
from controller.destinations import Destinations
from controller.errors import DeliveryError
from tests.controller.delivery.certificates import self_signed
from tests.controller.delivery.conftest import Start
from tests.controller.delivery.proxy import Proxy
from tests.controller.delivery.servers import (
    PASSWORD,
    FolderServer,
    S3Server,
    Server,
    SftpServer,
    webdav_server,
)
from tests.controller.delivery.staged import CONTENT, MANIFEST, PRODUCT, staged


@pytest.fixture
def webdav(start: Start) -> FolderServer:
    found = start("wsgidav")
    assert isinstance(found, FolderServer)
    return found


@pytest.fixture
def sftp(start: Start) -> SftpServer:
    found = start("sftp")
    assert isinstance(found, SftpServer)
    return found


def fault_of(tmp_path: Path, destination: str, allowed: Destinations) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(staged(tmp_path / "staging"), destination, allowed)
    assert "product med-v1-u2 not delivered" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_nobody_listens(tmp_path: Path, server: Server, folder: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    fault = fault_of(tmp_path, server.url(folder, port), server.allowed(port, connect_s=2.0))
    assert "refuses connections" in str(fault)
    assert fault.retry


def test_a_host_that_nobody_knows(tmp_path: Path, store: S3Server) -> None:
    url, name = "webdavs://nowhere.invalid/a", "webdavs://nowhere.invalid"
    unknown = Destinations(roots=(name,), schemes=("webdavs", "s3"))
    away = store.allowed(endpoint_url="https://nowhere.invalid", connect_s=2.0)
    for fault in (fault_of(tmp_path, url, unknown), fault_of(tmp_path, store.url("a"), away)):
        assert "has a host name that nobody knows" in str(fault)
        assert fault.retry


def test_nobody_answers_the_first_packet(tmp_path: Path, server: Server, folder: str) -> None:
    # A queue of connections that is full: the system drops what more would come.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        fault = fault_of(
            tmp_path, server.url(folder, port), server.allowed(port, connect_s=0.5, read_s=0.5)
        )
        for each in waiting:
            each.close()
    assert "does not answer in time" in str(fault)
    assert fault.retry


def test_wrong_credentials(tmp_path: Path, webdav: FolderServer, sftp: SftpServer) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True, timeout=10
    )
    wrongs: tuple[tuple[FolderServer, dict[str, Any]], ...] = (
        (webdav, {"password": "wrong"}),
        (webdav, {"username": "", "password": ""}),
        (sftp, {"key_file": str(stranger)}),
    )
    for server, wrong in wrongs:
        fault = fault_of(tmp_path, server.url("a"), server.allowed(**wrong))
        assert "does not accept the credentials. Correct them in" in str(fault)
        assert not fault.retry


def test_a_store_that_does_not_know_the_key(
    tmp_path: Path, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From now on moto looks at credentials, and knows none.
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    fault = fault_of(tmp_path, store.url("a"), store.allowed())
    assert "does not accept the credentials" in str(fault)
    assert not fault.retry


def test_no_credentials_for_a_store(
    tmp_path: Path, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    fault = fault_of(tmp_path, store.url("a"), store.allowed(key="", secret=""))
    assert "does not accept the credentials" in str(fault)
    assert not fault.retry


def test_a_bucket_that_does_not_exist(tmp_path: Path, store: S3Server) -> None:
    allowed = replace(store.allowed(), roots=("s3://air",))
    allowed = replace(allowed, options={"s3": allowed.options["s3://ocean"]})
    fault = fault_of(tmp_path, "s3://air/a", allowed)
    assert "s3://air/a is a bucket that does not exist. Make it" in str(fault)
    assert not fault.retry


def test_a_profile_that_does_not_exist(tmp_path: Path, store: S3Server) -> None:
    with pytest.raises(DeliveryError, match=r"profile \(nobody\).*Correct delivery") as caught:
        deliver(staged(tmp_path / "staging"), store.url("a"), store.allowed(profile="nobody"))
    assert not caught.value.retry


def test_a_quota_that_is_full(tmp_path: Path) -> None:
    quota_bytes = len(CONTENT) + 50
    with webdav_server(tmp_path / "quota", quota_bytes=quota_bytes) as server:
        fault = fault_of(tmp_path, server.url("a"), server.allowed())
        assert "is full. Free space there" in str(fault)
        assert fault.retry
        assert set(server.files("a")) == {PRODUCT}  # there was no room for the manifest
        (server.root / "a" / PRODUCT).unlink()
        (server.root / "a" / "other").write_bytes(b"much else")
        fault = fault_of(tmp_path, server.url("b"), server.allowed())
        assert "is full" in str(fault) or set(server.files("b")) == {PRODUCT}


def test_a_disk_that_is_full_behind_ssh(tmp_path: Path, small_disk: Path, sftp: SftpServer) -> None:
    url = f"sftp://127.0.0.1:{sftp.port}{small_disk}/a"
    with pytest.raises(DeliveryError) as caught:
        deliver(staged(tmp_path / "staging", CONTENT * 8), url, sftp.allowed())
    assert "Look for a full disk" in str(caught.value)
    assert caught.value.retry
    assert list((small_disk / "a").iterdir()) == []


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, store: S3Server) -> None:
    certificate, key = self_signed(tmp_path)
    with webdav_server(tmp_path / "tls", certificate=str(certificate), key=str(key)) as server:
        fault = fault_of(tmp_path, server.url("a"), server.allowed())
        endpoint = f"https://127.0.0.1:{server.port}"
        of_store = fault_of(tmp_path, store.url("a"), store.allowed(endpoint_url=endpoint))
        for each in (fault, of_store):
            assert "shows a certificate that is not trusted. Name the file" in str(each)
            assert not each.retry
        deliver(
            staged(tmp_path / "staging"), server.url("a"), server.allowed(ca_file=str(certificate))
        )
        assert set(server.files("a")) == {PRODUCT, MANIFEST}


@pytest.mark.parametrize("ca_file", ["missing.pem", "empty.pem"])
def test_certificates_that_cannot_be_used(tmp_path: Path, ca_file: str) -> None:
    (tmp_path / "empty.pem").touch()
    options = {"webdavs": {"ca_file": str(tmp_path / ca_file)}}
    allowed = Destinations(roots=("webdavs://host",), schemes=("webdavs",), options=options)
    with pytest.raises(DeliveryError, match=f"{ca_file} cannot be used") as caught:
        deliver(staged(tmp_path / "staging"), "webdavs://host/a", allowed)
    assert not caught.value.retry


def test_a_server_that_speaks_no_tls(tmp_path: Path, webdav: FolderServer) -> None:
    root = f"webdavs://127.0.0.1:{webdav.port}"
    fault = fault_of(tmp_path, f"{root}/a", Destinations(roots=(root,), schemes=("webdavs",)))
    assert "speaks no TLS that fits. Check its port and its scheme" in str(fault)
    assert not fault.retry


def test_credentials_are_not_sent_in_clear_text(tmp_path: Path) -> None:
    options = {"webdav": {"username": "joe", "password": PASSWORD}}
    allowed = Destinations(roots=("webdav://host",), schemes=("webdav",), options=options)
    with pytest.raises(DeliveryError, match=r"in clear text\. Use webdavs") as caught:
        deliver(staged(tmp_path / "staging"), "webdav://host/a", allowed)
    assert not caught.value.retry


def test_a_host_key_that_is_not_the_known_one(
    tmp_path: Path, sftp: SftpServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "nobody").touch()
    kind, other = (sftp.keys / "client.pub").read_text().split()
    (tmp_path / "another").write_text(f"[127.0.0.1]:{sftp.port} {kind} {other}\n")
    for known_hosts in ("nobody", "another"):
        allowed = sftp.allowed(known_hosts=str(tmp_path / known_hosts))
        fault = fault_of(tmp_path, sftp.url("a"), allowed)
        assert "is a host whose key is unknown or another than before" in str(fault)
        assert not fault.retry
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("option", ["key_file", "known_hosts"])
def test_a_key_that_cannot_be_read(tmp_path: Path, sftp: SftpServer, option: str) -> None:
    named: dict[str, Any] = {option: str(tmp_path / "missing")}
    allowed = sftp.allowed(**named)
    with pytest.raises(DeliveryError, match="missing cannot be read") as caught:
        deliver(staged(tmp_path / "staging"), sftp.url("a"), allowed)
    assert not caught.value.retry


def test_a_key_that_is_none(tmp_path: Path, sftp: SftpServer) -> None:
    (tmp_path / "none").write_text("no key\n")
    fault = fault_of(tmp_path, sftp.url("a"), sftp.allowed(key_file=str(tmp_path / "none")))
    assert not fault.retry


def test_a_file_in_the_place_of_a_folder(
    tmp_path: Path, webdav: FolderServer, sftp: SftpServer, folder: str
) -> None:
    for server in (webdav, sftp):
        server.write(folder, "file", b"")
        for destination in (f"{folder}/file", f"{folder}/file/deeper"):
            fault = fault_of(tmp_path, server.url(destination), server.allowed())
            assert not fault.retry, fault


def test_a_folder_in_the_place_of_the_product(
    tmp_path: Path, sftp: SftpServer, folder: str
) -> None:
    (sftp.root / folder / PRODUCT).mkdir(parents=True)
    fault = fault_of(tmp_path, sftp.url(folder), sftp.allowed())
    assert "has a folder where the product should be" in str(fault)
    assert not fault.retry


NOT_INSTALLED = """
import json, sys
from controller.delivery import deliver, fault_of_folder
from controller.destinations import Destinations
from controller.errors import DeliveryError
from planner.model import Product

def told(library, url):
    sys.modules[library] = None
    yield fault_of_folder(url)
    product = Product(url="file:///p-v1-u1.nc", rows=1, size_bytes=0, sha256="", digest="")
    try:
        deliver(product, url, Destinations(roots=(url,), schemes=(url.partition("://")[0],)))
    except DeliveryError as error:
        yield from (str(error), error.retry)

print(json.dumps([list(told(*each)) for each in json.loads(sys.argv[1])]))
"""


def test_what_is_not_installed_is_told_with_how_to_install_it() -> None:
    needs = [
        ("s3fs", "s3://ocean/a", "s3"),
        ("webdav4", "webdavs://host/a", "webdav"),
        ("paramiko", "sftp://host/a", "sftp"),
    ]
    asked = json.dumps([each[:2] for each in needs])
    command = [sys.executable, "-c", NOT_INSTALLED, asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for (library, url, extra), told in zip(needs, json.loads(done.stdout), strict=True):
        fix = f"Install it: pip install 'slackwater[{extra}]'"
        words = f"destination {url} needs {library}, which is not installed. {fix}"
        assert told == [words, words, False]


def test_nothing_is_asked_of_a_server_before_there_is_a_product(server: Server) -> None:
    with Proxy(server.port) as line:
        assert fault_of_folder(server.url("a", line.port)) == ""
        assert line.sent_bytes == 0
