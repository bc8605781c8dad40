"""Gets a product from where it was delivered, and holds it against what was promised of it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import fsspec
import httpx

from controller.client.answers import Product
from controller.destinations import without_user
from controller.errors import StorageError
from controller.product_files import file_name

SCHEMES = ("file", "s3", "gs", "sftp", "webdav", "webdavs", "http", "https")
"""Where a product may be got from; fsspec's other file systems open more than files."""

CHUNK_BYTES = 2**20

_OVER_HTTP = {
    "http://": "http://",
    "https://": "https://",
    "webdav://": "http://",
    "webdavs://": "https://",
}
"""What is got by HTTP, of a server whose user and password ``~/.netrc`` holds."""


def get_product(product: Product, folder: Path, *, with_manifest: bool = True) -> Path:
    """Copy a product into a folder and return its path; what is there already is replaced.

    Its size and SHA-256 are checked while it comes, and it gets its name only when they are right.

    Parameters
    ----------
    product : Product
    folder : Path
        Made if missing.
    with_manifest : bool
        Whether its manifest comes too.

    Raises
    ------
    StorageError
        It is not there, is not what was delivered, or the folder takes nothing.
    """
    path = _got(product.url, folder, (product.size_bytes, product.sha256))
    if with_manifest:
        _got(product.manifest_url, folder, None)
    return path


def _got(url: str, folder: Path, promised: tuple[int, str] | None) -> Path:
    name = unquote(file_name(url))
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES or "::" in url or name in ("", ".", "..") or "/" in name:
        raise StorageError(
            f"{without_user(url)} cannot be got: it is no file of {', '.join(SCHEMES)}", retry=False
        )
    beside: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name[:64]}.", dir=folder)
        beside = Path(temporary)
        with os.fdopen(handle, "wb") as target:
            found = _copied(url, target)
        if promised is not None and found != promised:
            raise StorageError(
                f"{without_user(url)} is not what was delivered: {_told(found)} instead of"
                f" {_told(promised)}",
                fix="Somebody has changed it since",
                retry=False,
            )
        beside.chmod(0o644)
        return beside.replace(folder / name)
    except (OSError, ImportError, ValueError, httpx.HTTPError) as error:
        raise StorageError(
            f"{without_user(url)} cannot be got: {error}", fix=_advice(url)
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def _copied(url: str, target: IO[bytes]) -> tuple[int, str]:
    """Copy the file at a URL; return its size [bytes] and its SHA-256."""
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks_over_http(url) if _is_over_http(url) else _chunks(url):
        digest.update(chunk)
        size_bytes += target.write(chunk)
    return size_bytes, digest.hexdigest()


def _chunks(url: str) -> Iterator[bytes]:
    with fsspec.open(url, "rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _is_over_http(url: str) -> bool:
    return url.startswith(tuple(_OVER_HTTP))


def _chunks_over_http(url: str) -> Iterator[bytes]:
    scheme, mark, rest = url.partition("://")
    place = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    who = httpx.NetRCAuth(str(place)) if place.is_file() else None
    with httpx.stream("GET", _OVER_HTTP[scheme + mark] + rest, auth=who) as answer:
        answer.raise_for_status()
        yield from answer.iter_bytes(CHUNK_BYTES)


def _told(found: tuple[int, str]) -> str:
    size_bytes, digest = found
    return f"{size_bytes} bytes of SHA-256 {digest[:12]}..."


def _advice(url: str) -> str:
    if url.startswith("file:"):
        return "It lies on the machine of the service: go there, or give another --out"
    return ""
