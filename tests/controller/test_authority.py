"""Who has a certificate of our authority is let in, as long as it is good; files are as private."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from controller.authority import DAY_S, VALID_S, Authority, Credentials, revoked
from controller.engines.connection import RenewableSecurity
from controller.errors import EngineError

NOW = time.time()


def serial(credentials: Credentials) -> int:
    content = Path(credentials.own).read_bytes()
    return x509.load_pem_x509_certificate(content).serial_number


def at(folder: Path, days: float) -> Authority:
    """Return the authority as it is opened so many days later."""
    return Authority(folder, clock=lambda: NOW + days * DAY_S)


def test_everything_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    Authority(folder).credentials("scheduler")
    modes = {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}
    assert modes == dict.fromkeys(("authority.pem", "authority.key", "scheduler.pem"), 0o600)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Authority(tmp_path)
    (tmp_path / "authority.key").chmod(0o640)
    with pytest.raises(EngineError, match="others than its owner may read"):
        Authority(tmp_path)


@pytest.mark.parametrize("name", ["authority.key", "authority.pem"])
def test_torn_files_are_told_with_what_to_do(tmp_path: Path, name: str) -> None:
    Authority(tmp_path)
    (tmp_path / name).write_text("-----BEGIN")
    with pytest.raises(EngineError, match=r"cannot be read or made.*it is made anew"):
        Authority(tmp_path)


def test_an_authority_that_does_not_fit_its_key_is_refused(tmp_path: Path) -> None:
    Authority(tmp_path / "a")
    Authority(tmp_path / "b")
    (tmp_path / "b" / "authority.pem").replace(tmp_path / "a" / "authority.pem")
    with pytest.raises(EngineError, match="do not fit"):
        Authority(tmp_path / "a")


def test_certificates_are_renewed_at_a_third_left_and_not_before(tmp_path: Path) -> None:
    first = serial(at(tmp_path, 0).credentials("service"))
    assert serial(at(tmp_path, 59).credentials("service")) == first
    assert serial(at(tmp_path, 61).credentials("service")) != first


def test_credentials_of_another_authority_or_torn_ones_are_made_anew(tmp_path: Path) -> None:
    own = tmp_path / "node.pem"
    first = serial(Authority(tmp_path / "a").credentials("n1", own))
    second = serial(Authority(tmp_path / "b").credentials("n1", own))
    assert second != first
    own.write_text("-----BEGIN")
    assert serial(Authority(tmp_path / "b").credentials("n1", own)) != second


async def talk(listener: RenewableSecurity, caller: RenewableSecurity) -> int:
    """Return the serial number that a caller sees of a listener, or raise as the handshake does."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    context = listener.get_listen_args("scheduler")["ssl_context"]
    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=caller.get_connection_args("worker")["ssl_context"]
        )
        writer.write(b"hello\n")
        # In TLS 1.3 a caller learns only by reading that the other side has refused it.
        said = await reader.readline()
        socket = writer.get_extra_info("ssl_object")
        writer.close()
        if said != b"hello\n":
            raise ConnectionError("refused")
        certificate = socket.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(certificate).serial_number


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    before = at(tmp_path, -61).credentials("scheduler")
    listener = RenewableSecurity(before)
    caller = RenewableSecurity(at(tmp_path, 0).credentials("n1"))

    async def renewed_between() -> tuple[int, int]:
        first = await talk(listener, caller)
        at(tmp_path, 0).credentials("scheduler")
        listener.reload()
        return first, await talk(listener, caller)

    first, second = asyncio.run(renewed_between())
    assert first != second == serial(before)


REFUSED: dict[str, Callable[[Path], Authority]] = {
    "of another authority": lambda folder: Authority(folder / "other"),
    "expired": lambda folder: at(folder / "ours", -VALID_S / DAY_S - 1),
    "of a clock that runs ahead": lambda folder: at(folder / "ours", 1),
}


@pytest.mark.parametrize("why", REFUSED)
def test_who_holds_no_good_certificate_is_refused(tmp_path: Path, why: str) -> None:
    ours = Authority(tmp_path / "ours").credentials("scheduler")
    theirs = REFUSED[why](tmp_path).credentials("stranger", tmp_path / "stranger.pem")
    # They do trust us, or pretend to: what counts is that we do not trust them.
    caller = RenewableSecurity(dataclasses.replace(theirs, authority=ours.authority))

    def attempt() -> Awaitable[int]:
        return talk(RenewableSecurity(ours), caller)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        asyncio.run(attempt())  # type: ignore[arg-type]


def test_nodes_that_are_removed_side_by_side_are_all_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    names = {f"n{number}" for number in range(40)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(authority.revoke, names))
    assert revoked(tmp_path).keys() == names
