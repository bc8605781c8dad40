"""Makes one product of the fragments of a task."""

from __future__ import annotations

from datetime import UTC, datetime

from fsspec.core import url_to_fs

from controller.apps.command.fragment import Found, measured
from controller.apps.command.joining import join
from controller.apps.command.manifest import manifest
from controller.apps.command.orders import CombineOrder
from controller.apps.manifests import write_beside
from controller.apps.storage import replacing
from planner.model import Product


def combine(order: CombineOrder) -> Product:
    """Write the product of these fragments, and its manifest beside it.

    Doing it again with the same fragments makes the same file. A product of no rows is valid. The
    content digest is that of the file: nobody but the command knows which differences count.

    Raises
    ------
    CommandError
        The fragments do not belong together.
    StorageError
        A fragment is gone or was changed, or the product cannot be written.
    """
    with replacing(order.product_url) as out:
        pieces = join(order, out)
    written = _measured(order.product_url)
    product = Product(
        url=order.product_url,
        rows=sum(piece.head.rows for piece in pieces),
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        digest=written.sha256,
    )
    now = datetime.now(UTC).timestamp()
    write_beside(product, manifest(order, pieces, product, created_at=now))
    return product


def _measured(url: str) -> Found:
    filesystem, path = url_to_fs(url)
    with filesystem.open(path, "rb") as file:
        return measured(file)
