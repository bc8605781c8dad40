"""Real servers on loopback, each serving a folder or bucket that tests look into from behind."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import paramiko
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from controller.destinations import Destinations

USER, PASSWORD = "joe", "a-secret"
READY_S_MAX = 20.0
BUCKET = "ocean"


class Server(Protocol):
    """A destination, as a subscriber sees it and as it is seen from behind."""

    port: int

    def url(self, folder: str, port: int = 0) -> str:
        """Return the destination, through another port if one is given."""
        ...

    def allowed(self, port: int = 0, **options: object) -> Destinations:
        """Return settings that allow all of it, with options beside the credentials."""
        ...

    def files(self, folder: str) -> dict[str, bytes]:
        """Return what lies there, as others see it."""
        ...

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Leave a file there, by other means than delivery."""
        ...


class FolderServer:
    """A server of a folder of this machine."""

    def __init__(self, scheme: str, root: Path, port: int, options: Mapping[str, object]) -> None:
        self.scheme = scheme
        self.root = root
        self.port = port
        self.options = options
        self.path = ""

    def url(self, folder: str, port: int = 0) -> str:
        """See `Server`."""
        return f"{self.scheme}://127.0.0.1:{port or self.port}{self.path}/{folder}"

    def allowed(self, port: int = 0, **options: object) -> Destinations:
        """See `Server`."""
        host = f"127.0.0.1:{port or self.port}"
        said = {**self.options, **self.of_port(port or self.port), **options}
        return Destinations(
            roots=(),
            schemes=(self.scheme,),
            hosts=(host,),
            options={f"{self.scheme}://{host}": said},
        )

    def of_port(self, port: int) -> Mapping[str, object]:
        """Return options that hold for a port only."""
        return {}

    def files(self, folder: str) -> dict[str, bytes]:
        """See `Server`."""
        there = self.root / folder
        found = there.iterdir() if there.exists() else iter(())
        return {path.name: path.read_bytes() for path in found}

    def write(self, folder: str, name: str, content: bytes) -> None:
        """See `Server`."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / folder / name).write_bytes(content)


class SftpServer(FolderServer):
    """An sshd; a client knows its key under each port that leads to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.keys = folder
        options = {"username": getpass.getuser(), "key_file": str(folder / "client")}
        super().__init__("sftp", folder / "root", port, options)
        self.path = str(self.root)

    def of_port(self, port: int) -> Mapping[str, object]:
        """See `FolderServer`."""
        kind, key = (self.keys / "host.pub").read_text().split()[:2]
        known = self.keys / f"known-{port}"
        known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        return {"known_hosts": str(known)}


class S3Server:
    """A store of objects."""

    def __init__(self, port: int, bucket: str = BUCKET) -> None:
        self.port = port
        self.bucket = bucket
        self._behind = s3fs.S3FileSystem(
            **self._options(port), skip_instance_cache=True, use_listings_cache=False
        )
        self._behind.mkdir(bucket)

    def url(self, folder: str, port: int = 0) -> str:
        """See `Server`."""
        return f"s3://{self.bucket}/{folder}"

    def allowed(self, port: int = 0, **options: object) -> Destinations:
        """See `Server`."""
        said = {**self._options(port or self.port), **options}
        return Destinations(
            roots=(f"s3://{self.bucket}",), schemes=("s3",), options={f"s3://{self.bucket}": said}
        )

    def files(self, folder: str) -> dict[str, bytes]:
        """See `Server`."""
        prefix = f"{self.bucket}/{folder}".rstrip("/")
        paths = self._behind.find(prefix)
        return {path.removeprefix(f"{prefix}/"): self._behind.cat_file(path) for path in paths}

    def write(self, folder: str, name: str, content: bytes) -> None:
        """See `Server`."""
        self._behind.pipe_file(f"{self.bucket}/{folder}/{name}", content)

    def uploads(self, folder: str) -> list[str]:
        """Return the keys below a folder of uploads that are not complete."""
        found = self._behind.call_s3(
            "list_multipart_uploads", Bucket=self.bucket, Prefix=f"{folder}/"
        )
        return [upload["Key"] for upload in found.get("Uploads", ())]

    def begin_upload(self, folder: str, name: str) -> None:
        """Begin an upload and leave it so."""
        self._behind.call_s3("create_multipart_upload", Bucket=self.bucket, Key=f"{folder}/{name}")

    @staticmethod
    def _options(port: int) -> dict[str, Any]:
        return {
            "endpoint_url": f"http://127.0.0.1:{port}",
            "key": USER,
            "secret": PASSWORD,
        }


@contextmanager
def s3_server(bucket: str = BUCKET) -> Iterator[S3Server]:
    """Serve buckets by moto."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield S3Server(server.get_host_and_port()[1], bucket)
    finally:
        server.stop()


@contextmanager
def webdav_server(
    root: Path, *, certificate: str = "", key: str = "", quota_bytes: int = 0
) -> Iterator[FolderServer]:
    """Serve a folder by wsgidav, over TLS if there is a certificate."""
    root.mkdir(exist_ok=True)
    said = {
        "root": str(root),
        "user": USER,
        "password": PASSWORD,
        "certificate": certificate,
        "key": key,
        "quota_bytes": quota_bytes,
    }
    program = Path(__file__).with_name("serve_webdav.py")
    command = [sys.executable, str(program), json.dumps(said)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            scheme = "webdavs" if certificate else "webdav"
            yield FolderServer(scheme, root, port, {"username": USER, "password": PASSWORD})
        finally:
            process.kill()
            process.wait(10)


@contextmanager
def rclone_server(root: Path) -> Iterator[FolderServer]:
    """Serve a folder by WebDAV, by another implementation."""
    program = shutil.which("rclone") or pytest.skip("rclone is not installed")
    root.mkdir()
    port = _free_port()
    command = [program, "serve", "webdav", str(root), "--addr", f"127.0.0.1:{port}"]
    command += ["--user", USER, "--pass", PASSWORD, "--config", os.devnull]
    command += ["--dir-cache-time", "0"]  # Tests write from behind.
    with _running(command, port):
        yield FolderServer("webdav", root, port, {"username": USER, "password": PASSWORD})


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """Serve the folder `root` in a folder by OpenSSH, with keys and settings of its own there."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    (folder / "root").mkdir(parents=True)
    port = _free_port()
    for name in ("host", "client"):
        key = paramiko.ECDSAKey.generate()
        key.write_private_key_file(str(folder / name))
        (folder / f"{name}.pub").write_text(f"{key.get_name()} {key.get_base64()}\n")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/client.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\nMaxStartups 50\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # It will not start for root without.
    with _running([program, "-D", "-e", "-f", str(folder / "sshd_config")], port):
        yield SftpServer(folder, port)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            assert process.poll() is None, f"{process.args!r} ended at once"
            assert time.monotonic() < until, f"{process.args!r} does not listen"
        else:
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
