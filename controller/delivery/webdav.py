"""A folder of a WebDAV server: files are sent under a temporary name and moved over the old."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import httpx
from webdav4.client import Client, ClientError, HTTPError, InsufficientStorage, ResourceNotFound

from controller.delivery.causes import FULL, MISSING, Cause, network_cause, status_cause
from controller.delivery.moving import put_by_move, remove_leftovers
from controller.delivery.options import WebdavOptions, options_of
from controller.delivery.place import BLOCK_BYTES, Content, IsOurs, sha256_of
from controller.errors import DeliveryError
from controller.product_files import file_name

_EXISTS = 405


class WebdavPlace:
    """A folder of a WebDAV server.

    Parameters
    ----------
    client : webdav4.client.Client
    folder : str
        Its path on the server.
    """

    faults: tuple[type[Exception], ...] = (ClientError, httpx.HTTPError, OSError)

    def __init__(self, client: Client, folder: str) -> None:
        self._client = client
        self._folder = f"/{folder.strip('/')}"

    def cause(self, error: Exception) -> Cause:
        """See `Place`."""
        if isinstance(error, InsufficientStorage):
            return FULL
        if isinstance(error, ResourceNotFound | FileNotFoundError):
            return MISSING
        status = _status_of(error)
        if status:
            return status_cause(status)
        return network_cause(error) or _of_httpx(error)

    def prepare(self, is_ours: IsOurs) -> None:
        """See `Place`."""
        self._make(self._folder)
        remove_leftovers(self, is_ours)

    def names(self) -> list[str]:
        """See `Place`."""
        try:
            found = self._client.propfind(f"{self._folder}/", headers={"Depth": "1"})
        except ResourceNotFound as error:
            raise FileNotFoundError(self._folder) from error
        paths = [unquote(href.rstrip("/")) for href in found.responses]
        return [file_name(path) for path in paths if path != self._folder]

    def has(self, name: str) -> bool:
        """See `Place`."""
        try:
            self._client.propfind(self._path(name), headers={"Depth": "0"})
        except ResourceNotFound:
            return False
        return True

    def blocks(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        url = self._client.join_url(self._path(name))
        with self._client.http.stream("GET", url) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise FileNotFoundError(name)
            answer.raise_for_status()
            yield from answer.iter_bytes(BLOCK_BYTES)

    def sha256(self, name: str) -> str:
        """Return the checksum of what is read back, all of it: the protocol proves nothing."""
        return sha256_of(self.blocks(name))

    def put(self, name: str, content: Content) -> None:
        """See `Place`."""
        put_by_move(self, name, content)

    def write(self, name: str, content: Content) -> None:
        """See `Steps`."""
        # Of a request without its length some servers store nothing and call that success.
        self._client.request(
            "PUT",
            self._path(name),
            content=content.blocks,
            headers={"Content-Length": str(content.size_bytes)},
        )

    def move(self, name: str, final: str) -> None:
        """See `Steps`."""
        self._client.move(self._path(name), self._path(final), overwrite=True)

    def remove(self, name: str) -> None:
        """See `Place`."""
        with suppress(ResourceNotFound):
            self._client.remove(self._path(name))

    def close(self) -> None:
        """See `Place`."""
        self._client.http.close()

    def _make(self, folder: str) -> None:
        """Make a folder and those above it; what is there already is left as it is."""
        try:
            self._client.propfind(f"{folder}/", headers={"Depth": "0"})
        except ResourceNotFound:
            pass
        else:
            return
        if above := folder.rpartition("/")[0]:
            self._make(above)
        try:
            self._client.request("MKCOL", folder, add_trailing_slash=True)
        except HTTPError as error:
            # Another delivery may have made it meanwhile.
            if error.status_code != _EXISTS:
                raise

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def open_place(url: str, said: Mapping[str, object]) -> WebdavPlace:
    """Return the folder that a URL names.

    Parameters
    ----------
    url : str
        ``webdavs://host/folder`` (TLS) or ``webdav://host/folder``.
    said : mapping
        Its options.

    Raises
    ------
    DeliveryError
        Credentials would go over a network in clear text, or `ca_file` cannot be read.
    """
    options = options_of(WebdavOptions, "webdav", said)
    scheme, _, rest = url.partition("://")
    authority, _, folder = rest.partition("/")
    is_secret = bool(options.password or options.token)
    if scheme == "webdav" and is_secret and not _is_loopback(authority):
        raise DeliveryError(
            f"destination {url} would be sent credentials in clear text",
            fix="Use webdavs, or give it none",
            retry=False,
        )
    client = Client(
        f"{'https' if scheme == 'webdavs' else 'http'}://{authority}",
        auth=(options.username, options.password) if options.username else None,
        headers={"Authorization": f"Bearer {options.token}"} if options.token else None,
        verify=_trusted(url, options.ca_file),
        timeout=httpx.Timeout(options.read_s, connect=options.connect_s),
        retry=False,
        follow_redirects=False,
    )
    return WebdavPlace(client, folder)


def _trusted(url: str, ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # no such file, or one without certificates
        raise DeliveryError(
            f"destination {url}: ca_file {ca_file} cannot be used ({error.strerror or error})",
            fix="Correct delivery.options_file",
            retry=False,
        ) from error


def _is_loopback(authority: str) -> bool:
    host = authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def _status_of(error: Any) -> int:
    """Return the status of HTTP that an error stems from, 0 where there was no answer."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, HTTPError):
            return int(at.status_code)
        if isinstance(at, httpx.HTTPStatusError):
            return at.response.status_code
        at = at.__cause__
    return 0


def _of_httpx(error: Exception) -> Cause:
    broken = isinstance(error, httpx.TransportError)
    what = "broke the connection off" if broken else f"answered what is not understood ({error})"
    return Cause(what, "It is tried again" if broken else "See its log", True)
