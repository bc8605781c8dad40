"""A folder of an SSH server: files are sent under a temporary name and renamed over the old."""

from __future__ import annotations

import errno
import logging
import posixpath
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import paramiko

from controller.delivery.causes import (
    BROKEN_OFF,
    FOLDER_IN_THE_WAY,
    MISSING,
    REFUSED_USER,
    SLOW,
    Cause,
    network_cause,
    system_cause,
)
from controller.delivery.moving import put_by_move, remove_leftovers
from controller.delivery.options import SftpOptions, options_of
from controller.delivery.place import Content, IsOurs, sha256_of
from controller.errors import DeliveryError

# Whatever it would log as an error, and with a trace, is raised to us too.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_PORT = 22
_READ_BYTES = 2**20
_REQUESTS_MAX = 64
"""Reads under way at once: 64 of 32 KiB fill a fast line, and OpenSSH allows them."""

_UNKNOWN_HOST = Cause(
    "is a host whose key is unknown or another than before",
    "Put its key into the file known_hosts, once you have made sure of it",
    False,
)
_TIMED_OUT = ("timeout", "no existing session")
"""What paramiko says when time is over; it has no class for that."""

_UNTOLD = Cause(
    "failed, and its server does not say why",
    "Look for a full disk, or a server without posix-rename@openssh.com; it is tried again",
    True,
)


class SftpPlace:
    """A folder of an SSH server, over a connection of its own.

    Parameters
    ----------
    url : str
        ``sftp://host/absolute/folder``.
    options : SftpOptions
    """

    faults: tuple[type[Exception], ...] = (OSError, EOFError, paramiko.SSHException)

    def __init__(self, url: str, options: SftpOptions) -> None:
        authority, _, folder = url.partition("://")[2].partition("/")
        self._address = _address(authority)
        self._folder = f"/{folder.strip('/')}"
        self._options = options
        self._ssh = paramiko.SSHClient()
        self._opened: paramiko.SFTPClient | None = None

    def cause(self, error: Exception) -> Cause:
        """See `Place`."""
        if isinstance(error, paramiko.SSHException):
            return _of_ssh(error)
        if isinstance(error, FileNotFoundError):
            return MISSING
        if known := network_cause(error):
            return known
        return system_cause(error) if isinstance(error, OSError) and error.errno else _UNTOLD

    def prepare(self, is_ours: IsOurs) -> None:
        """See `Place`."""
        self._make(self._folder)
        remove_leftovers(self, is_ours)

    def names(self) -> list[str]:
        """See `Place`."""
        return self._sftp.listdir(self._folder)

    def has(self, name: str) -> bool:
        """See `Place`."""
        try:
            self._sftp.stat(self._path(name))
        except FileNotFoundError:
            return False
        return True

    def blocks(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        with self._sftp.open(self._path(name), "rb") as file:
            # Reads one by one would wait for the line each time.
            file.prefetch(max_concurrent_requests=_REQUESTS_MAX)
            while block := file.read(_READ_BYTES):
                yield block

    def sha256(self, name: str) -> str:
        """Return the checksum of what is read back, all of it: the protocol proves nothing."""
        return sha256_of(self.blocks(name))

    def put(self, name: str, content: Content) -> None:
        """See `Place`."""
        put_by_move(self, name, content)

    def write(self, name: str, content: Content) -> None:
        """See `Steps`."""
        with self._sftp.open(self._path(name), "wb") as file:
            file.set_pipelined(True)
            for block in content.blocks:
                file.write(block)
        # What fails of the last writes in a pipeline is told to nobody.
        if self._sftp.stat(self._path(name)).st_size != content.size_bytes:
            raise OSError(f"{name} was not stored whole")

    def move(self, name: str, final: str) -> None:
        """See `Steps`."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(self._sftp.stat(self._path(final)).st_mode or 0):
                raise IsADirectoryError(errno.EISDIR, FOLDER_IN_THE_WAY.what)
        self._sftp.posix_rename(self._path(name), self._path(final))

    def remove(self, name: str) -> None:
        """See `Place`."""
        with suppress(FileNotFoundError):
            self._sftp.remove(self._path(name))

    def close(self) -> None:
        """See `Place`."""
        self._ssh.close()

    @property
    def _sftp(self) -> paramiko.SFTPClient:
        """The session, opened when it is first used."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> paramiko.SFTPClient:
        options = self._options
        # paramiko would take any host at its word; we never do.
        self._ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._ssh.load_host_keys(
            options.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
        )
        host, port = self._address
        connection = socket.create_connection(self._address, timeout=options.connect_s)
        # paramiko waits for ever for one who accepts no more bytes; the system need not.
        connection.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(options.read_s * 1000)
        )
        is_given = bool(options.key_file or options.password)
        self._ssh.connect(
            host,
            port=port,
            sock=connection,
            username=options.username or None,
            password=options.password or None,
            key_filename=options.key_file or None,
            passphrase=options.passphrase or None,
            allow_agent=not is_given,
            look_for_keys=not is_given,
            timeout=options.connect_s,
            banner_timeout=options.read_s,
            auth_timeout=options.read_s,
            channel_timeout=options.read_s,
        )
        session = self._ssh.open_sftp()
        channel = session.get_channel()
        assert channel is not None
        channel.settimeout(options.read_s)
        return session

    def _make(self, folder: str) -> None:
        """Make a folder and those above it; what is there already is left as it is."""
        try:
            mode = self._sftp.stat(folder).st_mode or 0
        except FileNotFoundError:
            self._make(posixpath.dirname(folder))
            with suppress(FileExistsError):
                self._mkdir(folder)
            return
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, folder)

    def _mkdir(self, folder: str) -> None:
        try:
            self._sftp.mkdir(folder)
        except OSError as error:
            # Another delivery may have made it meanwhile; SFTP knows no word for that.
            if error.errno is None and stat.S_ISDIR(self._sftp.stat(folder).st_mode or 0):
                return
            raise

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)


def open_place(url: str, said: Mapping[str, object]) -> SftpPlace:
    """Return the folder that a URL names; the connection is made when it is first used.

    Raises
    ------
    DeliveryError
        A file that the options name cannot be read.
    """
    options = options_of(SftpOptions, "sftp", said)
    for path in filter(None, (options.key_file, options.known_hosts)):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise DeliveryError(
                f"destination {url}: {path} cannot be read ({error.strerror})",
                fix="Correct delivery.options_file",
                retry=False,
            ) from error
    return SftpPlace(url, options)


def _of_ssh(error: paramiko.SSHException) -> Cause:
    if any(words in str(error).lower() for words in _TIMED_OUT):
        return SLOW
    if isinstance(error, paramiko.AuthenticationException) or "private key" in str(error):
        return REFUSED_USER
    if isinstance(error, paramiko.BadHostKeyException) or "known_hosts" in str(error):
        return _UNKNOWN_HOST
    return network_cause(error) or BROKEN_OFF


def _address(authority: str) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit():
        return host.strip("[]"), int(port)
    return authority.strip("[]"), _PORT
