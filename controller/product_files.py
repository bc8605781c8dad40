"""How a product's two files are named: it and, beside it, its manifest."""

from __future__ import annotations

from pathlib import PurePosixPath

PRODUCT_ENDING = ".nc"
MANIFEST_ENDING = ".manifest.json"


def file_name(url: str) -> str:
    """Return the last part of a URL."""
    return url.rsplit("/", 1)[-1]


def ending_of(product_url: str) -> str:
    """Return how a product's file ends: with its last suffix."""
    return PurePosixPath(file_name(product_url)).suffix


def product_id_of(product_url: str) -> str:
    """Return the id of the product in a file."""
    return file_name(product_url).removesuffix(ending_of(product_url))


def manifest_url(product_url: str) -> str:
    """Return where the manifest of a product lies: beside it."""
    return product_url.removesuffix(ending_of(product_url)) + MANIFEST_ENDING


def beside(url: str, name: str) -> str:
    """Return where the file of a name lies in the folder of another."""
    return url.removesuffix(file_name(url)) + name
