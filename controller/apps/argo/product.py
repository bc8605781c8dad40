"""Writes one product, in the format that its file name ends with, and tells what such a file holds.

Nothing in a product tells when or how often it was made, so the same input makes the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.apps.argo.formats.catalogue import FORMATS, Format
from controller.apps.argo.formats.content import Content
from controller.apps.argo.points import digest_of
from controller.apps.storage import replacing
from controller.errors import StorageError
from controller.product_files import ENDINGS, ending_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A product file as it was written; `digest` is that of `content_digest`."""

    size_bytes: int
    sha256: str
    digest: str


def write_product(url: str, content: Content) -> Written:
    """Write a product, there whole or not at all.

    Parameters
    ----------
    url : str
        fsspec URL of the file; its ending tells the format.
    content : Content

    Raises
    ------
    StorageError
        The product cannot be written.
    """
    written_as = _format(url)
    points = content.points
    with TemporaryDirectory(prefix="slackwater-") as folder:
        local = Path(folder) / f"product{ending_of(url)}"
        try:
            written_as.write(local, content)
        except written_as.faults as error:
            raise StorageError(f"product {url} cannot be made on local disk: {error}") from error
        with local.open("rb") as made:
            sha256 = hashlib.file_digest(made, "sha256").hexdigest()
            made.seek(0)
            with replacing(url) as file:
                shutil.copyfileobj(made, file, 2**20)
        return Written(
            size_bytes=local.stat().st_size,
            sha256=sha256,
            digest=digest_of((name, points.column(name)) for name in points.names),
        )


def content_digest(path: str | Path) -> str:
    """Return the canonical digest of what a product holds, from its file alone.

    It covers the rows in their order, every column by name, type and values; not the attributes,
    the tables, compression, layout or format. Equal requests of equal files have equal digests,
    however they were cut, in whatever format, and whoever made them.

    Raises
    ------
    StorageError
        The file is no product.
    """
    read_as = _format(str(path))
    try:
        return digest_of(read_as.columns(Path(path)))
    except read_as.faults as error:
        raise StorageError(f"{path} cannot be read as a product: {error}", retry=False) from error


def _format(url: str) -> Format:
    """Return the format that a file name ends with."""
    names = {ending: name for name, ending in ENDINGS.items()}
    if ending_of(url) not in names:
        raise StorageError(
            f"{url} cannot be read as a product: none ends so",
            fix=f"Name a file that ends in {', '.join(names)}",
            retry=False,
        )
    return FORMATS[names[ending_of(url)]]
