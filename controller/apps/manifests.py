"""What the manifests of all products have in common, whoever made them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from controller.apps.request import iso_instant
from controller.apps.storage import replacing
from controller.build import VERSION
from controller.product_files import file_name, manifest_url
from planner.model import Product

FORMAT = 1
"""Grows when a reader of older manifests would misunderstand a new one."""


def product_entry(product_id: str, product: Product) -> dict[str, object]:
    """Return what a manifest says of the product's file."""
    return {
        "id": product_id,
        "file": file_name(product.url),
        "rows": product.rows,
        "size_bytes": product.size_bytes,
        "sha256": product.sha256,
        "digest": product.digest,
    }


def made(created_at: float, **versions: str) -> dict[str, object]:
    """Return what a manifest says of its making: when [POSIX s], and by which software."""
    return {
        "software": {"slackwater": VERSION, **versions},
        "created": iso_instant(created_at),
    }


def write_beside(product: Product, said: Mapping[str, object]) -> bytes:
    """Write a manifest beside its product, there whole or not at all, and return its bytes.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    content = json.dumps(said, indent=1).encode()
    with replacing(manifest_url(product.url)) as file:
        file.write(content)
    return content
