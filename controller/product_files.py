"""How a product's two files are named: it and, beside it, its manifest."""

from __future__ import annotations

PRODUCT_ENDING = ".nc"
MANIFEST_ENDING = ".manifest.json"


def manifest_url(product_url: str) -> str:
    """Return where the manifest of a product lies: beside it."""
    return _renamed(product_url, PRODUCT_ENDING, MANIFEST_ENDING)


def product_url(manifest_url: str) -> str:
    """Return where the product of a manifest lies: beside it."""
    return _renamed(manifest_url, MANIFEST_ENDING, PRODUCT_ENDING)


def _renamed(url: str, ending: str, other: str) -> str:
    assert url.endswith(ending), url
    return url.removesuffix(ending) + other
