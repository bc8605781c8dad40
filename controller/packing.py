"""One product of what several applications made: a ZIP of their products and manifests.

A subscription to datasets of different kinds has no one format that holds them all. Each
application makes its own product, and the package's manifest says which member came from where.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from fsspec.core import url_to_fs

from controller.apps.manifests import FORMAT, made, product_entry, write_beside
from controller.apps.storage import replacing
from controller.product_files import crate_url, file_name, manifest_url
from planner.model import Product

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every member: the same members make the same bytes. ZIP knows no earlier one."""

BLOCK_BYTES = 2**20

Making = tuple[Callable[[Any], Product], object]
"""What makes a product, and what it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOrder:
    """Make these products and pack them into one file.

    Parameters
    ----------
    product_url : str
        Where the package goes (staging area).
    product_id, subscription_id : str
    members : tuple of Making
        At least one.
    """

    product_url: str
    product_id: str
    subscription_id: str
    members: tuple[Making, ...]


def pack(order: PackOrder) -> Product:
    """Make the members and write the package, and its manifest beside it.

    Raises
    ------
    SlackwaterError
        What making a member raises.
    StorageError
        The package cannot be written.
    """
    members = [combine(given) for combine, given in order.members]
    with TemporaryDirectory(prefix="slackwater-") as folder:
        local = Path(folder) / "package.zip"
        _write(local, [url for each in members for url in _files_of(each)])
        with local.open("rb") as packed:
            sha256 = hashlib.file_digest(packed, "sha256").hexdigest()
            packed.seek(0)
            with replacing(order.product_url) as file:
                shutil.copyfileobj(packed, file, BLOCK_BYTES)
        size_bytes = local.stat().st_size
    product = Product(
        url=order.product_url,
        rows=sum(each.rows for each in members),
        size_bytes=size_bytes,
        sha256=sha256,
        digest=_digest(members),
        left_out=sum(each.left_out for each in members),
    )
    write_beside(product, _manifest(order, product, members))
    return product


def _files_of(product: Product) -> Iterator[str]:
    """Yield the URLs of a product, its RO-Crate, if it has one, and its manifest."""
    yield product.url
    filesystem, crate = url_to_fs(crate_url(product.url))
    if filesystem.exists(crate):
        yield crate_url(product.url)
    yield manifest_url(product.url)


def _write(local: Path, urls: Sequence[str]) -> None:
    """Write files into a package, uncompressed: products are compressed already."""
    with zipfile.ZipFile(local, "w") as package:
        for url in urls:
            filesystem, path = url_to_fs(url)
            member = zipfile.ZipInfo(PurePosixPath(path).name, EPOCH)
            with (
                filesystem.open(path, "rb") as read,
                package.open(member, "w", force_zip64=True) as written,
            ):
                shutil.copyfileobj(read, written, BLOCK_BYTES)


def _digest(members: Sequence[Product]) -> str:
    """Return the digest of a package's content, whatever its manifests say of when it was made."""
    lines = (f"{file_name(each.url)} {each.digest}\n" for each in members)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _manifest(order: PackOrder, product: Product, members: Sequence[Product]) -> dict[str, object]:
    return {
        "format": FORMAT,
        "product": product_entry(order.product_id, product),
        "subscription": order.subscription_id,
        "members": [
            {
                "file": file_name(each.url),
                "manifest": file_name(manifest_url(each.url)),
                "rows": each.rows,
                "digest": each.digest,
            }
            for each in members
        ],
        **made(datetime.now(UTC).timestamp()),
    }
