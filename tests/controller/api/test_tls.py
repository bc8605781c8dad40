"""The API over TLS: shown certificates, renewed ones, those that are refused."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api.offering import in_clear
from controller.api.tls import Certificate, certificate_of, days_left
from controller.client import AccessError, Client, Unreachable
from controller.config.serving import ApiSettings, ServiceSettings
from controller.config.settings import Settings
from controller.errors import ApiError
from controller.store.sqlite import SqliteDatabase
from tests.controller.api.certificates import Signing
from tests.controller.api.fronted import Front, fronted

LOOK_S = 0.02
RENEWED_S_MAX = 30.0


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


@pytest.fixture
def files(tmp_path: Path, signing: Signing) -> tuple[Path, Path]:
    found = tmp_path / "api.pem", tmp_path / "api.key"
    signing.sign(*found)
    return found


@pytest.fixture
def front(tmp_path: Path, files: tuple[Path, Path]) -> Iterator[Front]:
    certificate = Certificate(certificate_file=files[0], key_file=files[1], look_s=LOOK_S)
    place = lambda: SqliteDatabase(tmp_path / "db")  # noqa: E731 - a fixture is a function already
    with fronted(place, tmp_path, server={"certificate": certificate}) as front:
        yield front


def serial(front: Front) -> str:
    """Return what the API shows who connects now."""
    port = int(front.url.rpartition(":")[2])
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_a_client_trusts_the_authority_that_it_is_told(
    front: Front, signing: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert front.url.startswith("https://127.0.0.1:")
    with Client(front.url) as client, pytest.raises(Unreachable) as refused:
        client.health()
    assert "SLACKWATER_CA_FILE" in str(refused.value)
    monkeypatch.setenv("SLACKWATER_CA_FILE", str(signing.ca_file))
    with Client(front.url) as client:
        assert client.health().ready
    with Client(front.url.replace("127.0.0.1", "localhost")) as client:
        assert client.health().ready


def test_an_authority_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("none.pem", None), ("odd.pem", b"odd")):
        if content:
            (tmp_path / name).write_bytes(content)
        monkeypatch.setenv("SLACKWATER_CA_FILE", str(tmp_path / name))
        with pytest.raises(AccessError, match=f"no authority can be read from .*{name}"):
            Client("https://127.0.0.1:1")


def test_old_versions_of_tls_and_plain_requests_are_refused(front: Front) -> None:
    port = int(front.url.rpartition(":")[2])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30.0) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain)
    with socket.create_connection(("127.0.0.1", port), timeout=30.0) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)


def test_a_renewed_certificate_is_shown_and_a_half_one_is_not(
    front: Front, signing: Signing, files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    before = serial(front)
    files[0].write_text("half of a")
    give_up_at = time.monotonic() + RENEWED_S_MAX
    while "the certificate before stays" not in caplog.text:
        assert time.monotonic() < give_up_at
        time.sleep(LOOK_S)
    assert serial(front) == before
    signing.sign(*files)
    while (now := serial(front)) == before:
        assert time.monotonic() < give_up_at
        time.sleep(LOOK_S)
    assert now.split() == files[0].read_text().split()


def settings(certificate: object, key: object) -> ApiSettings:
    return ApiSettings(certificate_file=str(certificate), key_file=str(key))


def test_what_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, signing: Signing, files: tuple[Path, Path]
) -> None:
    assert certificate_of(ApiSettings()) is None
    for given in (settings(files[0], ""), settings("", files[1])):
        with pytest.raises(ApiError, match="only one of"):
            certificate_of(given)
    with pytest.raises(ApiError, match="cannot be read: No such file"):
        certificate_of(settings(tmp_path / "away", files[1]))
    with pytest.raises(ApiError, match="cannot be used"):
        certificate_of(settings(signing.ca_file, files[1]))
    files[1].chmod(0o640)
    if os.getuid() == 0:
        with pytest.raises(ApiError, match=r"others may read the key .*api\.key"):
            certificate_of(settings(*files))
    files[1].chmod(0o604)
    with pytest.raises(ApiError, match=r"chmod 600"):
        certificate_of(settings(*files))


def test_how_long_it_holds(signing: Signing, files: tuple[Path, Path]) -> None:
    signing.sign(*files, days=3.0)
    found = certificate_of(settings(*files))
    assert found is not None
    assert 2.9 < days_left(found) < 3.0


@pytest.mark.parametrize(
    ("host", "is_told"), [("127.0.0.1", False), ("0.0.0.0", True), ("10.1.2.3", True)]
)
def test_keys_that_travel_in_the_clear_are_told(
    host: str, is_told: bool, files: tuple[Path, Path]
) -> None:
    of = Settings(service=ServiceSettings(host=host))
    assert bool(in_clear(of, None)) == is_told
    assert in_clear(of, certificate_of(settings(*files))) == ()
